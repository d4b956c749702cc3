// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Options;

namespace PasidFramework.Conformance.Bench;

/// <summary>A unit on the driver's own stand-in and plain memory: for cases that are about the driver alone.</summary>
internal sealed class StandIn : IDisposable
{
    private readonly CaseContext _context;
    private uint _devices;

    private StandIn(CaseContext context)
    {
        _context = context;
        Memory = new WatchedMemory(new SystemMemory());
        Hardware = context.Subject.Driver.CreateHardware(Memory, new HardwareSetup());
    }

    public WatchedMemory Memory { get; }
    public IIommuHardware Hardware { get; }
    public IIommuUnit Unit { get; private set; } = null!;
    public IommuCore Core { get; private set; } = null!;

    /// <summary>Starts a unit; the case fails where the driver refuses.</summary>
    public static StandIn Start(CaseContext context, PasidOptions? options = null)
    {
        var stand = new StandIn(context);
        OpResult<IIommuUnit> unit = stand.CreateUnit();
        context.Check(unit.IsOk, $"CreateUnit on its own stand-in: {unit.Reason} ({unit.Errno})");
        stand.Unit = unit.Value!;
        stand.Core = new IommuCore(new OptionsWrapper<PasidOptions>(options ?? new PasidOptions()));
        stand.Core.AddInstance(context.Subject.Metadata.Name, stand.Unit);
        return stand;
    }

    public static StandIn Bare(CaseContext context) => new(context);

    public OpResult<IIommuUnit> CreateUnit(
        IReadOnlyDictionary<string, string>? more = null, int pasidBits = Pasid.MaxBits, string name = "unit0") =>
        _context.Subject.Driver.CreateUnit(new UnitSetup
        {
            Name = name,
            Hardware = Hardware,
            PasidBits = pasidBits,
            Options = more is null ? _context.UnitOptions() : _context.UnitOptions(more),
        });

    public Domain AddDomain()
    {
        OpResult<Domain> domain = Core.CreateDomain(Core.Instances[0], "domain", Pasid.MaxBits);
        _context.Check(domain.IsOk, $"AddDomain: {domain.Reason} ({domain.Errno})");
        return domain.Value!;
    }

    public Device AddDevice(Domain domain)
    {
        OpResult<Device> device = Core.AddDevice(
            domain, "device", new RequesterId(0x118 + (8 * _devices++)), new PasidRange(1, Pasid.MaxValue));
        _context.Check(device.IsOk, $"AddDevice: {device.Reason} ({device.Errno})");
        return device.Value!;
    }

    public void Dispose()
    {
        Core?.Dispose();
        Hardware.Dispose();
    }
}

/// <summary>A process without memory, for hardware that does not walk page tables.</summary>
internal sealed class BareProcess(int pid) : IAddressSpace
{
    public AddressSpaceId Id { get; } = new((ulong)pid);
    public int Pid => pid;
    public string Name => "process";
    public ulong PageTableRoot => 0x1000_0000;
    public bool IsAlive { get; set; } = true;
}
