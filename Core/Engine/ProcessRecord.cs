// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Engine;

/// <summary>A process with what the engine keeps of it.</summary>
internal sealed class ProcessRecord : IommuProcess
{
    private readonly IommuCore _core;
    private readonly DeferredFree _deferredFree;
    private LinkRecord[] _contexts = [];
    private int _references = 1;

    public ProcessRecord(IommuCore core, IAddressSpace addressSpace)
        : base(addressSpace)
    {
        _core = core;
        _deferredFree = new DeferredFree(this);
    }

    public override int ReferenceCount => Volatile.Read(ref _references);

    /// <summary>
    /// Serialises bind, unbind and exit of this one process. It is held while its driver records are made, which may
    /// block; nothing that serves another process ever waits for it.
    /// </summary>
    public Lock Gate { get; } = new();

    /// <summary>
    /// Links to domains; exchanged whole, under <see cref="Gate"/>, so that the fault path reads it without one.
    /// </summary>
    public LinkRecord[] Contexts
    {
        get => Volatile.Read(ref _contexts);
        set => Volatile.Write(ref _contexts, value);
    }

    /// <summary>PASIDs held, at most one per space (C1); guarded by <see cref="Gate"/>.</summary>
    public List<PasidLease> Leases { get; } = [];

    /// <summary>What each unit's driver keeps of the process; guarded by <see cref="Gate"/>.</summary>
    public List<(IommuInstance Instance, object? Record)> DriverRecords { get; } = [];

    public override void Put()
    {
        int left = Interlocked.Decrement(ref _references);
        if (left == 0)
        {
            _core.Grace.Retire(_deferredFree);
        }
        else if (left < 0)
        {
            throw new InvalidOperationException(Text(
                $"Process {AddressSpace.Id}: one reference too many was given back."));
        }
    }

    /// <summary>Takes a reference unless the last one is gone.</summary>
    public bool TryGet()
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

    public LinkRecord? ContextOf(DomainRecord domain)
    {
        foreach (LinkRecord context in Contexts)
        {
            if (ReferenceEquals(context.Domain, domain))
            {
                return context;
            }
        }

        return null;
    }

    public PasidLease? LeaseIn(PasidSpace space)
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

    private sealed class DeferredFree(ProcessRecord process) : Reclaimable
    {
        internal override void Reclaim()
        {
            process.State = ProcessState.Gone;
            process._core.FreeDriverRecords(process);
        }
    }
}
