using System.Globalization;
using PasidFramework.Contracts;

namespace PasidFramework.Engine;

/// <summary>The life of a process in the core.</summary>
public enum ProcessState
{
    /// <summary>Being set up; no lookup finds it.</summary>
    Created,

    /// <summary>Bound to at least one device, or keeping its number until it dies.</summary>
    Published,

    /// <summary>Its last binding ended, or its address space did; no new binding is accepted.</summary>
    Dying,

    /// <summary>The last reference is gone and the drivers' records are freed.</summary>
    Gone,
}

/// <summary>
/// One address space as the IOMMU core tracks it: one per address space, system-wide. Created, published when complete,
/// dying, gone: the last <see cref="Put"/> has the drivers' records freed after a grace period.
/// </summary>
public sealed class IommuProcess
{
    private readonly IommuCore _core;
    private readonly DeferredFree _deferredFree;
    private IommuContext[] _contexts = [];
    private int _references = 1;

    internal IommuProcess(IommuCore core, IAddressSpace addressSpace)
    {
        _core = core;
        AddressSpace = addressSpace;
        _deferredFree = new DeferredFree(this);
    }

    /// <summary>The address space.</summary>
    public IAddressSpace AddressSpace { get; }

    /// <summary>Physical byte address of its top page table.</summary>
    public ulong PageTableRoot => AddressSpace.PageTableRoot;

    /// <summary>Where it is in its life; a snapshot.</summary>
    public ProcessState State { get; internal set; }

    /// <summary>References now; a snapshot for tests and messages.</summary>
    public int ReferenceCount => Volatile.Read(ref _references);

    /// <summary>
    /// Serialises bind, unbind and exit of this one process. It is held while its driver records are made, which may
    /// block; nothing that serves another process ever waits for it.
    /// </summary>
    internal Lock Gate { get; } = new();

    /// <summary>
    /// Links to domains; exchanged whole, under <see cref="Gate"/>, so that the fault path reads it without one.
    /// </summary>
    internal IommuContext[] Contexts
    {
        get => Volatile.Read(ref _contexts);
        set => Volatile.Write(ref _contexts, value);
    }

    /// <summary>Numbers held, at most one per space (C1); guarded by <see cref="Gate"/>.</summary>
    internal List<PasidLease> Leases { get; } = [];

    /// <summary>What each unit's driver keeps of the process; guarded by <see cref="Gate"/>.</summary>
    internal List<(IommuInstance Instance, object? Record)> DriverRecords { get; } = [];

    /// <summary>Gives back a reference that <see cref="PasidSpace.Find"/> took.</summary>
    /// <exception cref="InvalidOperationException">More references are given back than were taken.</exception>
    public void Put()
    {
        int left = Interlocked.Decrement(ref _references);
        if (left == 0)
        {
            _core.Grace.Retire(_deferredFree);
        }
        else if (left < 0)
        {
            throw new InvalidOperationException(string.Create(
                CultureInfo.InvariantCulture, $"Process {AddressSpace.Id}: one reference too many was given back."));
        }
    }

    /// <summary>The address space's id, pid and name.</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture, $"{AddressSpace.Id} ({AddressSpace.Name}, pid {AddressSpace.Pid})");

    /// <summary>Takes a reference unless the last one is gone.</summary>
    internal bool TryGet()
    {
        int references = Volatile.Read(ref _references);
        while (references > 0)
        {
            int before = Interlocked.CompareExchange(ref _references, references + 1, references);
            if (before == references)
            {
                return true;
            }

            references = before;
        }

        return false;
    }

    internal IommuContext? ContextOf(Domain domain)
    {
        foreach (IommuContext context in Contexts)
        {
            if (ReferenceEquals(context.Domain, domain))
            {
                return context;
            }
        }

        return null;
    }

    internal PasidLease? LeaseIn(PasidSpace space)
    {
        foreach (PasidLease lease in Leases)
        {
            if (ReferenceEquals(lease.Space, space))
            {
                return lease;
            }
        }

        return null;
    }

    // Kept apart so that reclaiming is not part of the public type.
    private sealed class DeferredFree(IommuProcess process) : Reclaimable
    {
        internal override void Reclaim()
        {
            process.State = ProcessState.Gone;
            process._core.FreeDriverRecords(process);
        }
    }
}
