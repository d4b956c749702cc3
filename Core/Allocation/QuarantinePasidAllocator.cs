// SPDX-License-Identifier: Apache-2.0
using System.Numerics;

namespace PasidFramework.Allocation;

/// <summary>
/// Keeps a freed PASID back until so many further PASIDs have been freed and so much time has passed, then gives it
/// to the inner allocator. A late fault or interrupt that still carries the PASID then meets no process instead of a
/// new owner.
/// </summary>
/// <remarks>
/// <para>A waiting PASID is not live (<see cref="IsLive"/> is false, freeing it again is NotAllocated) and not free:
/// live + free + waiting is always the number of PASIDs. It may be reserved; then it stops waiting and never comes
/// back.</para>
/// <para><b>Strict:</b> nothing leaves early. Where only waiting PASIDs are left the answer is NoSpace, because a
/// promise that gives way under load fails exactly when late requests are likeliest. <b>Price:</b> up to <c>frees</c>
/// PASIDs (with a time, up to all of them) lie idle, and because the wait takes further frees, <c>frees</c> must stay
/// smaller than the count of PASIDs that can be allocated: a space of which everything waits would never give a
/// PASID again. (Reserving PASIDs later, until no more than <c>frees</c> are left, leads there too.)</para>
/// <para>PASIDs leave in the order of their frees, at every <see cref="Allocate"/> and <see cref="Free"/>; no timer
/// runs, so the first call after a long pause gives back whatever became due meanwhile. A PASID that the inner
/// allocator refuses to take back (a delegate's error) waits for ever, since its holder is unknown. The inner
/// allocator belongs to this one: no other caller is allowed, and so a built-in one is called without its gate.
/// Memory, taken at construction: one bit per PASID, and 4 bytes for each PASID that can wait (12 with a time; then
/// that is every PASID).</para>
/// </remarks>
public sealed class QuarantinePasidAllocator : IPasidAllocator, IUngatedAllocator, ISelfChecking
{
    /// <summary>Longest wait in milliseconds: a day.</summary>
    public const int MaxMilliseconds = 86_400_000;

    // A slot whose PASID was reserved while it waited. It stays, because it still is a free that others wait for.
    private const uint Vacated = uint.MaxValue;
    private readonly IPasidAllocator _inner;
    private readonly IUngatedAllocator _map;
    private readonly TimeProvider _time;
    private readonly int _frees;
    private readonly long _waitTicks;
    private readonly uint _first;
    private readonly ulong[] _waiting;
    private readonly uint[] _ring;
    private readonly long[] _freedAt;
    private int _head;
    private int _slots;
    private int _waitingCount;
    private SpinGate _gate;

    /// <summary>Wraps an allocator of which nothing is live.</summary>
    /// <param name="inner">The allocator that decides which PASID comes next.</param>
    /// <param name="frees">How many further frees a PASID waits for, 0 to one less than the inner range
    /// holds.</param>
    /// <param name="milliseconds">How long it waits at least, in milliseconds, 0 to
    /// <see cref="MaxMilliseconds"/>.</param>
    /// <param name="time">The clock; only its timestamps are read, and only where there is a time to wait.</param>
    /// <exception cref="ArgumentOutOfRangeException">A limit is exceeded.</exception>
    /// <exception cref="ArgumentException">PASIDs of the inner allocator are live.</exception>
    public QuarantinePasidAllocator(IPasidAllocator inner, int frees, int milliseconds, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(inner);
        ArgumentNullException.ThrowIfNull(time);
        long count = inner.Range.Count;
        if (frees < 0 || frees > Math.Max(count - 1, 0))
        {
            throw new ArgumentOutOfRangeException(
                nameof(frees), frees, $"A quarantine of {count} PASIDs lasts 0 to {count - 1} frees.");
        }

        if (milliseconds is < 0 or > MaxMilliseconds)
        {
            throw new ArgumentOutOfRangeException(
                nameof(milliseconds), milliseconds, $"A quarantine lasts 0 to {MaxMilliseconds} ms.");
        }

        if (inner.LiveCount != 0)
        {
            throw new ArgumentException($"{inner.LiveCount} PASIDs are live already, must be 0.", nameof(inner));
        }

        _inner = inner;
        _map = UngatedAllocator.Of(inner);
        _time = time;
        _frees = frees;
        _waitTicks = Ticks(milliseconds, time);
        _first = inner.Range.First;
        _waiting = new ulong[(count + 63) / 64];

        // Without a time at most "frees" PASIDs wait, and one more for the moment between its arrival and the
        // departure of the oldest.
        _ring = new uint[milliseconds == 0 ? frees + 1 : Math.Max(count, 1)];
        _freedAt = milliseconds == 0 ? [] : new long[_ring.Length];
        Name = inner.Name + "+quarantine";
    }

    public string Name { get; }
    public PasidRange Range => _inner.Range;

    /// <remarks>Waiting PASIDs do not count.</remarks>
    public int LiveCount
    {
        get
        {
            _gate.Enter();
            try
            {
                return _inner.LiveCount - _waitingCount;
            }
            finally
            {
                _gate.Exit();
            }
        }
    }

    /// <summary>How many PASIDs wait, as of the last <see cref="Allocate"/> or <see cref="Free"/>.</summary>
    public int WaitingCount => Volatile.Read(in _waitingCount);

    /// <remarks>NoSpace also where PASIDs of the range wait.</remarks>
    public PasidAllocation Allocate(in PasidRequest request)
    {
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

    /// <remarks>Freed means that the PASID waits now. A waiting PASID is NotAllocated.</remarks>
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

    /// <remarks>True for a waiting PASID: it is not live, and never comes back.</remarks>
    public bool TryReserve(Pasid pasid)
    {
        _gate.Enter();
        try
        {
            return TryReserveUngated(pasid);
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
            return IsLiveUngated(pasid);
        }
        finally
        {
            _gate.Exit();
        }
    }

    PasidAllocation IUngatedAllocator.Allocate(in PasidRequest request) => AllocateUngated(in request);
    PasidFreeStatus IUngatedAllocator.Free(Pasid pasid) => FreeUngated(pasid);
    bool IUngatedAllocator.TryReserve(Pasid pasid) => TryReserveUngated(pasid);
    bool IUngatedAllocator.IsLive(Pasid pasid) => IsLiveUngated(pasid);

    void ISelfChecking.AssertInvariants()
    {
        _gate.Enter();
        try
        {
            Invariant.HoldsFor(_inner);
            int bits = 0;
            for (int i = 0; i < _waiting.Length; i++)
            {
                bits += BitOperations.PopCount(_waiting[i]);
                for (ulong left = _waiting[i]; left != 0; left &= left - 1)
                {
                    uint number = _first + (uint)((i * 64) + BitOperations.TrailingZeroCount(left));
                    Invariant.Holds(
                        _inner.IsLive(new Pasid(number)), "the inner allocator could allocate a waiting PASID");
                }
            }

            Invariant.Holds(bits == _waitingCount, "the count of waiting PASIDs differs from the map");
            Invariant.Holds(_waitTicks != 0 || _slots <= _frees, "a PASID waits for more frees than it has to");
            for (int i = 0; i < _slots; i++)
            {
                uint number = _ring[Wrap(_head + i)];
                Invariant.Holds(number == Vacated || IsWaiting(number), "a queued PASID does not wait");
            }
        }
        finally
        {
            _gate.Exit();
        }
    }

    private static long Ticks(int milliseconds, TimeProvider time) =>
        milliseconds == 0 ? 0 : (long)Math.Ceiling((decimal)milliseconds * time.TimestampFrequency / 1000);

    private PasidAllocation AllocateUngated(in PasidRequest request)
    {
        if (_waitTicks != 0 && _slots != 0)
        {
            ReleaseDue(_time.GetTimestamp());
        }

        return _map.Allocate(in request);
    }

    private PasidFreeStatus FreeUngated(Pasid pasid)
    {
        if (!IsLiveUngated(pasid))
        {
            return PasidFreeStatus.NotAllocated;
        }

        long now = _waitTicks == 0 ? 0 : _time.GetTimestamp();
        Enqueue(pasid.Value, now);
        ReleaseDue(now);
        return PasidFreeStatus.Freed;
    }

    private bool TryReserveUngated(Pasid pasid)
    {
        if (!IsWaiting(pasid.Value))
        {
            return _map.TryReserve(pasid);
        }

        Vacate(pasid.Value);
        return !TryReturn(pasid.Value) || _map.TryReserve(pasid);
    }

    private bool IsLiveUngated(Pasid pasid) => _map.IsLive(pasid) && !IsWaiting(pasid.Value);

    private bool IsWaiting(uint pasid)
    {
        uint index = pasid - _first;
        uint word = index >> 6;
        return word < (uint)_waiting.Length && (_waiting[word] & (1UL << (int)index)) != 0;
    }

    private void Enqueue(uint pasid, long now)
    {
        int slot = Wrap(_head + _slots);
        _ring[slot] = pasid;
        if (_waitTicks != 0)
        {
            _freedAt[slot] = now;
        }

        uint index = pasid - _first;
        _waiting[index >> 6] |= 1UL << (int)index;
        _waitingCount++;
        _slots++;
    }

    // Every free takes one slot and slots leave in order, so the slots behind the oldest one are its further frees.
    private void ReleaseDue(long now)
    {
        while (_slots > _frees && (_waitTicks == 0 || now - _freedAt[_head] >= _waitTicks))
        {
            uint pasid = _ring[_head];
            _head = Wrap(_head + 1);
            _slots--;
            if (pasid != Vacated)
            {
                _ = TryReturn(pasid);
            }
        }
    }

    // On failure the PASID stays marked as waiting, without a slot: for ever.
    private bool TryReturn(uint pasid)
    {
        if (_map.Free(new Pasid(pasid)) != PasidFreeStatus.Freed)
        {
            return false;
        }

        uint index = pasid - _first;
        _waiting[index >> 6] &= ~(1UL << (int)index);
        _waitingCount--;
        return true;
    }

    private void Vacate(uint pasid)
    {
        for (int i = 0; i < _slots; i++)
        {
            int slot = Wrap(_head + i);
            if (_ring[slot] == pasid)
            {
                _ring[slot] = Vacated;
                return;
            }
        }
    }

    private int Wrap(int slot) => slot < _ring.Length ? slot : slot - _ring.Length;
}
