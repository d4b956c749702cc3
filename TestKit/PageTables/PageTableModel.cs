// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.TestKit.PageTables;

/// <summary>What a page table must say: a dictionary of pages, and where tables for smaller ones are.</summary>
internal sealed class PageTableModel(IPageTableFormat format)
{
    private readonly Dictionary<ulong, PageOperation> _pages = [];
    private readonly HashSet<(ulong Address, ulong Bytes)> _tables = [];

    public Errno Apply(in PageOperation operation)
    {
        ulong bytes = operation.Bytes;
        ulong address = operation.Address;
        bool isOfOtherSize = _tables.Contains((address, bytes)) || format.PageSizes.Any(
            larger => larger > bytes && _pages.TryGetValue(address & ~(larger - 1), out PageOperation page)
                && page.Bytes == larger);
        if (isOfOtherSize)
        {
            return Errno.EEXIST;
        }

        if (!operation.IsMap)
        {
            _pages.Remove(address);
            return Errno.None;
        }

        _pages[address] = operation;
        foreach (ulong larger in format.PageSizes.Where(size => size > bytes))
        {
            _tables.Add((address & ~(larger - 1), larger));
        }

        return Errno.None;
    }

    /// <summary>The piece of 4096 bytes that holds an address.</summary>
    public PageMapping? Find(ulong address)
    {
        foreach (ulong bytes in format.PageSizes)
        {
            ulong start = address & ~(bytes - 1);
            if (_pages.TryGetValue(start, out PageOperation page) && page.Bytes == bytes)
            {
                ulong piece = address & ~4095UL;
                return new PageMapping(piece, page.Target + (piece - start), page.IsWritable);
            }
        }

        return null;
    }

    /// <summary>Every piece of 4096 bytes in order.</summary>
    public IEnumerable<PageMapping> Pieces() =>
        from page in _pages.Values.OrderBy(p => p.Address)
        from piece in Enumerable.Range(0, (int)(page.Bytes / 4096))
        select new PageMapping(
            page.Address + ((ulong)piece * 4096), page.Target + ((ulong)piece * 4096), page.IsWritable);
}
