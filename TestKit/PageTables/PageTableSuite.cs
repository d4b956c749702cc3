// SPDX-License-Identifier: Apache-2.0
using PasidFramework.DriverKit.Emulation;

namespace PasidFramework.TestKit.PageTables;

/// <summary>What the contract promises of a page table format, against a dictionary: for any format that can be read
/// back, without a test framework.</summary>
/// <exception cref="SuiteFailedException">From each check: what was expected and found.</exception>
public sealed class PageTableSuite(IPageTableFormat format)
{
    /// <summary>The checks by name.</summary>
    public static IReadOnlyDictionary<string, Action<PageTableSuite>> Checks { get; } =
        new Dictionary<string, Action<PageTableSuite>>
        {
            [nameof(PagesAreReadBack)] = suite => suite.PagesAreReadBack(),
            [nameof(RangesAreCut)] = suite => suite.RangesAreCut(),
            [nameof(MisfitsAreRefused)] = suite => suite.MisfitsAreRefused(),
            [nameof(SizesDoNotOverlap)] = suite => suite.SizesDoNotOverlap(),
            [nameof(AllocationsMayFail)] = suite => suite.AllocationsMayFail(),
            [nameof(WalkersSeeOldOrNew)] = suite => suite.WalkersSeeOldOrNew(),
            [nameof(RandomMemoryEnds)] = suite => suite.RandomMemoryEnds(),
        };

    private ulong Smallest => format.PageSizes[0];

    /// <summary>Applies a sequence to a table and to a dictionary; both must agree after every step, and nothing
    /// leaks.</summary>
    public void RunSequence(IEnumerable<PageOperation> operations)
    {
        var memory = new ModelMemory();
        var model = new PageTableModel(format);
        using (IPageTable table = Create(memory))
        {
            foreach (PageOperation operation in operations)
            {
                Expect(model.Apply(operation), Apply(table, operation).Errno, $"{operation}");
                Compare(memory, table, model, operation.Address);
            }

            foreach (ulong place in PageOperation.Places(format))
            {
                Compare(memory, table, model, place);
            }
        }

        Expect(0L, memory.AllocatedBytes, $"bytes that stay allocated");
    }

    public void PagesAreReadBack() => RunSequence(
    [
        .. PageOperation.Places(format).Select((place, i) =>
            new PageOperation(true, place, (ulong)(i + 1) * Smallest, i % 2 == 0, Smallest)),
        .. PageOperation.Places(format).Where((_, i) => i % 3 == 0).Select(place =>
            new PageOperation(false, place, 0, false, Smallest)),
        .. PageOperation.Places(format).Reverse().Select((place, i) =>
            new PageOperation(true, place, (ulong)(i + 1) * Smallest, i % 3 == 0, Smallest)),
    ]);

    public void RangesAreCut()
    {
        var memory = new ModelMemory();
        using IPageTable table = Create(memory);
        var model = new PageTableModel(format);
        ulong block = PageOperation.Sizes(format).Where(size => size <= 1 << 25).Max();
        ulong[] places = [.. PageOperation.Places(format).Distinct().Order()];
        foreach (ulong place in places)
        {
            var operation = new PageOperation(true, place, place & 0xFFFF_0000, true, Smallest);
            Expect(model.Apply(operation), Apply(table, operation).Errno, $"{operation}");
        }

        var large = new PageOperation(true, 7 * (1UL << 30), 3 * block, false, block);
        Expect(model.Apply(large), Apply(table, large).Errno, $"{large}");
        PageMapping[] all = [.. model.Pieces()];
        ulong[] ends =
        [
            0, 4095, 4096, large.Address, large.Address + 4096, large.Address + block - 1, .. places.Skip(3).Take(8),
            places[^1], ulong.MaxValue,
        ];
        foreach (ulong start in ends)
        {
            foreach (ulong last in ends)
            {
                IEnumerable<PageMapping> expected =
                    all.Where(page => start <= last && page.Address <= last && page.Address + 4095 >= start);
                if (!expected.SequenceEqual(Mappings(memory, table.Root, start, last)))
                {
                    throw new SuiteFailedException(Text($"{format.Name}: other pages in 0x{start:x} to 0x{last:x}"));
                }
            }
        }

        Expect(0, Mappings(memory, 0xFFFF_FFFF_0000, 0, ulong.MaxValue).Count(), $"pages of a table without memory");
    }

    public void MisfitsAreRefused()
    {
        var memory = new ModelMemory();
        IPageTable table = Create(memory);
        long before = memory.AllocatedBytes;
        ulong beyond = 1UL << format.AddressBits;
        foreach (ulong bytes in format.PageSizes)
        {
            foreach (ulong wrong in new ulong[] { 1, 0x800, bytes / 2, beyond, beyond + bytes, 1UL << 63 })
            {
                Expect(Errno.EINVAL, table.Map(wrong, bytes, true, bytes).Errno, $"map of 0x{wrong:x}");
                Expect(Errno.EINVAL, table.Unmap(wrong, bytes).Errno, $"unmap of 0x{wrong:x}");
            }

            Expect(Errno.EINVAL, table.Map(0, 1, true, bytes).Errno, $"target 1");
            Expect(Errno.EINVAL, table.Map(0, 1UL << 62, true, bytes).Errno, $"target 2^62");
        }

        foreach (ulong bytes in new ulong[] { 0, 1, 2048, 8192, 1UL << 62 })
        {
            Expect(Errno.EINVAL, table.Map(0, 0, true, bytes).Errno, $"a page of {bytes} bytes");
            Expect(Errno.EINVAL, table.Unmap(0, bytes).Errno, $"unmap of {bytes} bytes");
        }

        Expect(before, memory.AllocatedBytes, $"bytes allocated by refusals");
        table.Dispose();
        table.Dispose();
        Expect(0L, memory.AllocatedBytes, $"bytes after dispose");
        Suite.Throws<ObjectDisposedException>(
            () => table.Map(0, Smallest, true), $"{format.Name}: a disposed table maps");
    }

    public void SizesDoNotOverlap()
    {
        foreach (ulong large in PageOperation.Sizes(format).Skip(1))
        {
            ulong at = 3 * large;
            ulong inside = at + large - Smallest;
            RunSequence(
            [
                new(true, at, large, true, large),
                new(true, inside, Smallest, true, Smallest), // EEXIST
                new(false, inside, 0, false, Smallest), // EEXIST
                new(true, at + large, Smallest, true, Smallest),
                new(true, at - Smallest, Smallest, false, Smallest),
                new(true, at, 2 * large, false, large),
                new(true, at + large, large, true, large), // EEXIST: a table
                new(false, at + large, 0, false, large), // EEXIST
                new(false, at, 0, false, large),
                new(true, inside, Smallest, true, Smallest),
                new(true, at, large, true, large), // EEXIST by now
            ]);
        }
    }

    public void AllocationsMayFail()
    {
        for (int allowed = 0, failures = 1; failures > 0; allowed++)
        {
            failures = 0;
            var memory = new ModelMemory();
            var few = new FewPagesMemory(memory) { AllocationsLeft = allowed };
            OpResult<IPageTable> created = format.Create(few);
            if (!created.IsOk)
            {
                Expect(Errno.ENOMEM, created.Errno, $"creation");
                failures++;
            }
            else
            {
                var model = new PageTableModel(format);
                foreach (ulong bytes in PageOperation.Sizes(format))
                {
                    var operation = new PageOperation(true, 3 * bytes, bytes, true, bytes);
                    OpResult mapped = Apply(created.Value, operation);
                    if (mapped.Errno == Errno.ENOMEM)
                    {
                        failures++;
                        Compare(memory, created.Value, model, operation.Address);
                        few.AllocationsLeft = int.MaxValue;
                        mapped = Apply(created.Value, operation);
                        few.AllocationsLeft = 0;
                    }

                    Expect(model.Apply(operation), mapped.Errno, $"{operation}");
                    Compare(memory, created.Value, model, operation.Address);
                }

                created.Value.Dispose();
            }

            Expect(0L, memory.AllocatedBytes, $"bytes left by {allowed} allocations");
        }
    }

    /// <summary>D3: between any two stores, whatever has arrived, a walker finds the old mapping or the new.</summary>
    public void WalkersSeeOldOrNew()
    {
        foreach (bool coherent in new[] { true, false })
        {
            var memory = new ModelMemory(coherent, StoreOrder.Weak);
            using IPageTable table = Create(memory);
            var model = new PageTableModel(format);
            ulong probe = 0;
            int states = 0;
            PageMapping?[] allowed = [];
            memory.Changed += _ => states += memory.ForEachVisible(() =>
            {
                PageMapping? seen = At(memory.Device, table.Root, probe);
                if (allowed.Length > 0 && !allowed.Contains(seen))
                {
                    throw new SuiteFailedException(Text($"{format.Name}: a walker sees {seen} at 0x{probe:x}"));
                }
            });
            foreach (int code in Enumerable.Range(0, 40).Select(i => i * 977))
            {
                PageOperation operation = PageOperation.Decode(format, code);
                probe = operation.Address;
                PageMapping? before = model.Find(probe);
                Errno expected = model.Apply(operation);
                allowed = [before, model.Find(probe)];
                Expect(expected, Apply(table, operation).Errno, $"{operation}");
                allowed = [];
                Expect(model.Find(probe), At(memory.Device, table.Root, probe), $"what arrived of {operation}");
            }

            Expect(0, memory.PendingStores, $"stores that no barrier follows");
            Expect(0, memory.StrayReads.Count, $"walks into memory that is not there");
            Expect(true, states > 40, $"states that were probed: {states}");
        }
    }

    public void RandomMemoryEnds()
    {
        var random = new Random(11);
        var memory = new SystemMemory();
        ulong first = memory.AllocatePages(1 << 18, 1 << 16).Value;
        var bytes = new byte[1 << 18];
        for (int round = 0; round < 30; round++)
        {
            random.NextBytes(bytes);
            memory.Write(first, bytes);

            // Pointers back into the same memory: tables of all levels, loops too.
            for (int i = 0; i < 1 << 15; i += random.Next(1, 8))
            {
                ulong entry = memory.ReadQword(first + ((ulong)i * 8)) & 0xFF0_0000_0000_0FFF;
                ulong target = first + (ulong)(random.Next(1 << 18) & ~0xFFF);
                memory.WriteQword(first + ((ulong)i * 8), entry | (round % 2 == 0 ? target : target >> 2));
            }

            ulong start = (ulong)random.NextInt64();
            ulong previous = 0;
            foreach (PageMapping page in Mappings(memory, first, start, ulong.MaxValue).Take(2000))
            {
                if (page.Address < Math.Max(previous, start & ~4095UL) || page.Address >> format.AddressBits != 0)
                {
                    throw new SuiteFailedException(Text($"{format.Name}: {page} is out of order"));
                }

                previous = page.Address + 4096;
            }
        }
    }

    private static OpResult Apply(IPageTable table, in PageOperation operation) => operation.IsMap
        ? table.Map(operation.Address, operation.Target, operation.IsWritable, operation.Bytes)
        : table.Unmap(operation.Address, operation.Bytes);

    private IPageTable Create(IPhysicalMemory memory) => format.Create(memory) is { IsOk: true } created
        ? created.Value
        : throw new SuiteFailedException($"{format.Name}: no table");

    private IEnumerable<PageMapping> Mappings(IMemoryReader memory, ulong root, ulong start, ulong last) =>
        format.Mappings(memory, root, start, last)
            ?? throw new SuiteFailedException($"{format.Name} cannot be read back");

    private PageMapping? At(IMemoryReader memory, ulong root, ulong address)
    {
        PageMapping[] found = [.. Mappings(memory, root, address, address)];
        return found.Length == 0 ? null : found[0];
    }

    private void Compare(IMemoryReader memory, IPageTable table, PageTableModel model, ulong address)
    {
        foreach (ulong bytes in PageOperation.Sizes(format))
        {
            ulong start = address & ~(bytes - 1);
            foreach (ulong at in new[] { start - 4096, start, address, start + bytes - 1, start + bytes })
            {
                PageMapping? expected = at >> format.AddressBits == 0 ? model.Find(at) : null;
                Expect(expected, At(memory, table.Root, at), $"page at 0x{at:x}");
            }
        }
    }

    private void Expect<T>(T expected, T found, InvariantText what) =>
        Suite.Expect(expected, found, what, format.Name);
}
