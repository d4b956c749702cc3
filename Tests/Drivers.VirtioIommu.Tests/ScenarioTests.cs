// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging;

namespace PasidFramework.Drivers.VirtioIommu.Tests;

/// <summary>The driver under the real core on the strict model: lives of processes, judged by accesses.</summary>
public sealed class ScenarioTests : DriverSuiteTests
{
    private protected override ScenarioSetup SuiteSetup => Scenarios.Setup("B", coherent: true, StoreOrder.Immediate);

    private protected override ITableReader Reader =>
        new VirtioTableReader { ArmSmmuV3Reader = new ArmSmmu.Reader.SmmuTableReader() };

    public static TheoryData<string, bool, StoreOrder> Worlds
    {
        get
        {
            var worlds = new TheoryData<string, bool, StoreOrder>();
            foreach (string dialect in new[] { "B", "E" })
            {
                worlds.Add(dialect, true, StoreOrder.Immediate);
                worlds.Add(dialect, true, StoreOrder.Weak);
                worlds.Add(dialect, false, StoreOrder.Immediate);
                worlds.Add(dialect, false, StoreOrder.Weak);
            }

            return worlds;
        }
    }

    [Theory]
    [MemberData(nameof(Worlds))]
    public void D1_D2_D5_D6_D12_D13_a_clean_run_meets_no_stale_and_no_torn_entry(
        string dialect, bool coherent, StoreOrder order)
    {
        ScenarioReport report = ModelScenario.Run(Scenarios.Setup(dialect, coherent, order));

        Assert.True(report.Failures.Count == 0, string.Join("\n", report.Failures));
        Assert.InRange(report.Probes, 1000, long.MaxValue);
    }
}

/// <summary>What the shared scenario runs on here.</summary>
internal static class Scenarios
{
    /// <summary>Device 0 is asked at the start; the others are the scenario's.</summary>
    private const string Endpoints = "0,0x118,0x120,0x290";

    public static ScenarioSetup Setup(
        string dialect,
        bool coherent,
        StoreOrder order,
        Func<IIommuHardware, RequestMutator>? wrap = null,
        bool torn = true,
        bool cold = false)
    {
        var driver = new ImpatientDriver(
            new VirtioIommuDriver { ArmSmmuV3Format = new ArmSmmu.Tables.SmmuTableFormat(),
                ArmSmmuV3Reader = new ArmSmmu.Reader.SmmuTableReader() }, wrap);
        return new()
        {
            Driver = driver,
            Check = model => driver.Warnings.Warning is { } warning
                ? "warning: " + warning
                : driver.Unit?.Find((VirtioIommuModel)model)
                    ?? (((VirtioIommuModel)model).FindStale() is { } stale ? "stale: " + stale : null),
            Model = new LoggedModelFactory(cold),
            PageTables = new TestPageTables(),
            Hardware = new HardwareSetup
            {
                Coherent = coherent,
                Options = new Dictionary<string, string> { ["dialect"] = dialect, ["endpoints"] = Endpoints },
            },
            UnitOptions = new Dictionary<string, string> { ["dialect"] = dialect },
            Order = order,
            Torn = torn,
        };
    }

    /// <summary>The driver with a clock that runs away, so that a request without an answer costs little
    /// time.</summary>
    private sealed class ImpatientDriver(VirtioIommuDriver driver, Func<IIommuHardware, RequestMutator>? wrap)
        : IPasidDriver
    {
        public WarningLog Warnings { get; } = new();

        public IIommuHardware CreateHardware(IPhysicalMemory memory, HardwareSetup setup) =>
            driver.CreateHardware(memory, setup);

        public WatchedUnit? Unit { get; private set; }

        public OpResult<IIommuUnit> CreateUnit(UnitSetup setup)
        {
            OpResult<IIommuUnit> unit = driver.CreateUnit(setup with
            {
                Time = new RunawayTime(),
                Logger = Warnings,
                Hardware = wrap is null ? setup.Hardware : wrap(setup.Hardware),
            });
            if (!unit.IsOk)
            {
                return unit;
            }

            Unit = new WatchedUnit(unit.Value);
            return OpResult<IIommuUnit>.Ok(Unit);
        }
    }

    /// <summary>Keeps what the driver could tell nobody else: a refused DETACH. Faults are told at the same
    /// level.</summary>
    private sealed class WarningLog : ILogger
    {
        public string? Warning { get; private set; }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter)
        {
            string text = formatter(state, exception);
            if (!text.Contains(": fault of endpoint", StringComparison.Ordinal))
            {
                Warning ??= text;
            }
        }
    }

    private sealed class RunawayTime : TimeProvider
    {
        private long _now;
        public override long GetTimestamp() => Interlocked.Add(ref _now, TimestampFrequency * 3600);
    }
}
