// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;

namespace PasidFramework.Engine;

/// <summary>
/// One namespace in which a PASID means exactly one process: an allocator that produces PASIDs and a flat table from
/// PASID to process that the fault path reads without a lock.
/// </summary>
public sealed class PasidSpace
{
    private readonly ProcessRecord?[] _published;
    private readonly PasidHolds _holds;
    private readonly Func<IPasidAllocator, OpResult<IPasidAllocator>> _decorate;
    private readonly ICoreObserver? _observer;
    private readonly HashSet<uint> _reserved = [];
    private IPasidAllocator _allocator;
    private int _retired;

    internal PasidSpace(
        string name,
        IPasidAllocator allocator,
        Func<IPasidAllocator, OpResult<IPasidAllocator>> decorate,
        ICoreObserver? observer)
    {
        Name = name;
        Range = allocator.Range;
        _allocator = allocator;
        _decorate = decorate;
        _observer = observer;

        // Flat: a range check and one load. 8 bytes per PASID, of which the system backs only the pages that are
        // touched.
        uint size = allocator.Range.IsEmpty ? 0 : allocator.Range.Last + 1;
        _published = new ProcessRecord?[size];
        _holds = new PasidHolds(size);
    }

    /// <summary>Name for messages and events, such as <c>global</c> or <c>smmu0/npu</c>.</summary>
    public string Name { get; }

    /// <summary>The PASIDs it may allocate, both ends included.</summary>
    public PasidRange Range { get; private set; }

    /// <summary>The policy's name.</summary>
    public string AllocatorName => _allocator.Name;

    /// <summary>PASIDs that are allocated now.</summary>
    public int LiveCount => _allocator.LiveCount;

    /// <summary>
    /// PASIDs that will never be allocated again because an invalidation of theirs did not complete; they count as
    /// live.
    /// </summary>
    public int RetiredCount => Volatile.Read(ref _retired);

    /// <summary>
    /// Finds the process that a PASID means, and takes a reference; the caller gives it back with
    /// <see cref="IommuProcess.Put"/>. Lock-free and without allocation; may be called from any thread at any time.
    /// </summary>
    /// <param name="pasid">The PASID of a request.</param>
    /// <returns>The process; null where the PASID means no process, or a process that is dying (C7, C8).</returns>
    public IommuProcess? Find(Pasid pasid)
    {
        ProcessRecord? process = Lookup(pasid);
        while (process is not null)
        {
            ProcessRecord? now = null;
            if (process.TryGet())
            {
                now = Lookup(pasid);
                if (ReferenceEquals(now, process))
                {
                    return process;
                }

                // The PASID changed hands between the load and the reference: check again.
                process.Put();
            }

            process = now;
        }

        return null;
    }

    /// <summary>
    /// The process that a PASID means now, without a reference: valid only within
    /// <see cref="IommuCore.EnterReadSection"/>, during which the driver's record of it is not freed.
    /// </summary>
    public IommuProcess? Peek(Pasid pasid) => Lookup(pasid);

    /// <summary>
    /// Exchanges the allocator of a space without live PASIDs (rule of the kernel's ioasid, A12). Reserved PASIDs,
    /// quarantine and quota of the options apply to the new one too.
    /// </summary>
    /// <param name="allocator">The new one, with nothing live; its range must lie in the old one's.</param>
    /// <returns>Success; EBUSY while PASIDs are live; EINVAL for a wider range or one that the options do not
    /// fit.</returns>
    /// <remarks>To be called while nothing is being bound in this space.</remarks>
    public OpResult ReplaceAllocator(IPasidAllocator allocator)
    {
        ArgumentNullException.ThrowIfNull(allocator);
        if (_allocator.LiveCount != 0)
        {
            return OpResult.Refuse(Errno.EBUSY,
                $"space {Name}: {_allocator.LiveCount} PASIDs of allocator '{_allocator.Name}' are live, must be 0 to "
                    + $"replace it");
        }

        if (allocator.Range.First < Range.First || allocator.Range.Last > Range.Last)
        {
            return OpResult.Refuse(Errno.EINVAL,
                $"space {Name}: range {allocator.Range} of allocator '{allocator.Name}' exceeds {Range}");
        }

        OpResult<IPasidAllocator> decorated = _decorate(allocator);
        if (!decorated.IsOk)
        {
            return decorated.Outcome;
        }

        foreach (uint number in _reserved)
        {
            decorated.Value.TryReserve(new Pasid(number));
        }

        _allocator = decorated.Value;
        Range = decorated.Value.Range;
        return OpResult.Ok;
    }

    /// <summary>Excludes a PASID from being allocated; PASIDs outside of the range are excluded already.</summary>
    internal OpResult Reserve(Pasid pasid)
    {
        if (Range.Contains(pasid.Value) && !_reserved.Contains(pasid.Value) && !_allocator.TryReserve(pasid))
        {
            return OpResult.Refuse(Errno.EBUSY, $"space {Name}: PASID {pasid} is live and cannot be reserved");
        }

        _reserved.Add(pasid.Value);
        return OpResult.Ok;
    }

    /// <summary>Takes a PASID for a process.</summary>
    /// <param name="range">What device and unit can carry.</param>
    /// <param name="owner">Index of the tenant.</param>
    internal OpResult<Pasid> Take(IAddressSpace process, PasidRange range, int owner)
    {
        PasidRange allowed = range.Intersect(Range);
        if (allowed.IsEmpty)
        {
            return OpResult<Pasid>.Refuse(
                Errno.ENOSPC, $"space {Name}: the device's range {range} has no PASID in common with {Range}");
        }

        PasidAllocation allocation = _allocator.Allocate(new PasidRequest(allowed, owner));
        if (allocation.IsAllocated)
        {
            _observer?.Allocated(this, allocation.Pasid, process);
            return OpResult<Pasid>.Ok(allocation.Pasid);
        }

        return OpResult<Pasid>.Refuse(allocation.Errno, Explain(allocation.Status, allowed));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal ProcessRecord? Lookup(Pasid pasid)
    {
        ProcessRecord?[] published = _published;
        return pasid.Value < (uint)published.Length ? Volatile.Read(ref published[pasid.Value]) : null;
    }

    /// <summary>From now on lookups find the process; its gate is held.</summary>
    internal void Publish(Pasid pasid, ProcessRecord process) =>
        Volatile.Write(ref _published[pasid.Value], process);

    /// <summary>From now on lookups find nothing; the gate of the process that has the PASID is held.</summary>
    internal void Withdraw(Pasid pasid) => Volatile.Write(ref _published[pasid.Value], null);

    /// <summary>
    /// A page request or an exit handler opens: the PASID does not return before <see cref="Drop"/>. It may be too
    /// late: whether the PASID still means the process is to be checked afterwards.
    /// </summary>
    internal void Hold(Pasid pasid) => _holds.Take(pasid);

    /// <summary>What <see cref="Hold"/> was called for is done.</summary>
    internal void Drop(Pasid pasid)
    {
        if (_holds.Drop(pasid, out IAddressSpace? process))
        {
            Free(pasid, process!);
        }
    }

    /// <summary>
    /// A process lets go of its PASID, which was withdrawn a full fence ago; it is free once nothing holds it.
    /// </summary>
    /// <param name="isRetired">Whether an invalidation did not complete: then it is never free again.</param>
    internal void Return(Pasid pasid, IAddressSpace process, bool isRetired)
    {
        if (isRetired)
        {
            Interlocked.Increment(ref _retired);
        }
        else if (_holds.Leave(pasid, process))
        {
            Free(pasid, process);
        }
    }

    private void Free(Pasid pasid, IAddressSpace process)
    {
        // Notified before the PASID is free: otherwise another thread's "allocated" could be reported first.
        _observer?.Freed(this, pasid, process);
        if (_allocator.Free(pasid) != PasidFreeStatus.Freed)
        {
            throw new InvalidOperationException(
                $"Allocator '{_allocator.Name}' does not know its live PASID {pasid}.");
        }
    }

    private string Explain(PasidAllocationStatus status, PasidRange range) => status switch
    {
        PasidAllocationStatus.NoSpace => $"space {Name}: no PASID is free in {range}",
        PasidAllocationStatus.QuotaExceeded => $"space {Name}: the tenant holds as many PASIDs as its quota allows",
        _ => $"space {Name}: allocator '{_allocator.Name}' failed",
    };
}
