using System.Globalization;
using PasidFramework.Contracts;
using PasidFramework.Drivers.Reference.Formats;
using PasidFramework.Drivers.Reference.Tables;
using PasidFramework.Hardware;
using PasidFramework.Results;

namespace PasidFramework.Drivers.Reference.PageTables;

/// <summary>One page table. A table that a mapping lacks is linked empty and visible, from the top down: each store
/// leads a walker beside the CPU to what was mapped before or to what is mapped now.</summary>
internal sealed class ReferencePageTable(IPhysicalMemory memory, ulong root) : IPageTable
{
    private const ulong UpperFlags = 3; // P and W: what may be written is said on level 1

    private readonly List<ulong> _tables = [root];

    /// <inheritdoc/>
    public ulong Root { get; } = root;

    /// <inheritdoc/>
    public OpResult Map(ulong address, ulong target, bool writable)
    {
        OpResult result = Check(address);
        if (!result.IsOk)
        {
            return result;
        }

        if ((target & ~PageTableEntry.TARGET.WordMask) != 0)
        {
            return OpResult.Refuse(Errno.EINVAL, string.Create(
                CultureInfo.InvariantCulture, $"target 0x{target:x} is not a multiple of 4096 below 2^52"));
        }

        ulong at = Find(address, out int level);
        for (; level > 1; level--)
        {
            OpResult<ulong> table = memory.AllocatePages(PageTableEntry.TableBytes);
            if (!table.IsOk)
            {
                // The tables that were linked on the way lead nowhere and serve the next mapping.
                return table.Outcome;
            }

            _tables.Add(table.Value);
            memory.Publish(table.Value, PageTableEntry.TableBytes);
            Store(at, table.Value | UpperFlags);
            at = PageTableEntry.At(table.Value, address, level - 1);
        }

        Store(at, 0UL.With(PageTableEntry.P, 1).With(PageTableEntry.W, writable ? 1UL : 0)
            .WithAddress(PageTableEntry.TARGET, target));
        return OpResult.Ok;
    }

    /// <inheritdoc/>
    public OpResult Unmap(ulong address)
    {
        OpResult result = Check(address);
        if (result.IsOk)
        {
            ulong at = Find(address, out int level);
            if (level == 1)
            {
                Store(at, 0);
            }
        }

        return result;
    }

    /// <summary>Frees every table; nothing may walk them any more.</summary>
    public void Dispose()
    {
        foreach (ulong table in _tables)
        {
            memory.FreePages(table, PageTableEntry.TableBytes);
        }

        _tables.Clear();
    }

    private static OpResult Check(ulong address) =>
        (address & ((1UL << PageTableEntry.PageShift) - 1)) == 0 && address >> PageTableEntry.AddressBits == 0
            ? OpResult.Ok
            : OpResult.Refuse(Errno.EINVAL, string.Create(
                CultureInfo.InvariantCulture,
                $"address 0x{address:x} is not a multiple of 4096 below 2^{PageTableEntry.AddressBits}"));

    // The entry where the path of an address ends: that of the page (level 1), or an upper one that is not present.
    private ulong Find(ulong address, out int level)
    {
        ObjectDisposedException.ThrowIf(_tables.Count == 0, this);
        ulong table = Root;
        for (level = PageTableEntry.Levels; ; level--)
        {
            ulong at = PageTableEntry.At(table, address, level);
            ulong entry = memory.ReadQword(at);
            if (level == 1 || !entry.Has(PageTableEntry.P))
            {
                return at;
            }

            table = entry.GetAddress(PageTableEntry.TARGET);
        }
    }

    private void Store(ulong at, ulong entry)
    {
        memory.WriteQword(at, entry);
        memory.Publish(at, PageTableEntry.SizeBytes);
    }
}
