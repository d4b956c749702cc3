// SPDX-License-Identifier: Apache-2.0
using System.Numerics;
using System.Runtime.CompilerServices;

namespace PasidFramework.Allocation;

/// <summary>
/// Next fit with wrap, with a stock of up to 64 PASIDs per thread: threads that allocate at once do not touch each
/// other's cache lines, except once in 64 allocations. Alone, a thread gets the PASIDs of
/// <see cref="CyclicPasidAllocator"/>.
/// </summary>
/// <remarks>
/// <para>A stock is an aligned block of 64 PASIDs. A thread takes PASIDs of its stock in order, then the next block
/// behind the last one that any thread took: one cursor for all, in steps of 64. A stock is a preference and no
/// possession: its PASIDs stay in the map, and once nothing else is free in the asked range any thread takes them. So
/// NoSpace means that at one moment during the call no PASID of the range was free, whichever threads stocked or freed
/// them. A stock ends with its thread.</para>
/// <para>The reuse distance is that of the cyclic policy less 64 for each other thread's stock; a PASID that is freed
/// in front of a thread's place in its stock may come back with that thread's next allocations, as in front of the
/// cyclic cursor. A request for a narrow range moves the caller's stock and the cursor there. <b>Price:</b> there is no
/// order among threads; blocks of idle threads are passed over, so tables are less dense; a single thread is slower
/// than with the gated policies; <see cref="LiveCount"/> adds up threads, and an answer of NoSpace has read the asked
/// part of the map. A decorator (quarantine, quota) has one gate for all threads and takes the advantage away.</para>
/// <para>Lock-free but for reservations and a thread's first call: no thread waits for a preempted one. Memory: one
/// byte per PASID of the range, because a word of 64 has a cache line of its own, and some 300 bytes for each of the
/// most threads that ever ran at once, taken by a thread's first call; no other call allocates.</para>
/// </remarks>
public sealed partial class ShardedPasidAllocator : IPasidAllocator, ISelfChecking
{
    private const int WordBits = 64;
    private const ulong Full = ulong.MaxValue;

    // Words of 64 bits from one cache line to the next.
    private const int Stride = 8;
    private const uint None = uint.MaxValue;
    private readonly uint _first;
    private readonly uint _last;
    private readonly uint _count;
    private readonly int _words;

    // At w * Stride: which PASIDs of word w are taken (live, reserved, or beyond the range); behind it, whose stock it
    // is. Taken and not free, so that untouched memory is right as it is.
    private readonly ulong[] _taken;

    // A set bit says "this word has nothing free", for a search that would visit it. Never set where something is free
    // and no call is under way; cleared by the free that makes it wrong, set by a search that met a full word.
    private readonly ulong[] _full;
    private readonly ulong[] _reserved;
    private readonly Lock _slow = new();

    // No PASID from here on is reserved: one comparison spares most calls the map.
    private uint _reservedEnd;

    // By managed thread id: unique among running threads, small, and used again only after its thread's end.
    private Stock?[] _stocks = new Stock?[16];
    private uint _cursor;

    /// <summary>Makes an allocator with every PASID of a range free.</summary>
    /// <param name="range">The PASIDs it may allocate; may be empty.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range holds PASIDs of more than 20 bits.</exception>
    public ShardedPasidAllocator(PasidRange range)
    {
        PasidBitmap.ThrowIfTooWide(range);
        Range = range;
        _first = range.First;
        _last = range.Last;
        _count = (uint)range.Count;
        _words = (int)((_count + WordBits - 1) / WordBits);
        _taken = new ulong[_words * Stride];
        _full = new ulong[(_words + WordBits - 1) / WordBits];
        _reserved = new ulong[_words];
        if (_count % WordBits != 0)
        {
            _taken[^Stride] = Full << (int)_count;
        }
    }

    public string Name => PasidAllocators.Sharded;
    public PasidRange Range { get; }

    /// <remarks>Exact for calls that have returned; a call that is under way counts or does not.</remarks>
    public int LiveCount
    {
        get
        {
            long live;
            long calls;
            long before = -1;
            int tries = 0;
            do
            {
                calls = before;
                (live, before) = Count();
            }
            while (calls != before && ++tries < 64);
            return (int)live;
        }
    }

    public PasidAllocation Allocate(in PasidRequest request)
    {
        Stock stock = StockOfThisThread();
        ulong left = stock.Left;
        if (left != 0 && request.Range.First <= _first && request.Range.Last >= _last)
        {
            uint word = stock.Word;
            ref ulong taken = ref _taken[word * Stride];
            ulong old = Volatile.Read(ref taken);
            ulong candidates = ~old & left;
            ulong bit = candidates & (0 - candidates);
            if (candidates != 0 && Interlocked.CompareExchange(ref taken, old | bit, old) == old)
            {
                uint index = (word * WordBits) + (uint)BitOperations.TrailingZeroCount(candidates);
                if (!IsReserved(index) || !IsReservedForGood(index))
                {
                    stock.Left = 0 - (bit << 1);
                    stock.CountTaken();
                    return PasidAllocation.Of(_first + index);
                }
            }
        }

        return AllocateSlow(stock, in request);
    }

    public PasidFreeStatus Free(Pasid pasid)
    {
        uint index = pasid.Value - _first;
        if (index >= _count)
        {
            return PasidFreeStatus.NotAllocated;
        }

        Stock stock = StockOfThisThread();
        uint word = index / WordBits;
        ulong bit = 1UL << (int)index;
        ref ulong taken = ref _taken[word * Stride];
        while (true)
        {
            // Taken first, then reserved: a reservation stores in the opposite order.
            ulong old = Volatile.Read(ref taken);
            if ((old & bit) == 0 || (IsReserved(index) && IsReservedForGood(index)))
            {
                return PasidFreeStatus.NotAllocated;
            }

            if (Interlocked.CompareExchange(ref taken, old & ~bit, old) == old)
            {
                if (old == Full)
                {
                    Unmark(word);
                }

                // Behind the store and before the return: NoSpace is an answer only where no free came between.
                stock.CountFreed();
                return PasidFreeStatus.Freed;
            }
        }
    }

    /// <remarks>True for a PASID outside of <see cref="Range"/>: it is never allocated anyway.</remarks>
    public bool TryReserve(Pasid pasid)
    {
        uint index = pasid.Value - _first;
        if (index >= _count)
        {
            return true;
        }

        lock (_slow)
        {
            if (IsReserved(index))
            {
                return true;
            }

            ulong bit = 1UL << (int)index;

            // Marked before it is taken (both are ordered), so that a call that sees it taken does not take it for
            // live; unmarked if it was.
            Volatile.Write(ref _reserved[index / WordBits], _reserved[index / WordBits] | bit);
            Volatile.Write(ref _reservedEnd, Math.Max(_reservedEnd, index + 1));
            if ((Interlocked.Or(ref _taken[index / WordBits * Stride], bit) & bit) == 0)
            {
                return true;
            }

            Volatile.Write(ref _reserved[index / WordBits], _reserved[index / WordBits] & ~bit);
            return false;
        }
    }

    public bool IsLive(Pasid pasid)
    {
        uint index = pasid.Value - _first;
        return index < _count
            && (Volatile.Read(ref _taken[index / WordBits * Stride]) & (1UL << (int)index)) != 0
            && !(IsReserved(index) && IsReservedForGood(index));
    }

    /// <remarks>While no other call is under way.</remarks>
    void ISelfChecking.AssertInvariants()
    {
        lock (_slow)
        {
            long taken = 0;
            long reserved = 0;
            for (int word = 0; word < _words; word++)
            {
                ulong bits = Volatile.Read(ref _taken[word * Stride]);
                Invariant.Holds(
                    bits == Full || !IsMarked((uint)word), "a word with a free PASID is marked as full");
                Invariant.Holds((_reserved[word] & ~bits) == 0, "a PASID is free and reserved at once");
                for (ulong rest = _reserved[word]; rest != 0; rest &= rest - 1)
                {
                    uint index = (uint)((word * WordBits) + BitOperations.TrailingZeroCount(rest));
                    Invariant.Holds(index < _reservedEnd, "a reserved PASID is beyond their end");
                }

                taken += BitOperations.PopCount(bits);
                reserved += BitOperations.PopCount(_reserved[word]);
            }

            long beyond = (_words * (long)WordBits) - _count;
            Invariant.Holds(
                _words == 0 || BitOperations.LeadingZeroCount(~_taken[^Stride]) >= beyond,
                "a PASID beyond the range is free");
            Invariant.Holds(
                taken - reserved - beyond == Count().Live, "the threads' counts of live PASIDs differ from the map");
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool IsReserved(uint index) =>
        index < Volatile.Read(ref _reservedEnd)
            && (Volatile.Read(ref _reserved[index / WordBits]) & (1UL << (int)index)) != 0;

    // A reservation that finds its PASID live is about to take its mark back.
    private bool IsReservedForGood(uint index)
    {
        lock (_slow)
        {
            return IsReserved(index);
        }
    }
}
