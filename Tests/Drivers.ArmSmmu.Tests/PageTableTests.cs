using PasidFramework.Contracts;
using PasidFramework.DriverKit.Emulation;
using PasidFramework.Drivers.ArmSmmu.PageTables;
using PasidFramework.Drivers.ArmSmmu.Tests.Support;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace PasidFramework.Drivers.ArmSmmu.Tests;

/// <summary>The process's page tables, read back by hand.</summary>
public sealed class PageTableTests
{
    private const ulong Last = 0xFFFF_FFFF_F000;

    [Theory]
    [InlineData(0UL, 0x12_3456_7000UL, true)]
    [InlineData(0x7f00_1234_5000UL, 0x8_9000_0000UL, false)]
    [InlineData(Last, Last, true)]
    public void A_page_is_found_by_four_indices_with_its_permissions(ulong address, ulong target, bool writable)
    {
        var memory = new ModelMemory();
        using IPageTable table = new LpaePageTableFormat().Create(memory).Value!;

        Assert.True(table.Map(address, target, writable).IsOk);

        // nG, AF, inner shareable, EL0, MAIR 1, page.
        Assert.Equal(target | (writable ? 0xF47UL : 0xFC7UL), Walk(memory, table.Root, address));
        Assert.True(table.Map(address, 0x5000, writable: true).IsOk);
        Assert.Equal(0x5F47UL, Walk(memory, table.Root, address));
        Assert.Equal(4 * 4096, memory.AllocatedBytes);
        Assert.True(table.Unmap(address).IsOk);
        Assert.Equal(0UL, Walk(memory, table.Root, address));
        Assert.True(table.Unmap(address).IsOk);
        Assert.True(table.Unmap(address ^ 0x40_0000_0000).IsOk);
        table.Dispose();
        table.Dispose();
        Assert.Equal(0, memory.AllocatedBytes);
        Assert.Throws<ObjectDisposedException>(() => table.Map(0, 0, writable: true));
    }

    [Theory]
    [InlineData(0x1001UL, 0UL)]
    [InlineData(0UL, 0x800UL)]
    [InlineData(Last + 0x1000, 0UL)]
    [InlineData(0UL, Last + 0x1000)]
    public void What_does_not_fit_is_EINVAL(ulong address, ulong target)
    {
        var memory = new ModelMemory();
        using IPageTable table = new LpaePageTableFormat().Create(memory).Value!;
        Assert.Equal(Errno.EINVAL, table.Map(address, target, writable: true).Errno);
        Assert.Equal(target == 0 ? Errno.EINVAL : Errno.None, table.Unmap(address).Errno);
        Assert.Equal(4096, memory.AllocatedBytes);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void D3_whatever_a_walker_sees_of_the_stores_is_a_zero_entry_or_a_path_to_zeroes_or_the_page(bool coherent)
    {
        var memory = new ModelMemory(coherent, StoreOrder.Weak);
        using IPageTable table = new LpaePageTableFormat().Create(memory).Value!;
        ulong[] addresses = [0x1000, 0x20_1000, 0x4000_0000, 0x80_0000_0000, 0x2000];
        var seen = new HashSet<ulong>();
        memory.Changed += _ => memory.ForEachVisible(() =>
        {
            foreach (ulong address in addresses)
            {
                seen.Add(Walk(memory, table.Root, address));
            }
        });

        for (ulong i = 0; i < 5; i++)
        {
            Assert.True(table.Map(addresses[i], 0x10_0000 + (i << 12), writable: true).IsOk);
        }

        ulong[] expected = [0UL, 0x10_0F47, 0x10_1F47, 0x10_2F47, 0x10_3F47, 0x10_4F47];
        Assert.Equal(expected, seen.Order());
        Assert.Equal(0, memory.PendingStores);
    }

    [Fact]
    public void Memory_that_runs_out_is_ENOMEM_and_leaks_nothing()
    {
        for (int failing = 1; failing <= 5; failing++)
        {
            var memory = new RecordingMemory { FailAllocation = failing };
            OpResult<IPageTable> table = new LpaePageTableFormat().Create(memory);
            OpResult mapped = table.IsOk ? table.Value.Map(0x1000, 0x1000, writable: true) : table.Outcome;
            Assert.Equal(failing <= 4 ? Errno.ENOMEM : Errno.None, mapped.Errno);
            Assert.True(failing == 1 || table.Value!.Map(0x1000, 0x1000, writable: true).IsOk);
            table.Value?.Dispose();
            Assert.Equal(0, memory.AllocatedBytes);
        }
    }

    [Fact]
    public void The_format_is_exported_by_its_name()
    {
        var attribute = (PageTableFormatAttribute)Attribute.GetCustomAttribute(
            typeof(LpaePageTableFormat), typeof(PageTableFormatAttribute))!;
        Assert.Equal("arm-lpae-4k", attribute.Name);
        Assert.Equal("arm-lpae-4k", new LpaePageTableFormat().Name);
        Assert.Equal(48, new LpaePageTableFormat().AddressBits);
    }

    // The last entry, or the first one that leads nowhere.
    private static ulong Walk(ModelMemory memory, ulong table, ulong address)
    {
        for (int shift = 39; ; shift -= 9)
        {
            ulong entry = memory.Device.ReadQword(table + ((address >> shift & 0x1FF) * 8));
            if (shift == 12 || entry == 0)
            {
                return entry;
            }

            Assert.Equal(3UL, entry & 0xFFF0_0000_0000_0FFF);
            table = entry & ~0xFFFUL;
        }
    }

    [Fact]
    public void What_is_read_back_is_what_a_device_reaches_at_every_level_and_with_every_right()
    {
        var random = new Random(7);
        for (int round = 0; round < 20; round++)
        {
            var memory = new ModelMemory();
            using IIommuModel model = new Emulation.Caching.SmmuModel(memory, new HardwareSetup());
            using Unit.SmmuUnit unit =
                Unit.SmmuUnit.Start(new UnitSetup { Name = "smmu0", Hardware = model }).Value!;
            Unit.SmmuDomain domain = unit.CreateDomain(6).Value!;
            Assert.True(unit.AddStream(domain, new RequesterId(3), ats: false).IsOk);
            ulong root = memory.AllocatePages(4096).Value;
            Fill(memory, random, root, 0);
            var link = new Unit.SmmuLink(unit.CreateProcess().Value!);
            Assert.True(domain.Attach(link, new Pasid(5), root, first: true).IsOk);

            Dictionary<ulong, PageMapping> found =
                new LpaePageTableFormat().Mappings(memory, root, 0, ulong.MaxValue).ToDictionary(page => page.Address);

            foreach (ulong address in Candidates())
            {
                TranslationResult read = model.Translate(new DmaAccess(new RequesterId(3), new Pasid(5), address, false));
                TranslationResult write = model.Translate(new DmaAccess(new RequesterId(3), new Pasid(5), address, true));
                bool isMapped = found.TryGetValue(address, out PageMapping page);
                Assert.Equal(isMapped ? TranslationStatus.Translated : TranslationStatus.Faulted, read.Status);
                Assert.Equal(isMapped ? page.Target : 0, read.Address);
                Assert.Equal(isMapped && page.IsWritable, write.Status == TranslationStatus.Translated);
            }
        }
    }

    [Fact]
    public void A_range_is_read_back_in_order_and_garbage_ends()
    {
        var memory = new ModelMemory();
        using IPageTable table = new LpaePageTableFormat().Create(memory).Value!;
        ulong[] pages = [0x1000, 0x1F_F000, 0x20_0000, 0x4000_0000, 0x80_0000_0000, Last];
        Assert.All(pages, page => Assert.True(table.Map(page, page & 0xFFFF_F000, true).IsOk));
        var format = new LpaePageTableFormat();

        Assert.Equal(pages, format.Mappings(memory, table.Root, 0, ulong.MaxValue).Select(p => p.Address));
        Assert.Equal(pages[1..4], format.Mappings(memory, table.Root, 0x1F_FFFF, 0x4000_0000).Select(p => p.Address));
        Assert.Empty(format.Mappings(memory, table.Root, 0x2000, 0x1F_EFFF));
        Assert.Empty(format.Mappings(memory, table.Root, 1UL << 48, ulong.MaxValue));
        Assert.Empty(format.Mappings(memory, 0xFFFF_FFFF_F000, 0, ulong.MaxValue)); // no memory there

        // A table that leads to itself: as deep as any, as long as it says, and read as it is enumerated.
        for (ulong i = 0; i < 4; i++)
        {
            memory.WriteQword(table.Root + (i * 8), table.Root | 0x443);
        }

        Assert.Equal(100, format.Mappings(memory, table.Root, 0, ulong.MaxValue).Take(100).Count());
    }

    // Tables with entries of every kind in a few places; the rest stays empty.
    private static void Fill(ModelMemory memory, Random random, ulong table, int level)
    {
        foreach (int index in Places(level))
        {
            bool isBlock = level is 1 or 2 && random.Next(3) == 0;
            ulong entry;
            if (level == 3 || isBlock)
            {
                // AF, SH, AP1 and AttrIndx 1, of which one may be missing; AP2 at random.
                ulong attributes = 0xF44UL & ~(random.Next(4) switch { 0 => 0x400UL, 1 => 0x40UL, _ => 0UL });
                entry = ((ulong)(uint)random.Next(1, 64) << (12 + (9 * (3 - level)))) | attributes
                    | (random.Next(2) == 0 ? 0x80UL : 0) | (isBlock ? 1UL : 3UL);
            }
            else
            {
                entry = memory.AllocatePages(4096).Value;
                Fill(memory, random, entry, level + 1);
                entry |= 3 | (random.Next(6) switch { 0 => 1UL << 61, 1 => 1UL << 62, _ => 0UL });
            }

            memory.WriteQword(table + ((ulong)index * 8), entry);
        }
    }

    private static int[] Places(int level) => level switch { 0 => [0, 511], 1 => [0, 511], 2 => [1, 2, 511], _ => [0, 7] };

    private static IEnumerable<ulong> Candidates() =>
        from zero in Places(0)
        from one in Places(1)
        from two in Places(2)
        from three in new[] { 0, 1, 7, 511 }
        select ((((((ulong)zero << 9) + (ulong)one) << 9) + (ulong)two << 9) + (ulong)three) << 12;
}
