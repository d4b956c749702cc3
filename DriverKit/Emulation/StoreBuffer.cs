// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Emulation;

/// <summary>
/// Stores that a walker may not see yet: those in the CPU's caches where the walker does not snoop, and those that no
/// barrier has made certain. Not safe for concurrent use: <see cref="ModelMemory"/> locks.
/// </summary>
/// <param name="seen">Where they arrive.</param>
/// <param name="isCoherent">Whether the walker snoops.</param>
/// <param name="order">When stores are seen.</param>
internal sealed class StoreBuffer(WalkerPages seen, bool isCoherent, StoreOrder order)
{
    public const int LineBytes = 64;
    private const int MaxForSubsets = 5;
    private readonly List<Store> _stores = [];
    private readonly List<ulong> _flushedZeroLines = [];
    private readonly HashSet<ulong> _zeroLines = [];
    private readonly HashSet<ulong> _dirty = [];
    public readonly record struct Store(ulong Address, ulong Value);

    /// <summary>How many a walker may or may not see now; zeroes count as one.</summary>
    public int Count => _stores.Count + (_flushedZeroLines.Count > 0 ? 1 : 0);

    private bool IsWeak => order == StoreOrder.Weak;

    /// <summary>Fresh pages, whose zeroes were stored like everything else.</summary>
    public void Allocated(ulong start, ulong end)
    {
        bool hasArrived = isCoherent && !IsWeak;
        for (ulong page = start; page < end; page += WalkerPages.PageBytes)
        {
            seen.Add(page, hasArrived ? 0 : ModelMemory.Poison);
        }

        for (ulong line = start; line < end && !hasArrived; line += LineBytes)
        {
            if (isCoherent)
            {
                _flushedZeroLines.Add(line);
            }
            else
            {
                _zeroLines.Add(line);
            }
        }
    }

    /// <summary>Pages are gone, and what was on its way there.</summary>
    public void Freed(ulong start, ulong end)
    {
        for (ulong page = start; page < end; page += WalkerPages.PageBytes)
        {
            seen.Remove(page);
        }

        bool IsGone(ulong at) => at >= start && at < end;
        _stores.RemoveAll(store => IsGone(store.Address));
        _flushedZeroLines.RemoveAll(IsGone);
        _zeroLines.RemoveWhere(IsGone);
        _dirty.RemoveWhere(IsGone);
    }

    public void Stored(ulong address, ulong value)
    {
        if (isCoherent)
        {
            LeftTheCache(address, value);
        }
        else
        {
            _dirty.Add(address);
        }
    }

    /// <summary>A line is flushed, with what it holds now.</summary>
    public void WriteBack(ulong line, SystemMemory cpu)
    {
        if (_zeroLines.Remove(line))
        {
            if (IsWeak)
            {
                _flushedZeroLines.Add(line);
            }
            else
            {
                seen.ShowZeroes(line, LineBytes);
            }
        }

        for (ulong at = line; at < line + LineBytes; at += 8)
        {
            if (_dirty.Remove(at))
            {
                LeftTheCache(at, cpu.ReadQword(at));
            }
        }
    }

    /// <summary>What is pending has arrived.</summary>
    public void Barrier()
    {
        foreach (ulong line in _flushedZeroLines)
        {
            seen.ShowZeroes(line, LineBytes);
        }

        _flushedZeroLines.Clear();
        foreach (Store store in _stores)
        {
            seen.Show(store.Address, store.Value);
        }

        _stores.Clear();
    }

    /// <summary>Whether a store to a word will arrive later.</summary>
    public bool IsOnItsWay(ulong address) =>
        _dirty.Contains(address) || _stores.Exists(store => store.Address == address);

    /// <summary>A device wrote a word: no older store arrives there any more.</summary>
    public void Overtaken(ulong address)
    {
        _dirty.Remove(address);
        _stores.RemoveAll(store => store.Address == address);
    }

    /// <summary>Walks of a range have ended; new ones may still see what is pending.</summary>
    public void Settle(ulong start, ulong end)
    {
        seen.Settle(start, end);
        foreach (Store store in _stores)
        {
            if (store.Address >= start && store.Address < end)
            {
                seen.Remember(store.Address, store.Value);
            }
        }
    }

    public Snapshot Take() => new([.. _stores], [.. _flushedZeroLines]);

    /// <summary>Which of some pending stores are visible: every subset of a few, the telling ones of many.</summary>
    public static IEnumerable<bool[]> Subsets(int count)
    {
        bool[] Of(Func<int, bool> isVisible) => [.. Enumerable.Range(0, count).Select(isVisible)];
        if (count <= MaxForSubsets)
        {
            for (int bits = 0; bits < 1 << count; bits++)
            {
                yield return Of(i => (bits >> i & 1) != 0);
            }

            yield break;
        }

        for (int length = 0; length <= count; length++)
        {
            yield return Of(i => i < length);
        }

        for (int start = 1; start < count; start++)
        {
            yield return Of(i => i >= start);
        }

        for (int one = 0; one < count; one++)
        {
            yield return Of(i => i == one);
            yield return Of(i => i != one);
        }
    }

    private void LeftTheCache(ulong address, ulong value)
    {
        if (IsWeak)
        {
            seen.Remember(address, value);
            _stores.Add(new Store(address, value));
        }
        else
        {
            seen.Show(address, value);
        }
    }

    /// <summary>What was pending at one moment.</summary>
    public sealed class Snapshot(Store[] stores, ulong[] zeroes)
    {
        public int Count => stores.Length + (zeroes.Length > 0 ? 1 : 0);

        /// <summary>Shows a subset to the walker.</summary>
        /// <returns>What <see cref="WalkerPages.Restore"/> brings back.</returns>
        public Dictionary<ulong, ulong> Show(bool[] visible, WalkerPages seen)
        {
            var before = new Dictionary<ulong, ulong>();
            for (int i = 0; i < visible.Length; i++)
            {
                if (!visible[i])
                {
                    continue;
                }

                // The zeroes come first, because the page was fresh before anything was stored to it.
                if (i == 0 && zeroes.Length > 0)
                {
                    foreach (ulong line in zeroes)
                    {
                        for (ulong at = line; at < line + LineBytes; at += 8)
                        {
                            seen.ShowFor(before, at, 0);
                        }
                    }
                }
                else
                {
                    Store store = stores[i - (visible.Length - stores.Length)];
                    seen.ShowFor(before, store.Address, store.Value);
                }
            }

            return before;
        }
    }
}
