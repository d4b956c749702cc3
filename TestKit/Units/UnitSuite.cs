// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Options;
using PasidFramework.Engine;
using static PasidFramework.TestKit.Suite;

namespace PasidFramework.TestKit.Units;

/// <summary>What the contract promises of a unit beside translations, which <see cref="ModelScenario"/> checks: for any
/// driver on its model, without a test framework.</summary>
/// <exception cref="SuiteFailedException">From each check: what was expected and found.</exception>
public sealed class UnitSuite(ScenarioSetup setup)
{
    private const ulong Address = 0x7F00_1234_5000;

    /// <summary>The checks by name.</summary>
    public static IReadOnlyDictionary<string, Action<UnitSuite>> Checks { get; } =
        new Dictionary<string, Action<UnitSuite>>
        {
            [nameof(AllocationsMayFail)] = suite => suite.AllocationsMayFail(),
            [nameof(RefusalsLeaveNothing)] = suite => suite.RefusalsLeaveNothing(),
            [nameof(UnitsEndAtAnyPoint)] = suite => suite.UnitsEndAtAnyPoint(),
            [nameof(OptionsAreDeclared)] = suite => suite.OptionsAreDeclared(),
        };

    /// <summary>D8, D13: whichever allocation is refused, the answer is ENOMEM, what was there stays, the same call
    /// succeeds with memory, and all memory returns.</summary>
    public void AllocationsMayFail()
    {
        int failures = 0;
        for (int failing = 1; ; failing++)
        {
            using var bench = new Bench(setup);
            bench.Memory.FailAllocation = failing;
            OpResult<IIommuUnit> unit = bench.Start(setup.UnitOptions);
            bool hasFailed = !unit.IsOk;
            if (hasFailed)
            {
                Expect(Errno.ENOMEM, unit.Errno, $"start");
            }
            else
            {
                using IommuCore core = Core();
                IommuInstance instance = core.AddInstance("under-test", unit.Value!);
                foreach (int index in new[] { 0, 2 })
                {
                    Domain domain = Try(bench, ref hasFailed, () => core.CreateDomain(instance, $"domain {index}", 20));
                    var range = new PasidRange(index == 0 ? 1u : 0x12345, Pasid.MaxValue);
                    Device device = Try(bench, ref hasFailed, () => core.AddDevice(
                        domain, $"device {index}", setup.Requesters[index], range, setup.Features));
                    SuiteProcess process = bench.Process(index + 1);
                    Pasid pasid = Try(bench, ref hasFailed, () =>
                    {
                        OpResult<Pasid> bound = core.Bind(device, process);
                        if (!bound.IsOk)
                        {
                            ulong? reached = bench.Read(device, new Pasid((uint)range.First));
                            Expect(null, reached, $"what a refused PASID leads to");
                        }

                        return bound;
                    });
                    Expect(TargetOf(process.Pid), bench.Read(device, pasid), $"what PASID {pasid} leads to");
                    Expect((uint)range.First, pasid.Value, $"the lowest PASID, handed out again after a refusal");
                }
            }

            Expect(0L, bench.Memory.AllocatedBytes, $"bytes after allocation {failing} was refused");
            Expect(0, bench.Model.Violations.Count, $"violations");
            if (!hasFailed)
            {
                break;
            }

            failures++;
        }

        Expect(true, failures > 3, $"a unit, its domains and their leaves need memory: {failures} allocations");
    }

    /// <summary>A refused width, a removed binding, device or domain leaves nothing; the neighbours stay.</summary>
    public void RefusalsLeaveNothing()
    {
        using var bench = new Bench(setup);
        using IommuCore core = Core();
        IIommuUnit unit = Must(bench.Start(setup.UnitOptions));
        IommuInstance instance = core.AddInstance("under-test", unit);
        UnitStatistics empty = unit.Statistics;
        long bytes = bench.Memory.AllocatedBytes;
        if (unit.PasidBits < Pasid.MaxBits)
        {
            Expect(Errno.EINVAL, core.CreateDomain(instance, "wide", unit.PasidBits + 1).Errno, $"a table too wide");
            Expect(bytes, bench.Memory.AllocatedBytes, $"bytes after the refusal");
        }

        Domain domain = Must(core.CreateDomain(instance, "domain", 8));
        Device device = Add(core, domain, 0);
        SuiteProcess[] processes = [bench.Process(1), bench.Process(2)];
        Pasid first = Must(core.Bind(device, processes[0]));
        Pasid second = Must(core.Bind(device, processes[1]));
        Expect(TargetOf(processes[0].Pid), bench.Read(device, first), $"first process");
        Expect(Errno.None, core.Unbind(device, first).Errno, $"unbind");
        Expect(null, bench.Read(device, first), $"what an unbound PASID leads to");
        Expect(TargetOf(processes[1].Pid), bench.Read(device, second), $"second process");
        Expect(Errno.None, core.Unbind(device, second).Errno, $"unbind");
        Expect(Errno.None, core.RemoveDevice(device).Errno, $"remove the device");
        Expect(Errno.None, core.RemoveDomain(domain).Errno, $"remove the domain");
        UnitStatistics after = unit.Statistics;
        Expect(empty.PasidTableBytes, after.PasidTableBytes, $"bytes of tables of no domain");
        Expect(0, bench.Model.Violations.Count, $"violations");
        Expect(true, bench.Memory.AllocatedBytes >= bytes, $"the unit's own memory stays");
    }

    /// <summary>A unit that ends with domains, devices and bindings gives all memory back, once.</summary>
    public void UnitsEndAtAnyPoint()
    {
        for (int steps = 0; steps < 4; steps++)
        {
            using var bench = new Bench(setup);
            IommuCore core = Core();
            IIommuUnit unit = Must(bench.Start(setup.UnitOptions));
            IommuInstance instance = core.AddInstance("under-test", unit);
            if (steps > 0)
            {
                Domain domain = Must(core.CreateDomain(instance, "domain", 20));
                Device? device = steps > 1 ? Add(core, domain, 0) : null;
                if (steps > 2)
                {
                    Must(core.Bind(device!, bench.Process(1)));
                }
            }

            // Not the core, which would first remove what is there.
            unit.Dispose();
            unit.Dispose();
            Expect(0L, bench.Memory.AllocatedBytes, $"bytes after the end with {steps} steps");
            Expect(0, bench.Model.Violations.Count, $"violations");
        }
    }

    /// <summary>An option that the driver does not declare is refused by name, before any allocation.</summary>
    public void OptionsAreDeclared()
    {
        using var bench = new Bench(setup);
        OpResult<IIommuUnit> unit = bench.Start(
            new Dictionary<string, string>(setup.UnitOptions) { ["no-such-option"] = "1" });
        Expect(Errno.EINVAL, unit.Errno, $"an unknown option");
        Expect(true, unit.Reason!.Contains("no-such-option", StringComparison.Ordinal), $"it is named");
        Expect(0, bench.Memory.Allocations, $"allocations of a refusal");
    }

    // What a process's one page leads to.
    private static ulong TargetOf(int process) => 0x4_0000_0000 + ((ulong)process << 24);

    private static IommuCore Core() => new(new OptionsWrapper<PasidOptions>(new PasidOptions()));

    // A call of which an allocation may be refused, and which must succeed then.
    private static T Try<T>(Bench bench, ref bool hasFailed, Func<OpResult<T>> call)
    {
        OpResult<T> result = call();
        if (!result.IsOk)
        {
            Expect(Errno.ENOMEM, result.Errno, $"a call without memory");
            hasFailed = true;
            result = call();
        }

        return Must(result);
    }

    private Device Add(IommuCore core, Domain domain, int index) => Must(core.AddDevice(
        domain, $"device {index}", setup.Requesters[index], new PasidRange(1, Pasid.MaxValue), setup.Features));

    /// <summary>A model behind observed memory, and processes beside it.</summary>
    private sealed class Bench : IIommuHardware
    {
        private readonly ScenarioSetup _setup;

        public Bench(ScenarioSetup setup)
        {
            _setup = setup;
            Model = setup.Model.Create(setup.Hardware, setup.Order);
            Memory = new ObservedMemory(Model.ModelMemory) { IsRecording = false };
        }

        public IIommuModel Model { get; }
        public ObservedMemory Memory { get; }

        IPhysicalMemory IIommuHardware.Memory => Memory;

        public IRegisterFile Registers => Model.Registers;
        public bool IsCoherent => Model.IsCoherent;

        public OpResult<IIommuUnit> Start(IReadOnlyDictionary<string, string> options) =>
            _setup.CreateUnit(this, options);

        public SuiteProcess Process(int number)
        {
            IPageTable pages = Must(_setup.PageTables.Create(Model.ModelMemory));
            Expect(Errno.None, pages.Map(Address, TargetOf(number), writable: true).Errno, $"map");
            Model.ModelMemory.StoreBarrier();
            return new SuiteProcess(number, pages.Root);
        }

        /// <summary>Where a device gets with a PASID; null for nowhere.</summary>
        public ulong? Read(Device device, Pasid pasid)
        {
            TranslationResult result = Model.Translate(new DmaAccess(device.Requester, pasid, Address, IsWrite: false));
            return result.Status == TranslationStatus.Translated ? result.Address : null;
        }

        public TranslationResult Translate(in DmaAccess access) => Model.Translate(access);
        public void Dispose() => Model.Dispose();
    }
}
