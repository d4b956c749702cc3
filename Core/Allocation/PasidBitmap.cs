// SPDX-License-Identifier: Apache-2.0
using System.Numerics;
using System.Runtime.CompilerServices;

namespace PasidFramework.Allocation;

/// <summary>
/// Which PASIDs of a range are free: one bit per PASID, and three summary levels above it in which a set bit says
/// "the word below holds a free PASID". Exact, so that the next free PASID is found in at most seven words however
/// full the range is.
/// </summary>
/// <remarks>
/// A mutable struct without a lock of its own: keep it in a field that is not readonly, never copy it, and hold the
/// owner's gate around every call. Nothing is allocated after construction. Methods take PASIDs and expect them inside
/// the range; callers clamp first. Those that say <c>Index</c> take and give PASIDs counted from the range's first one.
/// </remarks>
internal struct PasidBitmap
{
    /// <summary>Returned where there is no such PASID; no PASID has this value.</summary>
    public const uint None = uint.MaxValue;

    private const int WordBits = 64;
    private readonly uint _first;
    private readonly int _count;

    // 2^20 PASIDs are 16384, 256 and 4 words; the one word on top then uses 4 bits.
    private readonly ulong[] _level0;
    private readonly ulong[] _level1;
    private readonly ulong[] _level2;
    private ulong _level3;

    // A bit that is neither free nor reserved is live. The separate map is read only where something is reserved.
    private readonly ulong[] _reserved;
    private int _reservedCount;

    // The indices from the smallest reserved one on, as many as have to be read: one comparison spares the rest.
    private uint _reservedFrom;
    private uint _reservedSpan;
    private int _liveCount;

    /// <summary>Makes a map with every PASID of a range free.</summary>
    /// <param name="range">The PASIDs; may be empty.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range holds PASIDs of more than 20 bits.</exception>
    public PasidBitmap(PasidRange range)
    {
        ThrowIfTooWide(range);
        _first = range.First;
        _count = (int)range.Count;

        // At least one word, so that a search of no PASIDs needs no check of its own.
        _level0 = _count == 0 ? new ulong[1] : AllSet(_count);
        _level1 = _count == 0 ? new ulong[1] : AllSet(_level0.Length);
        _level2 = _count == 0 ? new ulong[1] : AllSet(_level1.Length);
        _level3 = _count == 0 ? 0 : AllSet(_level2.Length)[0];
        _reserved = new ulong[_level0.Length];
    }

    /// <summary>The range's first PASID.</summary>
    public readonly uint First => _first;

    /// <summary>How many PASIDs the range holds.</summary>
    public readonly int Count => _count;

    /// <summary>How many PASIDs are taken and not released.</summary>
    public readonly int LiveCount => Volatile.Read(in _liveCount);

    /// <summary>How many PASIDs are free.</summary>
    public readonly int FreeCount => _count - _reservedCount - _liveCount;

    /// <exception cref="ArgumentOutOfRangeException">The range holds PASIDs of more than 20 bits.</exception>
    public static void ThrowIfTooWide(PasidRange range)
    {
        if (!range.IsEmpty && range.Last > Pasid.MaxValue)
        {
            throw new ArgumentOutOfRangeException(
                nameof(range), range, "A PASID has at most 20 bits (0 to 0xFFFFF; PCIe PASID capability).");
        }
    }

    /// <summary>The smallest free PASID of [from, last], or <see cref="None"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly uint FindNext(uint from, uint last)
    {
        uint index = from - _first;
        uint word = index >> 6;
        ulong candidates = _level0[word] & (ulong.MaxValue << (int)index);
        uint found = candidates != 0 ? (word << 6) | Lowest(candidates) : FindNextAbove(word);
        return found <= last - _first ? found + _first : None;
    }

    /// <summary>The largest free PASID of [first, from], or <see cref="None"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly uint FindPrevious(uint from, uint first)
    {
        uint index = from - _first;
        uint word = index >> 6;
        ulong candidates = _level0[word] & (ulong.MaxValue >> (int)(63 - (index & 63)));
        uint found = candidates != 0 ? (word << 6) | Highest(candidates) : FindPreviousBelow(word);

        // None is above every offset, so one comparison for each end.
        return found <= index && found >= first - _first ? found + _first : None;
    }

    /// <summary>Makes a free PASID live.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Take(uint pasid)
    {
        Clear(pasid - _first);
        _liveCount++;
    }

    /// <summary>Makes the smallest free PASID from an index on live.</summary>
    /// <returns>Its index, or <see cref="None"/>, and no change.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public uint TakeNextIndex(uint index)
    {
        ulong[] level0 = _level0;
        uint word = index >> 6;
        ulong old = level0[word];
        ulong candidates = old & (ulong.MaxValue << (int)index);
        if (candidates == 0)
        {
            return TakeNextAbove(word);
        }

        ulong left = old ^ (candidates & (0 - candidates));
        level0[word] = left;
        _liveCount++;
        if (left == 0)
        {
            ClearAbove(word);
        }

        return (word << 6) | Lowest(candidates);
    }

    /// <summary>Makes a live PASID free; false, and no change, where it is not live.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryRelease(uint pasid) => TryReleaseIndex(pasid - _first);

    /// <summary>As <see cref="TryRelease"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryReleaseIndex(uint index)
    {
        ulong[] level0 = _level0;
        uint word = index >> 6;
        ulong bit = 1UL << (int)index;
        ulong old = level0[word];
        if ((old & bit) != 0 || (index - _reservedFrom < _reservedSpan && (_reserved[word] & bit) != 0))
        {
            return false;
        }

        level0[word] = old | bit;
        _liveCount--;
        if (old == 0)
        {
            SetAbove(word);
        }

        return true;
    }

    public readonly bool IsLive(uint pasid)
    {
        uint index = pasid - _first;
        return ((_level0[index >> 6] | _reserved[index >> 6]) & (1UL << (int)index)) == 0;
    }

    /// <summary>Takes a PASID out of the map for good; false, and no change, where it is live.</summary>
    public bool TryReserve(uint pasid)
    {
        uint index = pasid - _first;
        ulong bit = 1UL << (int)index;
        if ((_reserved[index >> 6] & bit) != 0)
        {
            return true;
        }

        if ((_level0[index >> 6] & bit) == 0)
        {
            return false;
        }

        Clear(index);
        _reserved[index >> 6] |= bit;
        uint from = _reservedCount == 0 ? index : Math.Min(_reservedFrom, index);
        uint end = _reservedCount == 0 ? index + 1 : Math.Max(_reservedFrom + _reservedSpan, index + 1);
        _reservedFrom = from;
        _reservedSpan = end - from;
        _reservedCount++;
        return true;
    }

    public readonly bool IsReserved(uint pasid)
    {
        uint index = pasid - _first;
        return (_reserved[index >> 6] & (1UL << (int)index)) != 0;
    }

    /// <summary>Compares every level with the one below and the counters with the bits.</summary>
    /// <exception cref="InvalidOperationException">They disagree.</exception>
    public readonly void AssertInvariants()
    {
        long free = 0;
        long reserved = 0;
        for (int i = 0; i < _level0.Length; i++)
        {
            free += BitOperations.PopCount(_level0[i]);
            reserved += BitOperations.PopCount(_reserved[i]);
            Invariant.Holds((_level0[i] & _reserved[i]) == 0, "a PASID is free and reserved at once");
            for (ulong left = _reserved[i]; left != 0; left &= left - 1)
            {
                uint index = (uint)(i * WordBits) + Lowest(left);
                Invariant.Holds(index - _reservedFrom < _reservedSpan, "a reserved PASID is outside of their span");
            }
        }

        ulong[] all = AllSet(_count);
        if (all.Length > 0)
        {
            Invariant.Holds(((_level0[^1] | _reserved[^1]) & ~all[^1]) == 0, "a PASID beyond the range is in the map");
        }

        Invariant.Holds(reserved == _reservedCount, "the count of reserved PASIDs differs from the map");
        Invariant.Holds(free == FreeCount, "live + free + reserved differs from the size of the range");
        Invariant.Holds(_liveCount >= 0, "the live count is negative");
        AssertSummary(_level0, _level1);
        AssertSummary(_level1, _level2);
        AssertSummary(_level2, [_level3]);
    }

    private static void AssertSummary(ulong[] below, ReadOnlySpan<ulong> above)
    {
        for (int i = 0; i < above.Length * WordBits; i++)
        {
            bool expected = i < below.Length && below[i] != 0;
            bool actual = ((above[i / WordBits] >> (i % WordBits)) & 1) != 0;
            Invariant.Holds(expected == actual, "a summary bit differs from the word below it");
        }
    }

    private static ulong[] AllSet(int bits)
    {
        ulong[] words = new ulong[(bits + WordBits - 1) / WordBits];
        Array.Fill(words, ulong.MaxValue);
        if (bits % WordBits != 0)
        {
            words[^1] = (1UL << (bits % WordBits)) - 1;
        }

        return words;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Lowest(ulong word) => (uint)BitOperations.TrailingZeroCount(word);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Highest(ulong word) => (uint)BitOperations.Log2(word);

    // Two shifts, because a shift by 64 is a shift by 0. The processor masks the amount to 6 bits.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Above(uint bit) => (ulong.MaxValue << 1) << (int)bit;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Below(uint bit) => (1UL << (int)bit) - 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Clear(uint index)
    {
        uint word = index >> 6;
        ulong left = _level0[word] & ~(1UL << (int)index);
        _level0[word] = left;
        if (left == 0)
        {
            ClearAbove(word);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void ClearAbove(uint word)
    {
        if ((_level1[word >> 6] &= ~(1UL << (int)word)) == 0
            && (_level2[word >> 12] &= ~(1UL << (int)(word >> 6))) == 0)
        {
            _level3 &= ~(1UL << (int)(word >> 12));
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private uint TakeNextAbove(uint word)
    {
        uint index = FindNextAbove(word);
        if (index != None)
        {
            Clear(index);
            _liveCount++;
        }

        return index;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private readonly uint FindNextAbove(uint word0)
    {
        uint word1 = word0 >> 6;
        ulong candidates = _level1[word1] & Above(word0);
        if (candidates == 0)
        {
            uint word2 = word1 >> 6;
            candidates = _level2[word2] & Above(word1);
            if (candidates == 0)
            {
                candidates = _level3 & Above(word2);
                if (candidates == 0)
                {
                    return None;
                }

                word2 = Lowest(candidates);
                candidates = _level2[word2];
            }

            word1 = (word2 << 6) | Lowest(candidates);
            candidates = _level1[word1];
        }

        word0 = (word1 << 6) | Lowest(candidates);
        return (word0 << 6) | Lowest(_level0[word0]);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private readonly uint FindPreviousBelow(uint word0)
    {
        uint word1 = word0 >> 6;
        ulong candidates = _level1[word1] & Below(word0);
        if (candidates == 0)
        {
            uint word2 = word1 >> 6;
            candidates = _level2[word2] & Below(word1);
            if (candidates == 0)
            {
                candidates = _level3 & Below(word2);
                if (candidates == 0)
                {
                    return None;
                }

                word2 = Highest(candidates);
                candidates = _level2[word2];
            }

            word1 = (word2 << 6) | Highest(candidates);
            candidates = _level1[word1];
        }

        word0 = (word1 << 6) | Highest(candidates);
        return (word0 << 6) | Highest(_level0[word0]);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void SetAbove(uint word)
    {
        _level1[word >> 6] |= 1UL << (int)word;
        _level2[word >> 12] |= 1UL << (int)(word >> 6);
        _level3 |= 1UL << (int)(word >> 12);
    }
}
