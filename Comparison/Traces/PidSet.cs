// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Traces;

/// <summary>Process ids, a bit each: Linux has at most 2^22 of them.</summary>
internal sealed class PidSet
{
    private const int PageBits = 12;
    private readonly Dictionary<int, ulong[]> _pages = [];

    public void Add(int pid)
    {
        if (!_pages.TryGetValue(pid >> PageBits, out ulong[]? page))
        {
            _pages[pid >> PageBits] = page = new ulong[1 << (PageBits - 6)];
        }

        page[Word(pid)] |= 1UL << (pid & 63);
    }

    public void Remove(int pid)
    {
        if (_pages.TryGetValue(pid >> PageBits, out ulong[]? page))
        {
            page[Word(pid)] &= ~(1UL << (pid & 63));
        }
    }

    public bool Contains(int pid) => _pages.TryGetValue(pid >> PageBits, out ulong[]? page)
        && (page[Word(pid)] & (1UL << (pid & 63))) != 0;

    private static int Word(int pid) => (pid & ((1 << PageBits) - 1)) >> 6;
}
