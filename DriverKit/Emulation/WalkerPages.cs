// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Emulation;

/// <summary>
/// What has arrived where a walker reads: the words of live pages, and for each word every value that it had since the
/// last invalidation completed. Not safe for concurrent use: <see cref="ModelMemory"/> locks.
/// </summary>
internal sealed class WalkerPages
{
    public const int PageBytes = 4096;
    private const int PageShift = 12;
    private const int PageWords = PageBytes / 8;
    private const int MaxStrays = 256;
    private readonly Dictionary<ulong, Page> _pages = [];
    private readonly HashSet<ulong> _freed = [];
    private readonly HashSet<Page> _windowed = [];
    private readonly List<StrayRead> _strays = [];
    public IReadOnlyList<StrayRead> Strays => _strays;

    /// <summary>A page is there from now on.</summary>
    /// <param name="address">Its first byte.</param>
    /// <param name="fill">What its words show.</param>
    public void Add(ulong address, ulong fill)
    {
        var page = new Page();
        if (fill != 0)
        {
            Array.Fill(page.Words, fill);
        }

        _pages[address >> PageShift] = page;
        _freed.Remove(address >> PageShift);
    }

    /// <summary>A page and what its words were are gone.</summary>
    public void Remove(ulong address)
    {
        if (_pages.Remove(address >> PageShift, out Page? page))
        {
            _windowed.Remove(page);
        }

        _freed.Add(address >> PageShift);
    }

    public bool IsLive(ulong address, long bytes)
    {
        ulong end = address + (ulong)bytes;
        if (end < address)
        {
            return false;
        }

        for (ulong page = address >> PageShift; page << PageShift < end; page++)
        {
            if (!_pages.ContainsKey(page))
            {
                return false;
            }
        }

        return true;
    }

    /// <exception cref="ArgumentException">A part of the range is not memory.</exception>
    public void RequireLive(ulong address, long bytes)
    {
        if (!IsLive(address, bytes))
        {
            throw new ArgumentException(Text($"No memory at 0x{address:x}: no live page is there."), nameof(address));
        }
    }

    public bool TryRead(ulong address, out ulong value)
    {
        bool isLive = _pages.TryGetValue(address >> PageShift, out Page? page);
        value = isLive ? page!.Words[Index(address)] : 0;
        return isLive;
    }

    /// <summary>A word has arrived; without effect where its page is gone.</summary>
    public void Show(ulong address, ulong value)
    {
        if (_pages.TryGetValue(address >> PageShift, out Page? page))
        {
            Remember(page, Index(address), value);
            page.Words[Index(address)] = value;
        }
    }

    /// <summary>The zeroes of a fresh line have arrived.</summary>
    public void ShowZeroes(ulong line, int bytes)
    {
        if (_pages.TryGetValue(line >> PageShift, out Page? page))
        {
            page.Words.AsSpan(Index(line), bytes / 8).Clear();
        }
    }

    /// <summary>A word is seen for the time of a probe.</summary>
    /// <param name="before">Takes what it was; <see cref="Restore"/> brings that back.</param>
    /// <param name="address">Where.</param>
    /// <param name="value">What is seen.</param>
    public void ShowFor(Dictionary<ulong, ulong> before, ulong address, ulong value)
    {
        if (_pages.TryGetValue(address >> PageShift, out Page? page))
        {
            before.TryAdd(address, page.Words[Index(address)]);
            page.Words[Index(address)] = value;
        }
    }

    public void Restore(Dictionary<ulong, ulong> before)
    {
        foreach ((ulong address, ulong value) in before)
        {
            if (_pages.TryGetValue(address >> PageShift, out Page? page))
            {
                page.Words[Index(address)] = value;
            }
        }
    }

    /// <summary>A walk that is under way may read a value of a word from now on.</summary>
    public void Remember(ulong address, ulong value)
    {
        if (_pages.TryGetValue(address >> PageShift, out Page? page))
        {
            Remember(page, Index(address), value);
        }
    }

    /// <summary>The values that a walk under way may have read of a word.</summary>
    public ulong[] Window(ulong address) =>
        _pages.TryGetValue(address >> PageShift, out Page? page)
            ? page.Window.TryGetValue(Index(address), out List<ulong>? values)
                ? [.. values]
                : [page.Words[Index(address)]]
            : [0];

    /// <summary>No walk is under way any more that has to do with a range.</summary>
    public void Settle(ulong start, ulong end)
    {
        if (end == ulong.MaxValue)
        {
            foreach (Page page in _windowed)
            {
                page.Window.Clear();
            }

            _windowed.Clear();
            return;
        }

        for (ulong at = start; at < end; at += 8)
        {
            if (_pages.TryGetValue(at >> PageShift, out Page? page))
            {
                page.Window.Remove(Index(at));
            }
        }
    }

    /// <summary>A walker read where no live page is.</summary>
    public void Stray(ulong address)
    {
        if (_strays.Count < MaxStrays)
        {
            _strays.Add(new StrayRead(address, _freed.Contains(address >> PageShift)));
        }
    }

    private static int Index(ulong address) => (int)((address >> 3) & (PageWords - 1));

    // A word's window begins with what it was before the first store.
    private void Remember(Page page, int index, ulong value)
    {
        if (!page.Window.TryGetValue(index, out List<ulong>? values))
        {
            page.Window[index] = values = [page.Words[index]];
            _windowed.Add(page);
        }

        if (!values.Contains(value))
        {
            values.Add(value);
        }
    }

    private sealed class Page
    {
        public ulong[] Words { get; } = new ulong[PageWords];
        public Dictionary<int, List<ulong>> Window { get; } = [];
    }
}
