// SPDX-License-Identifier: Apache-2.0
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace PasidFramework.Allocation;

public sealed partial class ShardedPasidAllocator
{
    /// <summary>What a search passes over.</summary>
    private enum Passing
    {
        /// <summary>Words marked as full, and other threads' stocks.</summary>
        Stocks,

        /// <summary>Words marked as full.</summary>
        Marks,

        /// <summary>Nothing.</summary>
        Nothing,
    }

    private PasidAllocation AllocateSlow(Stock stock, in PasidRequest request)
    {
        uint first = Math.Max(request.Range.First, _first);
        uint last = Math.Min(request.Range.Last, _last);
        if (first > last)
        {
            return PasidAllocation.None(PasidAllocationStatus.InvalidRange);
        }

        uint from = first - _first;
        uint to = last - _first;
        uint place = stock.Left != 0
            ? (stock.Word * WordBits) + (uint)BitOperations.TrailingZeroCount(stock.Left)
            : Volatile.Read(ref _cursor) * WordBits;
        uint start = place >= from && place <= to ? place : from;
        uint index = Search(stock, from, start, to, Passing.Stocks);
        if (index == None)
        {
            index = Search(stock, from, start, to, Passing.Marks);
        }

        // Marks may lag behind a free. Where no free ended while all words were read, PASIDs only became fewer
        // meanwhile, so at the end none was there.
        while (index == None)
        {
            long frees = CountFrees();
            index = Search(stock, from, start, to, Passing.Nothing);
            if (index == None && frees == CountFrees())
            {
                return PasidAllocation.None(PasidAllocationStatus.NoSpace);
            }
        }

        stock.CountTaken();
        return PasidAllocation.Of(_first + index);
    }

    // From start to the end of [from, to], then from its beginning.
    private uint Search(Stock stock, uint from, uint start, uint to, Passing passing)
    {
        uint index = SearchUp(stock, start, to, passing);
        return index == None && start > from ? SearchUp(stock, from, start - 1, passing) : index;
    }

    private uint SearchUp(Stock stock, uint from, uint to, Passing passing)
    {
        uint lastWord = to / WordBits;
        uint word = from / WordBits;
        ulong left = Full << (int)from;
        while (word <= lastWord)
        {
            if (word == lastWord)
            {
                left &= Full >> (int)(WordBits - 1 - (to % WordBits));
            }

            if (passing != Passing.Stocks || !IsStockOfAnother(word, stock))
            {
                uint index = TakeFrom(stock, word, left);
                if (index != None)
                {
                    return index;
                }

                if (Volatile.Read(ref _taken[word * Stride]) == Full)
                {
                    Mark(word);
                }
            }

            left = Full;
            word = passing == Passing.Nothing ? word + 1 : NextUnmarked(word + 1);
        }

        return None;
    }

    private uint TakeFrom(Stock stock, uint word, ulong left)
    {
        ref ulong taken = ref _taken[word * Stride];
        while (true)
        {
            ulong old = Volatile.Read(ref taken);
            ulong candidates = ~old & left;
            if (candidates == 0)
            {
                return None;
            }

            ulong bit = candidates & (0 - candidates);
            if (Interlocked.CompareExchange(ref taken, old | bit, old) != old)
            {
                continue;
            }

            uint index = (word * WordBits) + (uint)BitOperations.TrailingZeroCount(candidates);
            if (!IsReserved(index) || !IsReservedForGood(index))
            {
                MoveStock(stock, word, bit);
                return index;
            }
        }
    }

    private void MoveStock(Stock stock, uint word, ulong bit)
    {
        bool moved = stock.Word != word || _taken[(word * Stride) + 1] != stock.Id;
        stock.Word = word;
        stock.Left = 0 - (bit << 1);
        if (moved)
        {
            stock.BelongTo(Thread.CurrentThread);
            Volatile.Write(ref _taken[(word * Stride) + 1], stock.Id);
            Volatile.Write(ref _cursor, word + 1);
        }
    }

    // A guess is enough: two threads in one word only get in each other's way.
    private bool IsStockOfAnother(uint word, Stock stock)
    {
        ulong thread = Volatile.Read(ref _taken[(word * Stride) + 1]);
        return thread != 0 && thread != stock.Id
            && Volatile.Read(ref _stocks)[thread] is { } other
            && Volatile.Read(ref other.Word) == word && Volatile.Read(ref other.Left) != 0 && other.IsOwned;
    }

    private bool IsMarked(uint word) =>
        (Volatile.Read(ref _full[word / WordBits]) & (1UL << (int)word)) != 0;

    private void Mark(uint word)
    {
        Interlocked.Or(ref _full[word / WordBits], 1UL << (int)word);

        // A free before the mark saw none, and did not take it away.
        if (Volatile.Read(ref _taken[word * Stride]) != Full)
        {
            Unmark(word);
        }
    }

    private void Unmark(uint word)
    {
        // Seldom marked, and mostly read: no store without need.
        if (IsMarked(word))
        {
            Interlocked.And(ref _full[word / WordBits], ~(1UL << (int)word));
        }
    }

    private uint NextUnmarked(uint word)
    {
        uint at = word / WordBits;
        if (at >= (uint)_full.Length)
        {
            return None;
        }

        ulong unmarked = ~Volatile.Read(ref _full[at]) & (Full << (int)word);
        if (unmarked == 0)
        {
            int further = _full.AsSpan((int)at + 1).IndexOfAnyExcept(Full);
            if (further < 0)
            {
                return None;
            }

            at += (uint)further + 1;
            unmarked = ~Volatile.Read(ref _full[at]);
        }

        // A word that has been marked meanwhile is a detour and no mistake.
        return unmarked == 0 ? at * WordBits : (at * WordBits) + (uint)BitOperations.TrailingZeroCount(unmarked);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Stock StockOfThisThread()
    {
        Stock?[] stocks = Volatile.Read(ref _stocks);
        int thread = Environment.CurrentManagedThreadId;
        return (uint)thread < (uint)stocks.Length && stocks[thread] is { } stock ? stock : AddStock(thread);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private Stock AddStock(int thread)
    {
        lock (_slow)
        {
            Stock?[] stocks = _stocks;
            if (thread >= stocks.Length)
            {
                Array.Resize(ref stocks, (int)BitOperations.RoundUpToPowerOf2((uint)thread + 1));
            }

            Stock stock = stocks[thread] ??= new Stock(thread);
            Volatile.Write(ref _stocks, stocks);
            return stock;
        }
    }

    private long CountFrees()
    {
        long frees = 0;
        foreach (Stock? stock in Volatile.Read(ref _stocks))
        {
            frees += stock is null ? 0 : Volatile.Read(ref stock.Freed);
        }

        return frees;
    }

    // Frees first: a PASID that is freed in between was counted as taken before, so the result is never too small.
    private (long Live, long Calls) Count()
    {
        long frees = CountFrees();
        long takes = 0;
        foreach (Stock? stock in Volatile.Read(ref _stocks))
        {
            takes += stock is null ? 0 : Volatile.Read(ref stock.Taken);
        }

        return (takes - frees, takes + frees);
    }

    /// <summary>A thread's place, and what it has done. Stored to by that thread alone.</summary>
    /// <remarks>Padded so that no other object shares its cache lines, pairs of which some processors fetch.</remarks>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private sealed class Stock(int thread)
    {
        /// <summary>The thread's managed id; never 0.</summary>
        [FieldOffset(128)]
        public readonly ulong Id = (ulong)thread;

        /// <summary>The bits of its word that it has not passed yet.</summary>
        [FieldOffset(136)]
        public ulong Left;

        [FieldOffset(144)]
        public long Taken;

        [FieldOffset(152)]
        public long Freed;

        // Weak: the runtime gives an id again once the object of the thread that had it is gone.
        [FieldOffset(160)]
        private readonly WeakReference<Thread> _owner = new(Thread.CurrentThread);

        [FieldOffset(168)]
        public uint Word = None;

        /// <summary>Whether its thread still runs.</summary>
        public bool IsOwned => _owner.TryGetTarget(out Thread? owner) && owner.IsAlive;

        public void BelongTo(Thread thread)
        {
            if (!_owner.TryGetTarget(out Thread? owner) || owner != thread)
            {
                _owner.SetTarget(thread);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void CountTaken() => Volatile.Write(ref Taken, Taken + 1);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void CountFreed() => Volatile.Write(ref Freed, Freed + 1);
    }
}
