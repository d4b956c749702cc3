// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging;
using PasidFramework.Allocation;

namespace PasidFramework.DriverKit.Units;

/// <summary>
/// The skeleton of a unit: everything of <see cref="IIommuUnit"/> that is the same for every vendor. A driver says how
/// the hardware is switched on and off, how a device's configuration entry is stored and cleared, and in its
/// <see cref="UnitDomain{TDevice}"/> what happens to a PASID entry.
/// </summary>
/// <remarks>It begins in <see cref="Start"/>, which runs the driver's steps and rolls back at the first one that fails,
/// and ends in <see cref="Dispose"/>, which frees memory only when the hardware is off.</remarks>
/// <typeparam name="TDomain">The driver's record of a domain.</typeparam>
/// <typeparam name="TDevice">The driver's record of a device.</typeparam>
public abstract class IommuUnit<TDomain, TDevice> : IIommuUnit
    where TDomain : UnitDomain<TDevice>
    where TDevice : UnitDevice
{
    private readonly Lock _gate = new();
    private readonly HashSet<TDomain> _domains = [];
    private readonly List<(ulong Address, int Bytes)> _pages = [];
    private SpinGate _processGate;
    private UnitProcess? _freeProcesses;
    private bool _disposed;

    /// <summary>Takes what a unit is made of; touches nothing.</summary>
    /// <param name="setup">Name, hardware, logger.</param>
    /// <param name="pasidBits">The hardware's PASID width in bits; the setup's is the limit.</param>
    protected IommuUnit(UnitSetup setup, int pasidBits)
    {
        ArgumentNullException.ThrowIfNull(setup);
        Name = setup.Name;
        PasidBits = Math.Min(setup.PasidBits, pasidBits);
        Memory = setup.Hardware.Memory;
        Registers = setup.Hardware.Registers;
        Logger = setup.Logger;
    }

    public string Name { get; }
    public int PasidBits { get; }
    public virtual IReadOnlyList<Pasid> ReservedPasids => [];
    public virtual PasidScope VendorScope => PasidScope.Domain;

    public UnitStatistics Statistics
    {
        get
        {
            long bytes = 0;
            int leaves = 0;
            lock (_gate)
            {
                foreach (TDomain domain in _domains)
                {
                    bytes += domain.TableBytes;
                    leaves += domain.Leaves;
                }
            }

            return new UnitStatistics(bytes, leaves, Commands);
        }
    }

    /// <summary>Commands, descriptors or requests that were sent so far.</summary>
    protected abstract long Commands { get; }

    /// <summary>The memory that driver and hardware share.</summary>
    protected IPhysicalMemory Memory { get; }

    /// <summary>The unit's registers.</summary>
    protected IRegisterFile Registers { get; }

    /// <summary>Where the unit logs.</summary>
    protected ILogger Logger { get; }

    /// <summary>The tags of processes (ASIDs); null on a unit that needs none.</summary>
    protected virtual IPasidAllocator? Tags => null;

    /// <summary>What <see cref="Start"/> does, in this order. A step that fails leaves the rest to
    /// <see cref="Dispose"/>.</summary>
    protected abstract IReadOnlyList<Func<OpResult>> StartSteps { get; }

    public virtual IPasidAllocator? CreateAllocator(PasidRange range) => null;

    /// <summary>Switches the unit on.</summary>
    /// <returns>Success; or what the step that failed answered: then the unit is disposed.</returns>
    public OpResult Start()
    {
        foreach (Func<OpResult> step in StartSteps)
        {
            OpResult result = step();
            if (!result.IsOk)
            {
                Dispose();
                return result;
            }
        }

        return OpResult.Ok;
    }

    /// <summary>Makes a domain.</summary>
    /// <param name="id">The core's number of the domain, from 1.</param>
    /// <param name="pasidBits">Width of its table in bits.</param>
    /// <returns>The domain; EINVAL for a width beyond the unit's; what the driver answers.</returns>
    public virtual OpResult<TDomain> AddDomain(int id, int pasidBits)
    {
        if (pasidBits < 1 || pasidBits > PasidBits)
        {
            return OpResult<TDomain>.Refuse(
                Errno.EINVAL, $"{Name}: a PASID table of {pasidBits} bits; the unit supports 1 to {PasidBits}");
        }

        OpResult<TDomain> domain = CreateDomain(id, pasidBits);
        if (domain.IsOk)
        {
            lock (_gate)
            {
                _domains.Add(domain.Value);
            }
        }

        return domain;
    }

    /// <summary>Frees a domain that has no device; when the unit is off, where the hardware may still walk
    /// it.</summary>
    /// <exception cref="InvalidOperationException">It still has devices.</exception>
    public void RemoveDomain(TDomain domain)
    {
        ArgumentNullException.ThrowIfNull(domain);
        if (!domain.Devices.IsEmpty)
        {
            throw new InvalidOperationException($"A domain of {Name} still has {domain.Devices.Length} devices.");
        }

        if (!domain.MayBeWalked && ReleaseDomain(domain) is { IsOk: false } refusal)
        {
            domain.MayBeWalked = true;
            Logger.LogWarning("{Unit}: the table of a domain is kept: {Result}", Name, refusal);
        }

        if (domain.MayBeWalked)
        {
            return;
        }

        bool known;
        lock (_gate)
        {
            known = _domains.Remove(domain);
        }

        if (known)
        {
            domain.Dispose();
        }
    }

    /// <summary>Points a device's configuration entry at a domain's table.</summary>
    /// <returns>The device; what the driver answers: then nothing was changed, or where the hardware did not confirm,
    /// it was rolled back.</returns>
    public OpResult<TDevice> AddDevice(TDomain domain, RequesterId requester, DeviceFeatures features)
    {
        ArgumentNullException.ThrowIfNull(domain);
        OpResult<TDevice> device = CreateDevice(domain, requester, features);
        if (!device.IsOk)
        {
            return device;
        }

        domain.Add(device.Value);
        OpResult result = Connect(domain, device.Value);
        if (result.IsOk)
        {
            return device;
        }

        domain.Remove(device.Value);
        if (UnitProcess.IsUnconfirmed(result))
        {
            RollBack(domain, device.Value);
        }

        return OpResult<TDevice>.Refuse(result);
    }

    /// <summary>Takes a device's configuration entry away.</summary>
    /// <returns>Success; what the driver answers: the domain's table is then kept until the unit is off.</returns>
    public OpResult RemoveDevice(TDomain domain, TDevice device)
    {
        ArgumentNullException.ThrowIfNull(domain);
        OpResult result = Disconnect(domain, device);
        domain.Remove(device);
        domain.MayBeWalked |= !result.IsOk;
        return result;
    }

    /// <summary>Takes a tag for a process.</summary>
    /// <returns>The record; null on a unit without tags; ENOSPC.</returns>
    public OpResult<UnitProcess?> AllocateProcess()
    {
        if (Tags is not { } tags)
        {
            return OpResult<UnitProcess?>.Ok(null);
        }

        PasidAllocation taken = tags.Allocate(new PasidRequest(tags.Range));
        return taken.IsAllocated
            ? OpResult<UnitProcess?>.Ok(Record(taken.Pasid.Value))
            : OpResult<UnitProcess?>.Refuse(
                Errno.ENOSPC, $"{Name}: all ASIDs from {tags.Range.First} to {tags.Range.Last} are in use");
    }

    /// <summary>Gives a process's tag back, unless caches may still hold translations of it.</summary>
    public void FreeProcess(UnitProcess? process)
    {
        if (process is not { IsTainted: false } || Tags is not { } tags)
        {
            return;
        }

        if (tags.Free(new Pasid(process.Tag)) == PasidFreeStatus.NotAllocated)
        {
            throw new ArgumentException($"ASID {process.Tag} is not allocated.", nameof(process));
        }

        _processGate.Enter();
        process.Next = _freeProcesses;
        _freeProcesses = process;
        _processGate.Exit();
    }

    // One that was freed, or a new one: a bind in steady state makes no garbage.
    private UnitProcess Record(uint tag)
    {
        _processGate.Enter();
        UnitProcess? record = _freeProcesses;
        _freeProcesses = record?.Next;
        _processGate.Exit();
        return record?.Begin(tag) ?? new UnitProcess(tag);
    }

    public virtual OpResult TakeFaults(ICollection<IommuFault> faults) =>
        OpResult.Refuse(Errno.EOPNOTSUPP, $"{Name}: this driver does not decode fault records");

    /// <summary>Switches the unit off, then frees all memory; none of it where the hardware does not confirm.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_disposed)
            {
                return;
            }

            _disposed = true;
            if (Stop() is { IsOk: false } refusal)
            {
                Logger.LogError("{Unit}: {Result}; its memory is kept, the hardware may still use it", Name, refusal);
                return;
            }

            foreach (TDomain domain in _domains)
            {
                domain.Dispose();
            }

            _domains.Clear();
            Free();
            foreach ((ulong address, int bytes) in _pages)
            {
                Memory.FreePages(address, bytes);
            }
        }

        GC.SuppressFinalize(this);
    }

    OpResult IIommuUnit.AddDomain(Domain domain)
    {
        ArgumentNullException.ThrowIfNull(domain);
        OpResult<TDomain> result = AddDomain(domain.Id, domain.PasidBits);
        domain.DriverState = result.Value;
        return result.Outcome;
    }

    void IIommuUnit.RemoveDomain(Domain domain)
    {
        RemoveDomain(StateOf(domain));
        domain.DriverState = null;
    }

    OpResult IIommuUnit.AddDevice(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        OpResult<TDevice> result = AddDevice(StateOf(device.Domain), device.Requester, device.Features);
        device.DriverState = result.Value;
        return result.Outcome;
    }

    void IIommuUnit.RemoveDevice(Device device)
    {
        OpResult result = RemoveDevice(StateOf(device.Domain), StateOf(device));
        device.DriverState = null;
        if (!result.IsOk)
        {
            Logger.LogWarning("{Unit}: removing {Device}: {Result}", Name, device, result);
        }
    }

    OpResult<object?> IIommuUnit.AllocateProcess(IommuProcess process)
    {
        OpResult<UnitProcess?> result = AllocateProcess();
        return result.Outcome.IsOk
            ? OpResult<object?>.Ok(result.Value)
            : OpResult<object?>.Refuse(result.Errno, $"{result.Reason}, {process} gets none");
    }

    void IIommuUnit.FreeProcess(IommuProcess process, object? driverProcess) => FreeProcess(
        driverProcess is null or UnitProcess
            ? (UnitProcess?)driverProcess
            : throw new ArgumentException("Not a process record of this unit.", nameof(driverProcess)));

    OpResult IIommuUnit.Attach(IommuContext context, Device device, bool first)
    {
        ArgumentNullException.ThrowIfNull(context);
        var link = (UnitLink?)context.DriverState;
        OpResult result = StateOf(context.Domain).Attach(
            context.Pasid,
            context.Process.PageTableRoot,
            (UnitProcess?)context.DriverProcess,
            StateOf(device),
            first,
            ref link);
        context.DriverState = link;
        return result;
    }

    OpResult IIommuUnit.Detach(IommuContext context, Device device, bool last)
    {
        ArgumentNullException.ThrowIfNull(context);
        var link = (UnitLink?)context.DriverState;
        OpResult result = StateOf(context.Domain).Detach(StateOf(device), last, ref link);
        context.DriverState = link;
        return result;
    }

    OpResult IIommuUnit.Exit(IommuContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return StateOf(context.Domain).Exit((UnitLink?)context.DriverState);
    }

    OpResult IIommuUnit.Invalidate(IommuContext context, IovaRange range)
    {
        ArgumentNullException.ThrowIfNull(context);
        return StateOf(context.Domain).Invalidate((UnitLink?)context.DriverState, range);
    }

    /// <summary>Takes pages that are freed when the unit is off. They are zero, and flushed.</summary>
    /// <returns>Their physical byte address; ENOMEM.</returns>
    protected OpResult<ulong> AllocatePages(int bytes, int alignment = 4096)
    {
        OpResult<ulong> pages = Memory.AllocatePages(bytes, alignment);
        if (pages.IsOk)
        {
            Memory.Flush(pages.Value, bytes);
            lock (_gate)
            {
                _pages.Add((pages.Value, bytes));
            }
        }

        return pages;
    }

    /// <summary>Switches the hardware off; also where a step of the start failed.</summary>
    /// <returns>Success; ETIMEDOUT: it may still use its memory.</returns>
    protected abstract OpResult Stop();

    /// <summary>Frees what the driver holds beside domains and <see cref="AllocatePages"/>; the hardware is
    /// off.</summary>
    protected virtual void Free()
    {
    }

    /// <summary>Builds a domain of a width that the unit supports.</summary>
    protected abstract OpResult<TDomain> CreateDomain(int id, int pasidBits);

    /// <summary>Makes hardware forget a domain's table, where removing its devices has not done so.</summary>
    /// <returns>Success; otherwise the table is kept until the unit is off.</returns>
    protected virtual OpResult ReleaseDomain(TDomain domain) => OpResult.Ok;

    /// <summary>Checks a device and makes its record; changes nothing.</summary>
    protected abstract OpResult<TDevice> CreateDevice(TDomain domain, RequesterId requester, DeviceFeatures features);

    /// <summary>Stores a device's configuration entry and invalidates what caches hold of its absence.</summary>
    /// <returns>Success; EEXIST, EINVAL, ENOMEM: nothing was changed. ETIMEDOUT, EIO: <see cref="RollBack"/>
    /// follows.</returns>
    protected abstract OpResult Connect(TDomain domain, TDevice device);

    /// <summary>Clears a device's configuration entry and invalidates it with all that was filled through it.</summary>
    protected abstract OpResult Disconnect(TDomain domain, TDevice device);

    /// <summary>Undoes a <see cref="Connect"/> that the hardware did not confirm.</summary>
    protected virtual void RollBack(TDomain domain, TDevice device)
    {
        if (Disconnect(domain, device) is { IsOk: false } refusal)
        {
            domain.MayBeWalked = true;
            Logger.LogWarning("{Unit}: rolling back {Requester}: {Result}", Name, device.Requester, refusal);
        }
    }

    // The one place where the core's objects lead to the driver's records.
    private static TDomain StateOf(Domain domain) => domain.DriverState as TDomain
        ?? throw new ArgumentException($"{domain} was not added to this unit.", nameof(domain));

    private static TDevice StateOf(Device device) => device.DriverState as TDevice
        ?? throw new ArgumentException($"{device} was not added to this unit.", nameof(device));
}
