// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;

namespace PasidFramework.Engine;

/// <summary>
/// A process with what the engine keeps of it. Used again for another address space after its grace period, so that a
/// bind makes no garbage; a reader that came late meets another process and finds that out by checking again.
/// </summary>
internal sealed class ProcessRecord : IommuProcess
{
    private readonly LinkRecord _firstLink;
    private readonly DeferredFree _deferredFree;
    private LinkRecord[] _moreLinks = [];
    private PasidLease _firstLease;
    private PasidLease[] _moreLeases = [];
    private (IommuInstance? Instance, object? Record) _firstDriver;
    private List<(IommuInstance Instance, object? Record)>? _moreDrivers;
    private IommuCore? _core;
    private int _references;

    public ProcessRecord()
        : base(NoAddressSpace.Instance)
    {
        _firstLink = new LinkRecord(this);
        _deferredFree = new DeferredFree(this);
    }

    /// <summary>
    /// Serialises bind, unbind and exit of this one process. It is held while its driver records are made, which may
    /// block; nothing that serves another process ever waits for it.
    /// </summary>
    public ProcessGate Gate;

    /// <summary>The next record of a bucket of the registry, or of a stock of unused records.</summary>
    public ProcessRecord? Next;

    /// <summary>The hash under which the registry has it.</summary>
    public int Hash;

    public override int ReferenceCount => Volatile.Read(ref _references);

    /// <summary>Links in use; guarded by <see cref="Gate"/>.</summary>
    public int LinkCount { get; private set; }

    /// <summary>Leases in use, at most one per space (C1); guarded by <see cref="Gate"/>.</summary>
    public int LeaseCount { get; private set; }

    /// <summary>One more than the largest index of <see cref="LinkAt"/>.</summary>
    public int LinkSlots => 1 + _moreLinks.Length;

    /// <summary>One more than the largest index of <see cref="LeaseAt"/>.</summary>
    public int LeaseSlots => 1 + _moreLeases.Length;

    /// <summary>Makes an unused record stand for an address space, with one reference for the core.</summary>
    public void Begin(IommuCore core, IAddressSpace addressSpace)
    {
        _core = core;
        AddressSpace = addressSpace;
        State = ProcessState.Created;

        // Last: a late reader that finds a reference to take finds a whole record.
        Volatile.Write(ref _references, 1);
    }

    public override void Put()
    {
        int left = Interlocked.Decrement(ref _references);
        if (left == 0)
        {
            _core!.Grace.Retire(_deferredFree);
        }
        else if (left < 0)
        {
            Interlocked.Increment(ref _references);
            throw new InvalidOperationException(Text(
                $"Process {AddressSpace.Id}: one reference too many was given back."));
        }
    }

    /// <summary>Takes a reference unless the last one is gone.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
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

    public LinkRecord LinkAt(int slot) => slot == 0 ? _firstLink : _moreLinks[slot - 1];

    public ref PasidLease LeaseAt(int slot) => ref slot == 0 ? ref _firstLease : ref _moreLeases[slot - 1];

    /// <summary>The link to a domain, or null; <see cref="Gate"/> is held.</summary>
    public LinkRecord? LinkTo(DomainRecord domain)
    {
        if (ReferenceEquals(_firstLink.Domain, domain))
        {
            return _firstLink;
        }

        foreach (LinkRecord link in _moreLinks)
        {
            if (ReferenceEquals(link.Domain, domain))
            {
                return link;
            }
        }

        return null;
    }

    /// <summary>An unused link, now for a domain; <see cref="Gate"/> is held.</summary>
    public LinkRecord AddLink(DomainRecord domain, int lease, object? driverProcess)
    {
        LinkRecord? link = _firstLink.IsUsed ? Array.Find(_moreLinks, l => !l.IsUsed) : _firstLink;
        if (link is null)
        {
            link = new LinkRecord(this);
            _moreLinks = [.. _moreLinks, link];
        }

        ref PasidLease held = ref LeaseAt(lease);
        held.Links++;
        LinkCount++;
        link.Use(domain, held.Pasid, lease, driverProcess);
        return link;
    }

    /// <summary>Gives up a link whose devices are gone; <see cref="Gate"/> is held.</summary>
    public void RemoveLink(LinkRecord link)
    {
        link.Clear();
        LinkCount--;
        ref PasidLease held = ref LeaseAt(link.Lease);
        if (--held.Links == 0 && !held.HeldByProcess)
        {
            ReturnLease(ref held);
        }
    }

    /// <summary>Index of the lease in a space, or -1; <see cref="Gate"/> is held.</summary>
    public int LeaseIn(PasidSpace space)
    {
        if (ReferenceEquals(_firstLease.Space, space))
        {
            return 0;
        }

        for (int i = 0; i < _moreLeases.Length; i++)
        {
            if (ReferenceEquals(_moreLeases[i].Space, space))
            {
                return i + 1;
            }
        }

        return -1;
    }

    /// <summary>Notes a PASID that was taken; <see cref="Gate"/> is held.</summary>
    /// <returns>The lease's index.</returns>
    public int AddLease(PasidSpace space, Pasid pasid, bool heldByProcess)
    {
        int slot = 0;
        if (_firstLease.Space is not null)
        {
            slot = Array.FindIndex(_moreLeases, l => l.Space is null) + 1;
            if (slot == 0)
            {
                slot = _moreLeases.Length + 1;
                Array.Resize(ref _moreLeases, slot);
            }
        }

        LeaseAt(slot) = new PasidLease { Space = space, Pasid = pasid, HeldByProcess = heldByProcess };
        LeaseCount++;
        return slot;
    }

    /// <summary>The process lets go of a PASID that it held by itself; <see cref="Gate"/> is held.</summary>
    public void ReleaseLease(int slot)
    {
        ref PasidLease held = ref LeaseAt(slot);
        if (held is { Space: not null, HeldByProcess: true })
        {
            held.HeldByProcess = false;
            if (held.Links == 0)
            {
                ReturnLease(ref held);
            }
        }
    }

    /// <summary>A unit's record of the process; <see cref="Gate"/> is held.</summary>
    public bool TryGetDriverRecord(IommuInstance instance, out object? record)
    {
        record = _firstDriver.Record;
        return ReferenceEquals(_firstDriver.Instance, instance)
            || (_moreDrivers is not null && FindDriverRecord(_moreDrivers, instance, out record));
    }

    /// <summary>Notes what a unit keeps of the process; <see cref="Gate"/> is held.</summary>
    public void AddDriverRecord(IommuInstance instance, object? record)
    {
        if (_firstDriver.Instance is null)
        {
            _firstDriver = (instance, record);
        }
        else
        {
            (_moreDrivers ??= []).Add((instance, record));
        }
    }

    private static bool FindDriverRecord(
        List<(IommuInstance Instance, object? Record)> records, IommuInstance instance, out object? record)
    {
        foreach ((IommuInstance other, object? made) in records)
        {
            if (ReferenceEquals(other, instance))
            {
                record = made;
                return true;
            }
        }

        record = null;
        return false;
    }

    private void ReturnLease(ref PasidLease held)
    {
        LeaseCount--;
        PasidSpace space = held.Space!;
        held.Space = null;
        space.Return(held.Pasid, AddressSpace, held.IsRetired);
    }

    // Nothing refers to the record any more.
    private void Free()
    {
        State = ProcessState.Gone;
        IommuCore core = _core!;
        if (_firstDriver.Instance is { } first)
        {
            core.Calls.FreeProcess(first, this, _firstDriver.Record);
            _firstDriver = default;
        }

        if (_moreDrivers is { Count: > 0 })
        {
            foreach ((IommuInstance instance, object? record) in _moreDrivers)
            {
                core.Calls.FreeProcess(instance, this, record);
            }

            _moreDrivers.Clear();
        }

        _core = null;
        AddressSpace = NoAddressSpace.Instance;
        ProcessPool.Return(this);
    }

    private sealed class DeferredFree(ProcessRecord process) : Reclaimable
    {
        internal override void Reclaim() => process.Free();
    }

    // What an unused record stands for: it keeps nothing of the last address space alive.
    private sealed class NoAddressSpace : IAddressSpace
    {
        public static readonly NoAddressSpace Instance = new();
        public AddressSpaceId Id => default;
        public int Pid => 0;
        public string Name => "ended";
        public ulong PageTableRoot => 0;
        public bool IsAlive => false;
    }
}
