// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Tests.Support;

/// <summary>Memory, device and a driver's view of it, started.</summary>
internal sealed class Fixture : IDisposable
{
    /// <summary>Short, so that a test of a deaf device ends soon; an answering device needs one poll.</summary>
    public static PollTimeout Short { get; } = new(TimeProvider.System, TimeSpan.FromDays(1), 50);

    private Fixture(string dialect, TestHardware hardware, StartedDevice started)
    {
        Dialect = dialect;
        Hardware = hardware;
        Started = started;
    }

    public string Dialect { get; }
    public TestHardware Hardware { get; }
    public StartedDevice Started { get; }
    public ObservedMemory Memory => Hardware.TestMemory;
    public FakeArmFormat Format { get; } = new();
    public static TheoryData<string> BothDialects => new("B", "E");

    public static HardwareSetup Setup(
        string dialect, int pasidBits = 20, string? endpoints = null, string bypass = "off", bool coherent = true)
    {
        var options = new Dictionary<string, string> { ["dialect"] = dialect, ["bypass"] = bypass };
        if (endpoints is not null)
        {
            options["endpoints"] = endpoints;
        }

        return new HardwareSetup { PasidBits = pasidBits, Options = options, Coherent = coherent };
    }

    public static Fixture Start(
        string dialect, int pasidBits = 20, string? endpoints = null, string bypass = "off", bool coherent = true)
    {
        var hardware = new TestHardware(new ObservedMemory(), Setup(dialect, pasidBits, endpoints, bypass, coherent));
        return new Fixture(dialect, hardware, StartDevice(hardware, dialect));
    }

    public static StartedDevice StartDevice(TestHardware hardware, string dialect, PollTimeout? timeout = null)
    {
        Assert.True(TableDialect.TryParse(dialect, out TableDialect? parsed));
        OpResult<StartedDevice> started =
            StartedDevice.Start("viommu0", hardware, parsed, NullLogger.Instance, timeout ?? Short);
        Assert.True(started.IsOk, started.ToString());
        return started.Value;
    }

    public static VirtioIommuUnit StartUnit(string dialect, out TestHardware hardware)
    {
        hardware = new TestHardware(new ObservedMemory(), Setup(dialect));
        var setup = new UnitSetup
        {
            Name = "viommu0",
            Hardware = hardware,
            Options = new Dictionary<string, string> { ["dialect"] = dialect },
        };
        OpResult<IIommuUnit> unit = VirtioIommuUnit.Start(setup, new FakeArmFormat(), Short);
        Assert.True(unit.IsOk, unit.ToString());
        return (VirtioIommuUnit)unit.Value;
    }

    public DomainTable CreateTable(uint domain = 1, int pasidBits = 16)
    {
        OpResult<DomainTable> table = DomainTable.Create(Started, Format, domain, pasidBits);
        Assert.True(table.IsOk, table.ToString());
        return table.Value;
    }

    /// <summary>The requests since the last call.</summary>
    public ConsumedRequest[] TakeLog() => Hardware.Device.TakeLog();

    public RequestStatus Send(byte[] request, int driverBytes)
    {
        var words = new ulong[(request.Length + 7) / 8];
        for (int i = 0; i < request.Length; i++)
        {
            words[i / 8] |= (ulong)request[i] << (i % 8 * 8);
        }

        return Started.Requests.Send(words, driverBytes);
    }

    public void Dispose() => Started.Dispose();
}
