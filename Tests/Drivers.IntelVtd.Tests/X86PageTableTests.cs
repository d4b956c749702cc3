using PasidFramework.Contracts;
using PasidFramework.DriverKit.Emulation;
using PasidFramework.Drivers.IntelVtd.PageTables;
using PasidFramework.Drivers.IntelVtd.Unit;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace PasidFramework.Drivers.IntelVtd.Tests;

public sealed class X86PageTableTests
{
    private const ulong Present = 1;

    [Fact]
    public void A_mapping_is_found_by_a_walk_and_gone_after_its_unmap()
    {
        var memory = new SystemMemory();
        using IPageTable table = Fixture.Ok(new X86PageTableFormat().Create(memory));

        Fixture.Ok(table.Map(0x7f00_1234_5000, 0xABCDE000, writable: true));
        Fixture.Ok(table.Map(0x7f00_1234_6000, 0xABCDF000, writable: false));
        Fixture.Ok(table.Map(0x7fff_ffff_f000, 0x000F_FFFF_FFFF_F000, writable: false));

        Assert.Equal(0xABCDE067UL, Leaf(memory, table.Root, 0x7f00_1234_5000));
        Assert.Equal(0xABCDF025UL, Leaf(memory, table.Root, 0x7f00_1234_6000));
        Assert.Equal(0x000F_FFFF_FFFF_F025UL, Leaf(memory, table.Root, 0x7fff_ffff_f000));
        Fixture.Ok(table.Unmap(0x7f00_1234_5000));
        Fixture.Ok(table.Unmap(0x1000));
        Assert.Equal(0UL, Leaf(memory, table.Root, 0x7f00_1234_5000));
        Assert.Equal(0xABCDF025UL, Leaf(memory, table.Root, 0x7f00_1234_6000));
    }

    [Theory]
    [InlineData(0x1001UL, 0x1000UL, "0x1001")]
    [InlineData(0x8000_0000_0000UL, 0x1000UL, "2^47")]
    [InlineData(0x1000UL, 0x1001UL, "0x1001")]
    [InlineData(0x1000UL, 0x0010_0000_0000_0000UL, "2^52")]
    public void What_cannot_be_mapped_is_EINVAL(ulong address, ulong target, string named)
    {
        using IPageTable table = Fixture.Ok(new X86PageTableFormat().Create(new SystemMemory()));

        OpResult result = table.Map(address, target, true);

        Assert.Equal(Errno.EINVAL, result.Errno);
        Assert.Contains(named, result.Reason);
    }

    [Fact]
    public void D8_D13_every_allocation_may_fail_and_nothing_leaks_or_changes()
    {
        for (int allowed = 0; allowed < 4; allowed++)
        {
            var memory = new RecordingMemory { AllocationsLeft = allowed };
            OpResult<IPageTable> created = new X86PageTableFormat().Create(memory);
            if (created.IsOk)
            {
                Assert.Equal(Errno.ENOMEM, created.Value.Map(0x5000, 0x6000, true).Errno);
                Assert.Equal(0UL, memory.ReadQword(created.Value.Root));
                memory.AllocationsLeft = 3;
                Fixture.Ok(created.Value.Map(0x5000, 0x6000, true));
                created.Value.Dispose();
            }

            Assert.Equal(allowed > 0, created.IsOk);
            Assert.Equal(0, memory.AllocatedBytes);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void D3_a_walker_sees_the_old_tree_or_the_new_one_whatever_has_arrived(bool coherent)
    {
        var memory = new ModelMemory(coherent, StoreOrder.Weak);
        using IPageTable table = Fixture.Ok(new X86PageTableFormat().Create(memory));
        int runs = 0;
        memory.Changed += _ => runs += memory.ForEachVisible(
            () => Assert.Contains(Leaf(memory.Device, table.Root, 0x5000), new ulong[] { 0, 0x6067, 0x7025 }));

        Fixture.Ok(table.Map(0x5000, 0x6000, true));
        Assert.Equal(0x6067UL, Leaf(memory.Device, table.Root, 0x5000));
        Fixture.Ok(table.Map(0x5000, 0x7000, false));
        Assert.Equal(0x7025UL, Leaf(memory.Device, table.Root, 0x5000));
        Fixture.Ok(table.Unmap(0x5000));

        Assert.Equal(0UL, Leaf(memory.Device, table.Root, 0x5000));
        Assert.True(runs > 10, $"only {runs} states were looked at");
        Assert.Empty(memory.StrayReads);
    }

    // An independent walk of four levels.
    private static ulong Leaf(IMemoryReader memory, ulong table, ulong address)
    {
        for (int shift = 39; ; shift -= 9)
        {
            ulong entry = memory.ReadQword((table & 0x000F_FFFF_FFFF_F000) + (((address >> shift) & 511) * 8));
            if (shift == 12 || (entry & Present) == 0)
            {
                return entry;
            }

            table = entry;
        }
    }

    [Fact]
    public void What_is_read_back_is_what_a_device_reaches_at_every_level_and_with_every_right()
    {
        var random = new Random(7);
        for (int round = 0; round < 20; round++)
        {
            var memory = new ModelMemory();
            using IIommuModel model = new Emulation.Caching.VtdModel(memory, new HardwareSetup());
            RemappingUnit unit = Fixture.Ok(RemappingUnit.Start(new UnitSetup { Name = "dmar0", Hardware = model }));
            VtdDomain domain = Fixture.Ok(unit.AddDomain(6));
            VtdDevice device = Fixture.Ok(unit.AddDevice(Fixture.Nic, DeviceFeatures.None, domain));
            ulong root = memory.AllocatePages(4096).Value;
            Fill(memory, random, root, 4);
            VtdLink? link = null;
            Fixture.Ok(domain.Attach(new Pasid(5), root, device, true, ref link));

            Dictionary<ulong, PageMapping> found =
                new X86PageTableFormat().Mappings(memory, root, 0, ulong.MaxValue).ToDictionary(page => page.Address);

            foreach (ulong address in Candidates())
            {
                TranslationResult read = model.Translate(new DmaAccess(Fixture.Nic, new Pasid(5), address, false));
                TranslationResult write = model.Translate(new DmaAccess(Fixture.Nic, new Pasid(5), address, true));
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
        var memory = new SystemMemory();
        using IPageTable table = Fixture.Ok(new X86PageTableFormat().Create(memory));
        ulong[] pages = [0x1000, 0x1F_F000, 0x20_0000, 0x4000_0000, 0x80_0000_0000, 0x7fff_ffff_f000];
        Assert.All(pages, page => Fixture.Ok(table.Map(page, page & 0xFFFF_F000, true)));
        var format = new X86PageTableFormat();

        Assert.Equal(pages, format.Mappings(memory, table.Root, 0, ulong.MaxValue).Select(p => p.Address));
        Assert.Equal(pages[1..4], format.Mappings(memory, table.Root, 0x1F_FFFF, 0x4000_0000).Select(p => p.Address));
        Assert.Empty(format.Mappings(memory, table.Root, 0x2000, 0x1F_EFFF));
        Assert.Empty(format.Mappings(memory, table.Root, 1UL << 47, ulong.MaxValue));
        Assert.Empty(format.Mappings(memory, 0xFFFF_FFFF_F000, 0, ulong.MaxValue)); // no memory there

        // A table that leads to itself: as deep as any, as long as it says, and read as it is enumerated.
        for (ulong i = 0; i < 4; i++)
        {
            memory.WriteQword(table.Root + (i * 8), table.Root | 7);
        }

        Assert.Equal(100, format.Mappings(memory, table.Root, 0, ulong.MaxValue).Take(100).Count());
    }

    // Tables with entries of every kind in a few places; the rest stays empty.
    private static void Fill(ModelMemory memory, Random random, ulong table, int level)
    {
        foreach (int index in Places(level))
        {
            ulong rights = (uint)random.Next(1, 8) | (random.Next(8) == 0 ? 0 : 7UL);
            bool isLarge = level is 2 or 3 && random.Next(3) == 0;
            ulong entry;
            if (level == 1 || isLarge)
            {
                entry = ((ulong)(uint)random.Next(1, 64) << (12 + (9 * (level - 1)))) | (isLarge ? 0x80UL : 0);
            }
            else
            {
                entry = memory.AllocatePages(4096).Value;
                Fill(memory, random, entry, level - 1);
            }

            memory.WriteQword(table + ((ulong)index * 8), entry | rights);
        }
    }

    private static int[] Places(int level) => level switch { 4 => [0, 255], 3 => [0, 511], 2 => [1, 2, 511], _ => [0, 7] };

    private static IEnumerable<ulong> Candidates() =>
        from four in Places(4)
        from three in Places(3)
        from two in Places(2)
        from one in new[] { 0, 1, 7, 511 }
        select ((((((ulong)four << 9) + (ulong)three) << 9) + (ulong)two << 9) + (ulong)one) << 12;
}
