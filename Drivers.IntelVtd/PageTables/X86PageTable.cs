using System.Globalization;
using PasidFramework.Contracts;
using PasidFramework.Drivers.IntelVtd.Formats;
using PasidFramework.Hardware;
using PasidFramework.Results;

namespace PasidFramework.Drivers.IntelVtd.PageTables;

/// <summary>
/// One 4-level page table. Tables that a mapping lacks are filled before they are linked, by one store: a walker beside
/// the CPU sees the old tree or the new one.
/// </summary>
/// <remarks>Accessed and dirty flags are set beforehand, so that hardware never has to write to a table.</remarks>
internal sealed class X86PageTable(IPhysicalMemory memory, ulong root) : IPageTable
{
    /// <summary>Bits of an address of the lower half.</summary>
    public const int AddressBits = 47;

    /// <summary>Size of a table in bytes, on every level.</summary>
    public const int TableBytes = 4096;

    private const int Levels = 4;
    private const int PageShift = 12;
    private const int LevelBits = 9;
    private const ulong PageMask = (1UL << PageShift) - 1;

    private readonly List<ulong> _tables = [root];

    /// <inheritdoc/>
    public ulong Root { get; } = root;

    /// <inheritdoc/>
    public OpResult Map(ulong address, ulong target, bool writable)
    {
        OpResult checkedAddress = Check(address);
        if (!checkedAddress.IsOk)
        {
            return checkedAddress;
        }

        if ((target & ~FirstStageEntry.ADDR.WordMask) != 0)
        {
            return OpResult.Refuse(Errno.EINVAL, string.Create(
                CultureInfo.InvariantCulture, $"target 0x{target:x} is not a multiple of 4096 below 2^52"));
        }

        ulong leaf = target | FirstStageEntry.P.WordMask | FirstStageEntry.US.WordMask | FirstStageEntry.A.WordMask;
        if (writable)
        {
            leaf |= FirstStageEntry.RW.WordMask | FirstStageEntry.D.WordMask;
        }

        ulong at = Find(address, out int level);
        return level == 1 ? Store(at, leaf) : Link(at, level, address, leaf);
    }

    /// <inheritdoc/>
    public OpResult Unmap(ulong address)
    {
        OpResult result = Check(address);
        if (result.IsOk)
        {
            ulong at = Find(address, out int level);
            if (level == 1 && memory.ReadQword(at) != 0)
            {
                result = Store(at, 0);
            }
        }

        return result;
    }

    /// <summary>Frees every table; nothing may walk them any more.</summary>
    public void Dispose()
    {
        foreach (ulong table in _tables)
        {
            memory.FreePages(table, TableBytes);
        }

        _tables.Clear();
    }

    /// <summary>User pages that a table maps in a range; see <see cref="IPageTableFormat.Mappings"/>.</summary>
    public static IEnumerable<PageMapping> Mappings(IMemoryReader memory, ulong root, ulong start, ulong last)
    {
        last = Math.Min(last, (1UL << AddressBits) - 1);
        return start > last ? [] : In(memory, root & FirstStageEntry.ADDR.WordMask, Levels, 0, start, last, true);
    }

    // The entries of one table that overlap [start, last]; rights are those of every level together.
    private static IEnumerable<PageMapping> In(
        IMemoryReader memory, ulong table, int level, ulong tableBase, ulong start, ulong last, bool writable)
    {
        if (!memory.IsBacked(table, TableBytes))
        {
            yield break;
        }

        int shift = PageShift + (LevelBits * (level - 1));
        ulong span = 1UL << shift;
        ulong first = start > tableBase ? (start - tableBase) >> shift : 0;
        for (ulong index = first; index < 1UL << LevelBits; index++)
        {
            ulong address = tableBase + (index << shift);
            if (address > last)
            {
                yield break;
            }

            ulong entry = memory.ReadQword(table + (index * FirstStageEntry.SizeBytes));
            const ulong Needed = 0b101; // P and U/S
            bool isLarge = (entry & FirstStageEntry.PS.WordMask) != 0;
            if ((entry & Needed) != Needed || (isLarge && level == Levels))
            {
                continue;
            }

            bool both = writable && (entry & FirstStageEntry.RW.WordMask) != 0;
            ulong target = entry & FirstStageEntry.ADDR.WordMask;
            if (level > 1 && !isLarge)
            {
                foreach (PageMapping below in In(memory, target, level - 1, address, start, last, both))
                {
                    yield return below;
                }

                continue;
            }

            // Of a large page the low bits of the address are PAT and reserved.
            target &= ~(span - 1);
            ulong page = Math.Max(address, start & ~PageMask);
            for (; page < address + span && page <= last; page += PageMask + 1)
            {
                yield return new PageMapping(page, target + (page - address), both);
            }
        }
    }

    private static int IndexOffset(ulong address, int level) =>
        (int)((address >> (PageShift + (LevelBits * (level - 1)))) & ((1 << LevelBits) - 1))
        * FirstStageEntry.SizeBytes;

    private static OpResult Check(ulong address) => (address & PageMask) == 0 && address >> AddressBits == 0
        ? OpResult.Ok
        : OpResult.Refuse(Errno.EINVAL, string.Create(
            CultureInfo.InvariantCulture, $"address 0x{address:x} is not a multiple of 4096 below 2^{AddressBits}"));

    // The entry where the path of an address ends: the leaf entry (level 1), or an upper one that is not present.
    private ulong Find(ulong address, out int level)
    {
        ObjectDisposedException.ThrowIf(_tables.Count == 0, this);
        ulong table = Root;
        for (level = Levels; ; level--)
        {
            ulong at = table + (ulong)IndexOffset(address, level);
            ulong entry = memory.ReadQword(at);
            if (level == 1 || entry == 0)
            {
                return at;
            }

            table = entry & FirstStageEntry.ADDR.WordMask;
        }
    }

    // New tables, from the lowest up: filled and flushed first, then linked by one store.
    private OpResult Link(ulong at, int level, ulong address, ulong leaf)
    {
        int before = _tables.Count;
        ulong entry = leaf;
        for (int below = 1; below < level; below++)
        {
            OpResult<ulong> table = memory.AllocatePages(TableBytes);
            if (!table.IsOk)
            {
                foreach (ulong taken in _tables[before..])
                {
                    memory.FreePages(taken, TableBytes);
                }

                _tables.RemoveRange(before, _tables.Count - before);
                return table.Outcome;
            }

            _tables.Add(table.Value);
            memory.WriteQword(table.Value + (ulong)IndexOffset(address, below), entry);
            memory.Flush(table.Value, TableBytes);
            entry = table.Value | FirstStageEntry.P.WordMask | FirstStageEntry.RW.WordMask
                | FirstStageEntry.US.WordMask | FirstStageEntry.A.WordMask;
        }

        memory.StoreBarrier();
        return Store(at, entry);
    }

    private OpResult Store(ulong at, ulong entry)
    {
        memory.WriteQword(at, entry);
        memory.Flush(at, FirstStageEntry.SizeBytes);
        memory.StoreBarrier();
        return OpResult.Ok;
    }
}
