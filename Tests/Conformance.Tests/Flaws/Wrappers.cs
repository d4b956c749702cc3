// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Allocation;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;

namespace PasidFramework.Conformance.Tests.Flaws;

/// <summary>A correct driver with one thing bent: what goes in, what comes out, or what lies under it.</summary>
internal sealed class FaultyDriver(IPasidDriver inner) : IPasidDriver
{
    public Func<UnitSetup, UnitSetup> Setup { get; init; } = s => s;
    public Func<HardwareSetup, HardwareSetup> HardwareSetup { get; init; } = s => s;
    public Func<IIommuHardware, IIommuHardware> Hardware { get; init; } = h => h;
    public Func<IIommuUnit, IIommuHardware, IIommuUnit> Unit { get; init; } = (u, _) => u;
    public Func<OpResult<IIommuUnit>, OpResult<IIommuUnit>> Result { get; init; } = r => r;

    public IIommuHardware CreateHardware(IPhysicalMemory memory, HardwareSetup setup) =>
        inner.CreateHardware(memory, HardwareSetup(setup));

    public OpResult<IIommuUnit> CreateUnit(UnitSetup setup)
    {
        IIommuHardware hardware = Hardware(setup.Hardware);
        OpResult<IIommuUnit> unit = inner.CreateUnit(Setup(setup with { Hardware = hardware }));
        return Result(unit.IsOk ? OpResult<IIommuUnit>.Ok(Unit(unit.Value, hardware)) : unit);
    }
}

/// <summary>Passes everything on.</summary>
internal abstract class PassingUnit(IIommuUnit inner) : IIommuUnit
{
    protected IIommuUnit Inner { get; } = inner;
    public virtual string Name => Inner.Name;
    public virtual int PasidBits => Inner.PasidBits;
    public virtual IReadOnlyList<Pasid> ReservedPasids => Inner.ReservedPasids;
    public virtual PasidScope VendorScope => Inner.VendorScope;
    public virtual UnitStatistics Statistics => Inner.Statistics;
    public virtual IPasidAllocator? CreateAllocator(PasidRange range) => Inner.CreateAllocator(range);
    public virtual OpResult AddDomain(Domain domain) => Inner.AddDomain(domain);
    public virtual void RemoveDomain(Domain domain) => Inner.RemoveDomain(domain);
    public virtual OpResult AddDevice(Device device) => Inner.AddDevice(device);
    public virtual void RemoveDevice(Device device) => Inner.RemoveDevice(device);
    public virtual OpResult<object?> AllocateProcess(IommuProcess process) => Inner.AllocateProcess(process);

    public virtual void FreeProcess(IommuProcess process, object? driverProcess) =>
        Inner.FreeProcess(process, driverProcess);

    public virtual OpResult Attach(IommuContext context, Device device, bool first) =>
        Inner.Attach(context, device, first);

    public virtual OpResult Detach(IommuContext context, Device device, bool last) =>
        Inner.Detach(context, device, last);

    public virtual OpResult Exit(IommuContext context) => Inner.Exit(context);

    public virtual OpResult Invalidate(IommuContext context, IovaRange range) => Inner.Invalidate(context, range);

    public virtual OpResult TakeFaults(ICollection<IommuFault> faults) => Inner.TakeFaults(faults);
    public virtual void Dispose() => Inner.Dispose();
}

/// <summary>Passes everything on, but commands and stores that a flaw changes.</summary>
internal sealed class FaultyHardware(IIommuHardware inner) : IIommuHardware
{
    public Func<IPhysicalMemory, IPhysicalMemory> BendMemory { get; init; } = m => m;
    public Func<IRegisterFile, IRegisterFile> BendRegisters { get; init; } = r => r;
    public IPhysicalMemory Memory => field ??= BendMemory(inner.Memory);
    public IRegisterFile Registers => field ??= BendRegisters(inner.Registers);
    public bool IsCoherent => inner.IsCoherent;
    public TranslationResult Translate(in DmaAccess access) => inner.Translate(access);

    public void Dispose()
    {
        // It belongs to its maker.
    }
}

/// <summary>Registers of the reference architecture whose commands are changed on their way.</summary>
/// <param name="inner">The registers.</param>
/// <param name="drop">Whether a command, by its two words, is forgotten.</param>
internal sealed class ForgettingRegisters(IRegisterFile inner, Func<ulong, ulong, bool> drop) : IRegisterFile
{
    private const int Command0 = 0x18;
    private const int Command1 = 0x20;
    private ulong _first;
    public uint Read32(int offset) => inner.Read32(offset);
    public ulong Read64(int offset) => inner.Read64(offset);
    public void Write32(int offset, uint value) => inner.Write32(offset, value);

    public void Write64(int offset, ulong value)
    {
        if (offset == Command0)
        {
            _first = value;
        }

        // What takes its place is about a requester that does not exist.
        const ulong Nothing = 1 | (0xFFFFUL << 32);
        if (offset == Command1 && drop(_first, value))
        {
            inner.Write64(Command0, Nothing);
            value = 0;
        }

        inner.Write64(offset, value);
    }
}
