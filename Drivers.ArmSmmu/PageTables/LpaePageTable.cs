using System.Globalization;
using PasidFramework.Contracts;
using PasidFramework.Drivers.ArmSmmu.Formats;
using PasidFramework.Hardware;
using PasidFramework.Records;
using PasidFramework.Results;

namespace PasidFramework.Drivers.ArmSmmu.PageTables;

/// <summary>One stage 1 page table of four levels with pages of 4 KiB (Arm DDI 0487 D8.3).</summary>
/// <remarks>
/// A new table is zero and visible to a walker before the entry that leads to it is stored (D3). Tables stay until
/// <see cref="Dispose"/>: a walker may hold pointers to them until its owner has invalidated the TLB.
/// </remarks>
internal sealed class LpaePageTable : IPageTable
{
    /// <summary>Width of an address in bits: T0SZ 16.</summary>
    public const int AddressBits = 48;

    private const int PageBytes = 4096;
    private const int PageShift = 12;
    private const int IndexBits = 9;
    private const int LastLevel = 3;

    // MAIR index 1 of ContextDescriptor.LinuxMair: normal memory, write-back.
    private const ulong WriteBack = 1;
    private const ulong InnerShareable = 3;

    private readonly IPhysicalMemory _memory;
    private readonly List<ulong> _tables;
    private bool _disposed;

    private LpaePageTable(IPhysicalMemory memory, ulong root)
    {
        _memory = memory;
        _tables = [root];
        Root = root;
    }

    /// <inheritdoc/>
    public ulong Root { get; }

    /// <summary>Makes an empty table.</summary>
    /// <returns>The table, or ENOMEM.</returns>
    public static OpResult<LpaePageTable> Create(IPhysicalMemory memory)
    {
        OpResult<ulong> root = NewTable(memory);
        return root.IsOk
            ? OpResult<LpaePageTable>.Ok(new LpaePageTable(memory, root.Value))
            : OpResult<LpaePageTable>.Refuse(root.Outcome);
    }

    /// <inheritdoc/>
    public OpResult Map(ulong address, ulong target, bool writable)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        OpResult refusal = Check(address, "address");
        if (refusal.IsOk)
        {
            refusal = Check(target, "target");
        }

        if (!refusal.IsOk)
        {
            return refusal;
        }

        ulong table = Root;
        for (int level = 0; level < LastLevel; level++)
        {
            ulong at = EntryOf(table, address, level);
            ReadOnlySpan<ulong> entry = [_memory.ReadQword(at)];
            if (entry.Get(Stage1PageTableEntry.Type) != 0)
            {
                table = entry.GetAddress(Stage1PageTableEntry.Address);
                continue;
            }

            OpResult<ulong> lower = NewTable(_memory);
            if (!lower.IsOk)
            {
                return OpResult.Refuse(lower.Errno, Text(
                    $"no memory for the level {level + 1} table of 0x{address:x}: {lower.Reason}"));
            }

            _tables.Add(lower.Value);
            Span<ulong> link = [0];
            link.Set(Stage1PageTableEntry.Type, Stage1PageTableEntry.TypeTableOrPage);
            link.SetAddress(Stage1PageTableEntry.Address, lower.Value);
            Store(at, link[0]);
            table = lower.Value;
        }

        Span<ulong> page = [0];
        page.Set(Stage1PageTableEntry.Type, Stage1PageTableEntry.TypeTableOrPage);
        page.Set(Stage1PageTableEntry.AttrIndx, WriteBack);
        page.Set(Stage1PageTableEntry.AP1, 1);
        page.Set(Stage1PageTableEntry.AP2, writable ? 0UL : 1);
        page.Set(Stage1PageTableEntry.SH, InnerShareable);
        page.Set(Stage1PageTableEntry.AF, 1);
        page.Set(Stage1PageTableEntry.NG, 1);
        page.SetAddress(Stage1PageTableEntry.Address, target);
        Store(EntryOf(table, address, LastLevel), page[0]);
        _memory.StoreBarrier();
        return OpResult.Ok;
    }

    /// <inheritdoc/>
    public OpResult Unmap(ulong address)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        OpResult refusal = Check(address, "address");
        if (!refusal.IsOk)
        {
            return refusal;
        }

        ulong table = Root;
        for (int level = 0; level < LastLevel; level++)
        {
            ReadOnlySpan<ulong> entry = [_memory.ReadQword(EntryOf(table, address, level))];
            if (entry.Get(Stage1PageTableEntry.Type) == 0)
            {
                return OpResult.Ok;
            }

            table = entry.GetAddress(Stage1PageTableEntry.Address);
        }

        ulong last = EntryOf(table, address, LastLevel);
        if (_memory.ReadQword(last) != 0)
        {
            Store(last, 0);
            _memory.StoreBarrier();
        }

        return OpResult.Ok;
    }

    /// <summary>Frees every table; no walker may use them any more.</summary>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        foreach (ulong table in _tables)
        {
            _memory.FreePages(table, PageBytes);
        }
    }

    /// <summary>Pages of EL0 that a table maps in a range; see <see cref="IPageTableFormat.Mappings"/>.</summary>
    public static IEnumerable<PageMapping> Mappings(IMemoryReader memory, ulong root, ulong start, ulong last)
    {
        last = Math.Min(last, (1UL << AddressBits) - 1);
        return start > last
            ? []
            : In(memory, root & Stage1PageTableEntry.Address.WordMask, 0, 0, start, last, true);
    }

    // The entries of one table that overlap [start, last]. APTable (62:61) takes rights away from all below: bit 61
    // EL0's access, bit 62 writes.
    private static IEnumerable<PageMapping> In(
        IMemoryReader memory, ulong table, int level, ulong tableBase, ulong start, ulong last, bool writable)
    {
        const ulong NoUser = 1UL << 61;
        const ulong NoWrites = 1UL << 62;
        if (!memory.IsBacked(table, PageBytes))
        {
            yield break;
        }

        int shift = PageShift + (IndexBits * (LastLevel - level));
        ulong span = 1UL << shift;
        ulong first = start > tableBase ? (start - tableBase) >> shift : 0;
        for (ulong index = first; index < 1UL << IndexBits; index++)
        {
            ulong address = tableBase + (index << shift);
            if (address > last)
            {
                yield break;
            }

            ulong entry = memory.ReadQword(table + (index * 8));
            ulong type = entry & Stage1PageTableEntry.Type.WordMask;
            ulong target = entry & Stage1PageTableEntry.Address.WordMask;
            if (level < LastLevel && type == Stage1PageTableEntry.TypeTableOrPage)
            {
                if ((entry & NoUser) == 0)
                {
                    bool below = writable && (entry & NoWrites) == 0;
                    foreach (PageMapping page in In(memory, target, level + 1, address, start, last, below))
                    {
                        yield return page;
                    }
                }

                continue;
            }

            // Blocks of 1 GiB and 2 MiB, pages at the last level.
            bool isLeaf = level == LastLevel
                ? type == Stage1PageTableEntry.TypeTableOrPage
                : type == Stage1PageTableEntry.TypeBlock && level > 0;
            ulong needed = Stage1PageTableEntry.AP1.WordMask | Stage1PageTableEntry.AF.WordMask;
            if (!isLeaf || (entry & needed) != needed)
            {
                continue;
            }

            target &= ~(span - 1);
            bool mayWrite = writable && (entry & Stage1PageTableEntry.AP2.WordMask) == 0;
            ulong at = Math.Max(address, start & ~(PageBytes - 1UL));
            for (; at < address + span && at <= last; at += PageBytes)
            {
                yield return new PageMapping(at, target + (at - address), mayWrite);
            }
        }
    }

    private static OpResult<ulong> NewTable(IPhysicalMemory memory)
    {
        OpResult<ulong> table = memory.AllocatePages(PageBytes);
        if (table.IsOk)
        {
            memory.Flush(table.Value, PageBytes);
            memory.StoreBarrier();
        }

        return table;
    }

    private static ulong EntryOf(ulong table, ulong address, int level)
    {
        int shift = PageShift + (IndexBits * (LastLevel - level));
        return table + ((address >> shift & ((1UL << IndexBits) - 1)) * 8);
    }

    private static OpResult Check(ulong address, string what) =>
        (address & (PageBytes - 1)) == 0 && address >> AddressBits == 0
            ? OpResult.Ok
            : OpResult.Refuse(Errno.EINVAL, Text(
                $"{what} 0x{address:x} is no multiple of 0x{PageBytes:x} below 2^{AddressBits}"));

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private void Store(ulong address, ulong value)
    {
        _memory.WriteQword(address, value);
        _memory.Flush(address, 8);
    }
}
