// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Allocation;

/// <summary>
/// Limits how many live PASIDs each owner holds: the per-set limit of the ioasid series of 2021, which was not
/// merged.
/// </summary>
/// <remarks>
/// <para>A PASID counts for the owner that asked for it, until it is freed, no matter by whom. Owner 0 has no quota:
/// neither counted nor limited. A refusal changes nothing, and the inner allocator is not asked.</para>
/// <para>The gate is held across the inner call, so that a request that is going to fail never uses up the last place
/// of one that would succeed. The inner allocator belongs to this one: no other caller is allowed, and so a built-in
/// one is called without its gate. Memory, taken at construction: 2 bytes per PASID and 256 KiB for the owners'
/// counts.</para>
/// </remarks>
public sealed class QuotaPasidAllocator : IPasidAllocator, IUngatedAllocator, ISelfChecking
{
    /// <summary>The largest owner index.</summary>
    public const int MaxOwner = ushort.MaxValue;

    private readonly IPasidAllocator _inner;
    private readonly IUngatedAllocator _map;
    private readonly uint _first;
    private readonly ushort[] _owners;
    private readonly int[] _held = new int[MaxOwner + 1];
    private SpinGate _gate;

    /// <summary>Wraps an allocator of which nothing is live.</summary>
    /// <param name="inner">The allocator that decides which PASID comes next.</param>
    /// <param name="limitPerOwner">Most live PASIDs per owner, 0 (only owner 0 gets any) or more.</param>
    /// <exception cref="ArgumentOutOfRangeException">The limit is negative.</exception>
    /// <exception cref="ArgumentException">PASIDs of the inner allocator are live.</exception>
    public QuotaPasidAllocator(IPasidAllocator inner, int limitPerOwner)
    {
        ArgumentNullException.ThrowIfNull(inner);
        ArgumentOutOfRangeException.ThrowIfNegative(limitPerOwner);
        if (inner.LiveCount != 0)
        {
            throw new ArgumentException($"{inner.LiveCount} PASIDs are live already, must be 0.", nameof(inner));
        }

        _inner = inner;
        _map = UngatedAllocator.Of(inner);
        _first = inner.Range.First;
        _owners = new ushort[inner.Range.Count];
        LimitPerOwner = limitPerOwner;
        Name = inner.Name + "+quota";
    }

    public string Name { get; }
    public PasidRange Range => _inner.Range;

    public int LiveCount
    {
        get
        {
            _gate.Enter();
            try
            {
                return _inner.LiveCount;
            }
            finally
            {
                _gate.Exit();
            }
        }
    }

    /// <summary>Most live PASIDs per owner.</summary>
    public int LimitPerOwner { get; }

    /// <summary>How many live PASIDs an owner holds; 0 for owner 0, who is not counted.</summary>
    /// <param name="owner">The owner, 0 to <see cref="MaxOwner"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such owner.</exception>
    public int HeldBy(int owner)
    {
        ThrowIfNoOwner(owner);
        return Volatile.Read(in _held[owner]);
    }

    /// <exception cref="ArgumentOutOfRangeException">The request's owner is not 0 to
    /// <see cref="MaxOwner"/>.</exception>
    public PasidAllocation Allocate(in PasidRequest request)
    {
        ThrowIfNoOwner(request.Owner);
        _gate.Enter();
        try
        {
            return AllocateUngated(in request);
        }
        finally
        {
            _gate.Exit();
        }
    }

    public PasidFreeStatus Free(Pasid pasid)
    {
        _gate.Enter();
        try
        {
            return FreeUngated(pasid);
        }
        finally
        {
            _gate.Exit();
        }
    }

    public bool TryReserve(Pasid pasid)
    {
        _gate.Enter();
        try
        {
            return _map.TryReserve(pasid);
        }
        finally
        {
            _gate.Exit();
        }
    }

    public bool IsLive(Pasid pasid)
    {
        _gate.Enter();
        try
        {
            return _map.IsLive(pasid);
        }
        finally
        {
            _gate.Exit();
        }
    }

    PasidAllocation IUngatedAllocator.Allocate(in PasidRequest request)
    {
        ThrowIfNoOwner(request.Owner);
        return AllocateUngated(in request);
    }

    PasidFreeStatus IUngatedAllocator.Free(Pasid pasid) => FreeUngated(pasid);
    bool IUngatedAllocator.TryReserve(Pasid pasid) => _map.TryReserve(pasid);
    bool IUngatedAllocator.IsLive(Pasid pasid) => _map.IsLive(pasid);

    void ISelfChecking.AssertInvariants()
    {
        _gate.Enter();
        try
        {
            Invariant.HoldsFor(_inner);
            Dictionary<int, int> counted = [];
            for (int i = 0; i < _owners.Length; i++)
            {
                if (_owners[i] != 0)
                {
                    counted[_owners[i]] = counted.GetValueOrDefault(_owners[i]) + 1;
                    Pasid pasid = new(_first + (uint)i);
                    Invariant.Holds(_inner.IsLive(pasid), "an owner is charged for a PASID that is not live");
                }
            }

            foreach ((int owner, int count) in counted)
            {
                Invariant.Holds(count == _held[owner], "an owner's count differs from the PASIDs it holds");
                Invariant.Holds(count <= LimitPerOwner, "an owner holds more than its quota");
            }

            Invariant.Holds(
                counted.Values.Sum() == _held.Sum(), "an owner is charged for PASIDs that have no holder");
        }
        finally
        {
            _gate.Exit();
        }
    }

    private static void ThrowIfNoOwner(int owner)
    {
        if ((uint)owner > MaxOwner)
        {
            throw new ArgumentOutOfRangeException(nameof(owner), owner, $"An owner is 0 (none) to {MaxOwner}.");
        }
    }

    private PasidAllocation AllocateUngated(in PasidRequest request)
    {
        int owner = request.Owner;
        if (owner != 0 && _held[owner] >= LimitPerOwner)
        {
            // An impossible range is the caller's mistake in any case; EINVAL before ENOSPC.
            return PasidAllocation.None(request.Range.Intersect(Range).IsEmpty
                ? PasidAllocationStatus.InvalidRange
                : PasidAllocationStatus.QuotaExceeded);
        }

        PasidAllocation allocation = _map.Allocate(in request);
        if (allocation.IsAllocated && owner != 0)
        {
            _owners[allocation.Pasid.Value - _first] = (ushort)owner;
            _held[owner]++;
        }

        return allocation;
    }

    private PasidFreeStatus FreeUngated(Pasid pasid)
    {
        PasidFreeStatus status = _map.Free(pasid);
        if (status == PasidFreeStatus.Freed)
        {
            ref ushort owner = ref _owners[pasid.Value - _first];
            if (owner != 0)
            {
                _held[owner]--;
                owner = 0;
            }
        }

        return status;
    }
}
