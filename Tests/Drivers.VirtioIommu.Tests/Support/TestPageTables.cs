using PasidFramework.Hardware;
using PasidFramework.Tables;

namespace PasidFramework.Drivers.VirtioIommu.Tests.Support;

/// <summary>Stage 1 page tables of four levels with 4 KiB pages, written with numbers from the manual alone.</summary>
internal sealed class TestPageTables : IPageTableFormat
{
    public string Name => "test-lpae-4k";

    public int AddressBits => 48;

    public OpResult<IPageTable> Create(IPhysicalMemory memory)
    {
        OpResult<ulong> root = memory.AllocatePages(4096);
        if (!root.IsOk)
        {
            return OpResult<IPageTable>.Refuse(root.Outcome);
        }

        memory.Flush(root.Value, 4096);
        memory.StoreBarrier();
        return OpResult<IPageTable>.Ok(new Table(memory, root.Value));
    }

    private sealed class Table(IPhysicalMemory memory, ulong root) : IPageTable
    {
        // Page: type 3, AP1 (user), SH 3, AF, nG.
        private const ulong Page = 3 | (1 << 6) | (3 << 8) | (1 << 10) | (1 << 11);
        private readonly List<ulong> _tables = [root];

        public ulong Root => root;

        public OpResult Map(ulong address, ulong target, bool writable)
        {
            ulong table = root;
            for (int shift = 39; shift > 12; shift -= 9)
            {
                ulong at = table + ((address >> shift & 511) * 8);
                ulong entry = memory.ReadQword(at);
                if (entry == 0)
                {
                    OpResult<ulong> page = memory.AllocatePages(4096);
                    if (!page.IsOk)
                    {
                        return page.Outcome;
                    }

                    memory.Flush(page.Value, 4096);
                    memory.StoreBarrier();
                    _tables.Add(page.Value);
                    entry = page.Value | 3;
                    Store(at, entry);
                }

                table = entry & 0x0000_FFFF_FFFF_F000;
            }

            Store(table + ((address >> 12 & 511) * 8), target | Page | (writable ? 0 : 1UL << 7));
            return OpResult.Ok;
        }

        public OpResult Unmap(ulong address)
        {
            ulong table = root;
            for (int shift = 39; shift > 12; shift -= 9)
            {
                table = memory.ReadQword(table + ((address >> shift & 511) * 8)) & 0x0000_FFFF_FFFF_F000;
            }

            Store(table + ((address >> 12 & 511) * 8), 0);
            return OpResult.Ok;
        }

        public void Dispose()
        {
            foreach (ulong table in _tables)
            {
                memory.FreePages(table, 4096);
            }

            _tables.Clear();
        }

        private void Store(ulong address, ulong value)
        {
            memory.WriteQword(address, value);
            memory.Flush(address, 8);
            memory.StoreBarrier();
        }
    }
}
