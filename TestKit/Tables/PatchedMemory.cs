// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;

namespace PasidFramework.TestKit.Tables;

/// <summary>A copy of memory, made page by page as it is read, in which pages can be changed or taken away.</summary>
internal sealed class PatchedMemory(IMemoryReader inner) : IMemoryReader
{
    private const ulong PageBytes = 4096;
    private readonly Dictionary<ulong, byte[]?> _pages = [];
    private readonly List<(byte[] Page, int At, ulong Word)> _changed = [];
    private readonly List<ulong> _hidden = [];

    /// <summary>Addresses of the pages that were read and are memory.</summary>
    public IReadOnlyList<ulong> Pages => [.. _pages.Where(p => p.Value is not null).Select(p => p.Key).Order()];

    /// <summary>Changes a word until <see cref="Restore"/>.</summary>
    public void Put(ulong address, ulong word)
    {
        byte[] page = Page(address)!;
        int at = (int)(address % PageBytes);
        _changed.Add((page, at, BinaryPrimitives.ReadUInt64LittleEndian(page.AsSpan(at))));
        BinaryPrimitives.WriteUInt64LittleEndian(page.AsSpan(at), word);
    }

    /// <summary>Takes a page away until <see cref="Restore"/>.</summary>
    public void Hide(ulong page) => _hidden.Add(page);

    public void Restore()
    {
        for (int i = _changed.Count - 1; i >= 0; i--)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(_changed[i].Page.AsSpan(_changed[i].At), _changed[i].Word);
        }

        _changed.Clear();
        _hidden.Clear();
    }

    public ulong ReadQword(ulong address) => Page(address) is { } page
        ? BinaryPrimitives.ReadUInt64LittleEndian(page.AsSpan((int)(address % PageBytes))) : 0;

    public uint ReadDword(ulong address) => Page(address) is { } page
        ? BinaryPrimitives.ReadUInt32LittleEndian(page.AsSpan((int)(address % PageBytes))) : 0;

    public void Read(ulong address, Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            int at = (int)(address % PageBytes);
            int count = Math.Min(destination.Length, (int)PageBytes - at);
            if (Page(address) is { } page)
            {
                page.AsSpan(at, count).CopyTo(destination);
            }
            else
            {
                destination[..count].Clear();
            }

            destination = destination[count..];
            address += (ulong)count;
        }
    }

    public bool IsBacked(ulong address, long bytes)
    {
        for (long done = 0; done < bytes; done += (long)(PageBytes - ((address + (ulong)done) % PageBytes)))
        {
            if (address + (ulong)done < address || Page(address + (ulong)done) is null)
            {
                return false;
            }
        }

        return true;
    }

    private byte[]? Page(ulong address)
    {
        ulong start = address & ~(PageBytes - 1);
        if (_hidden.Contains(start))
        {
            return null;
        }

        if (!_pages.TryGetValue(start, out byte[]? page))
        {
            page = inner.IsBacked(start, (long)PageBytes) ? new byte[PageBytes] : null;
            if (page is not null)
            {
                inner.Read(start, page);
            }

            // Wild pointers of random images lead anywhere: where nothing is, nothing is remembered.
            if (page is not null || _pages.Count < 1 << 12)
            {
                _pages.Add(start, page);
            }
        }

        return page;
    }
}
