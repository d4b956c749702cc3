// SPDX-License-Identifier: Apache-2.0
using System.Numerics;
using System.Runtime.CompilerServices;

namespace PasidFramework.DriverKit.PageTables;

/// <summary>
/// One format of page tables as data: geometry, and which bits of an entry mean what. Building, unmapping, enumeration
/// and the walk are the same for all. Entries have 64 bits; levels count from 1, the lowest.
/// </summary>
public class RadixFormat : IPageTableFormat
{
    /// <summary>Size of an entry in bytes.</summary>
    public const int EntryBytes = 8;

    // PageMapping has pieces of this size, whatever the format's own is.
    private const ulong PieceBytes = 4096;
    private ulong[]? _pageSizes;
    public string Name { get; init; } = string.Empty;
    public int AddressBits { get; init; }

    /// <summary>log2 of the smallest page in bytes.</summary>
    public int PageShift { get; init; } = 12;

    /// <summary>log2 of the entries of a table.</summary>
    public int IndexBits { get; init; } = 9;

    public int Levels { get; init; } = 4;

    /// <summary>Bit n: an entry of level n may map a page.</summary>
    public uint LeafLevels { get; init; } = 0b1110;

    /// <summary>Where an entry holds a byte address, shifted right by <see cref="AddressShift"/>.</summary>
    public ulong AddressMask { get; init; }

    public int AddressShift { get; init; }

    /// <summary>An entry with none of these bits is not present.</summary>
    public ulong PresentBits { get; init; }

    /// <summary>A present entry of level 1 with one of these bits maps a page.</summary>
    public ulong PageBits { get; init; }

    /// <summary>A present entry above level 1 with one of these bits maps a page; the others lead to a table.</summary>
    public ulong BlockBits { get; init; }

    /// <summary>Those of <see cref="BlockBits"/> that say so by being 0.</summary>
    public ulong BlockInverted { get; init; }

    /// <summary>Bits without all of which a page faults, whatever its rights are (accessed flags).</summary>
    public ulong AccessedBits { get; init; }

    public RightsRule TableRights { get; init; }
    public RightsRule LeafRights { get; init; }

    /// <summary>An entry that leads to a table, but for the address.</summary>
    public ulong TableValue { get; init; }

    /// <summary>An entry of level 1, but for the address.</summary>
    public ulong PageValue { get; init; }

    /// <summary>An entry of a large page, but for the address.</summary>
    public ulong BlockValue { get; init; }

    /// <summary>What a page that may be written has in addition.</summary>
    public ulong WritableValue { get; init; }

    /// <summary>What a page that may not be written has in addition.</summary>
    public ulong ReadOnlyValue { get; init; }

    public IReadOnlyList<ulong> PageSizes => _pageSizes ??=
    [
        .. Enumerable.Range(1, Levels).Where(HasLeaves).Select(level => LowBits(level) + 1),
    ];

    /// <summary>Size of a table in bytes, on every level, and its alignment.</summary>
    public int TableBytes => EntryBytes << IndexBits;

    public int OutputBits => BitOperations.Log2(AddressMask) + AddressShift + 1;

    /// <summary>Lowest bit of an address that selects an entry of a level.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Shift(int level) => PageShift + (IndexBits * (level - 1));

    /// <summary>Bits of an address below <see cref="Shift"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong LowBits(int level) => (1UL << Shift(level)) - 1;

    /// <summary>Which entry of a table of a level an address selects.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong Index(ulong address, int level) => address >> Shift(level) & ((1UL << IndexBits) - 1);

    /// <summary>Whether entries of a level may map pages.</summary>
    public bool HasLeaves(int level) => (LeafLevels >> level & 1) != 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public EntryKind Classify(ulong entry, int level) =>
        (entry & PresentBits) == 0 ? EntryKind.Empty
        : level == 1 ? ((entry & PageBits) != 0 ? EntryKind.Leaf : EntryKind.Empty)
        : ((entry ^ BlockInverted) & BlockBits) == 0 ? EntryKind.Table
        : HasLeaves(level) ? EntryKind.Leaf
        : EntryKind.Empty;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public PageRights RightsOf(ulong entry, EntryKind kind) =>
        kind == EntryKind.Leaf ? LeafRights.Of(entry) : TableRights.Of(entry);

    /// <summary>Byte address of the table that an entry leads to.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong TableOf(ulong entry) => PageOf(entry, 1);

    /// <summary>Byte address of the page that an entry of a level maps, a multiple of the page's size.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong PageOf(ulong entry, int level) => (entry & AddressMask) << AddressShift & ~LowBits(level);
    public ulong MakeTable(ulong table) => TableValue | (table >> AddressShift);

    public ulong MakeLeaf(ulong page, int level, bool writable) =>
        (level == 1 ? PageValue : BlockValue) | (writable ? WritableValue : ReadOnlyValue) | (page >> AddressShift);

    public OpResult<IPageTable> Create(IPhysicalMemory memory)
    {
        ArgumentNullException.ThrowIfNull(memory);
        OpResult<ulong> root = memory.AllocatePages(TableBytes, Math.Max(4096, TableBytes));
        if (!root.IsOk)
        {
            return OpResult<IPageTable>.Refuse(root.Outcome);
        }

        memory.Flush(root.Value, TableBytes);
        memory.StoreBarrier();
        return OpResult<IPageTable>.Ok(new RadixPageTable(this, memory, root.Value));
    }

    /// <remarks>Of pages that unprivileged accesses reach and that are marked as accessed.</remarks>
    public IEnumerable<PageMapping> Mappings(IMemoryReader memory, ulong root, ulong start, ulong last)
    {
        ArgumentNullException.ThrowIfNull(memory);
        last = Math.Min(last, (1UL << AddressBits) - 1);
        return start > last ? [] : Enumerate(memory, TableOf(root >> AddressShift), start & ~(PieceBytes - 1), last);
    }

    private IEnumerable<PageMapping> Enumerate(IMemoryReader memory, ulong root, ulong address, ulong last)
    {
        var tables = new ulong[Levels + 1];
        var rights = new PageRights[Levels + 1];
        int level = Levels;
        if (!memory.IsBacked(root, TableBytes))
        {
            yield break;
        }

        tables[level] = root;
        rights[level] = PageRights.All;
        while (address <= last)
        {
            ulong entry = memory.ReadQword(tables[level] + (Index(address, level) * EntryBytes));
            EntryKind kind = Classify(entry, level);
            PageRights here = rights[level] & RightsOf(entry, kind);
            bool isUser = (here & PageRights.User) != 0;
            ulong end = address | LowBits(level);
            if (kind == EntryKind.Table && isUser && memory.IsBacked(TableOf(entry), TableBytes))
            {
                tables[--level] = TableOf(entry);
                rights[level] = here;
                continue;
            }

            if (kind == EntryKind.Leaf && isUser && (entry & AccessedBits) == AccessedBits)
            {
                ulong page = PageOf(entry, level);
                bool isWritable = (here & PageRights.Write) != 0;
                for (; address <= end && address <= last; address += PieceBytes)
                {
                    yield return new PageMapping(address, page | (address & LowBits(level)), isWritable);
                }
            }

            // To the next entry, which is in the table above where this one was the last.
            address = end + 1;
            while (level < Levels && (address & LowBits(level + 1)) == 0)
            {
                level++;
            }
        }
    }
}
