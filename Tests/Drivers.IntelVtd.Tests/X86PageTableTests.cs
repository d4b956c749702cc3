using PasidFramework.Drivers.IntelVtd.Tables;
using PasidFramework.Hardware;
using PasidFramework.Models;
using PasidFramework.Tables;

namespace PasidFramework.Drivers.IntelVtd.Tests;

public sealed class X86PageTableTests
{
    private const ulong Present = 1;

    [Fact]
    public void A_mapping_is_found_by_a_walk_and_gone_after_its_unmap()
    {
        var memory = new SystemMemory();
        using IPageTable table = Rig.Ok(new X86PageTableFormat().Create(memory));

        Rig.Ok(table.Map(0x7f00_1234_5000, 0xABCDE000, writable: true));
        Rig.Ok(table.Map(0x7f00_1234_6000, 0xABCDF000, writable: false));
        Rig.Ok(table.Map(0x7fff_ffff_f000, 0x000F_FFFF_FFFF_F000, writable: false));

        Assert.Equal(0xABCDE067UL, Leaf(memory, table.Root, 0x7f00_1234_5000));
        Assert.Equal(0xABCDF025UL, Leaf(memory, table.Root, 0x7f00_1234_6000));
        Assert.Equal(0x000F_FFFF_FFFF_F025UL, Leaf(memory, table.Root, 0x7fff_ffff_f000));
        Rig.Ok(table.Unmap(0x7f00_1234_5000));
        Rig.Ok(table.Unmap(0x1000));
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
        using IPageTable table = Rig.Ok(new X86PageTableFormat().Create(new SystemMemory()));

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
                Rig.Ok(created.Value.Map(0x5000, 0x6000, true));
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
        using IPageTable table = Rig.Ok(new X86PageTableFormat().Create(memory));
        int runs = 0;
        memory.Changed += _ => runs += memory.ForEachVisible(
            () => Assert.Contains(Leaf(memory.Device, table.Root, 0x5000), new ulong[] { 0, 0x6067, 0x7025 }));

        Rig.Ok(table.Map(0x5000, 0x6000, true));
        Assert.Equal(0x6067UL, Leaf(memory.Device, table.Root, 0x5000));
        Rig.Ok(table.Map(0x5000, 0x7000, false));
        Assert.Equal(0x7025UL, Leaf(memory.Device, table.Root, 0x5000));
        Rig.Ok(table.Unmap(0x5000));

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
}
