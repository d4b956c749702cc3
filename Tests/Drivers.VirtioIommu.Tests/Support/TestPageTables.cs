// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Tests.Support;

/// <summary>
/// Stage 1 page tables of four levels with 4 KiB pages, written with numbers from the manual alone. A mapping that is
/// changed gets a new last table, as it does where a kernel moves tables: whoever keeps the way to the old one is
/// wrong.
/// </summary>
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

    public IEnumerable<PageMapping> Mappings(IMemoryReader memory, ulong root, ulong start, ulong last) =>
        In(memory, root, 39, 0, start & ~4095UL, Math.Min(last, (1UL << 48) - 1));

    private static IEnumerable<PageMapping> In(
        IMemoryReader memory, ulong table, int shift, ulong from, ulong start, ulong last)
    {
        for (ulong i = 0; i < 512; i++)
        {
            ulong address = from + (i << shift);
            ulong entry = memory.ReadQword(table + (i * 8));
            if (entry == 0 || address > last || address + (1UL << shift) <= start)
            {
                continue;
            }

            ulong target = entry & 0x0000_FFFF_FFFF_F000;
            IEnumerable<PageMapping> below = shift > 12
                ? In(memory, target, shift - 9, address, start, last)
                : [new PageMapping(address, target, (entry & (1 << 7)) == 0)];
            foreach (PageMapping page in below)
            {
                yield return page;
            }
        }
    }

    private sealed class Table(IPhysicalMemory memory, ulong root) : IPageTable
    {
        private const ulong Address = 0x0000_FFFF_FFFF_F000;

        // Page: type 3, AP1 (user), SH 3, AF, nG.
        private const ulong Page = 3 | (1 << 6) | (3 << 8) | (1 << 10) | (1 << 11);
        private readonly List<ulong> _tables = [root];
        public ulong Root => root;

        public OpResult Map(ulong address, ulong target, bool writable)
        {
            ulong table = root;
            ulong link = 0;
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

                table = entry & Address;
                link = at;
            }

            ulong leaf = target | Page | (writable ? 0 : 1UL << 7);
            ulong place = (address >> 12 & 511) * 8;
            if (memory.ReadQword(table + place) != 0)
            {
                return Replace(link, table, place, leaf);
            }

            Store(table + place, leaf);
            return OpResult.Ok;
        }

        public OpResult Unmap(ulong address)
        {
            ulong table = root;
            ulong link = 0;
            for (int shift = 39; shift > 12; shift -= 9)
            {
                link = table + ((address >> shift & 511) * 8);
                table = memory.ReadQword(link) & Address;
            }

            return Replace(link, table, (address >> 12 & 511) * 8, 0);
        }

        public void Dispose()
        {
            foreach (ulong table in _tables)
            {
                memory.FreePages(table, 4096);
            }

            _tables.Clear();
        }

        // The old table stays as it was until the end: what is in it is only met by who was not told.
        private OpResult Replace(ulong link, ulong table, ulong place, ulong leaf)
        {
            OpResult<ulong> page = memory.AllocatePages(4096);
            if (!page.IsOk)
            {
                return page.Outcome;
            }

            _tables.Add(page.Value);
            for (ulong offset = 0; offset < 4096; offset += 8)
            {
                ulong entry = offset == place ? leaf : memory.ReadQword(table + offset);
                if (entry != 0)
                {
                    memory.WriteQword(page.Value + offset, entry);
                }
            }

            memory.Flush(page.Value, 4096);
            memory.StoreBarrier();
            Store(link, page.Value | 3);
            return OpResult.Ok;
        }

        private void Store(ulong address, ulong value)
        {
            memory.WriteQword(address, value);
            memory.Flush(address, 8);
            memory.StoreBarrier();
        }
    }
}
