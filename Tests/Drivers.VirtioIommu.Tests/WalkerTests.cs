// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Tests;

/// <summary>What the stand-in device finds in SMMUv3 tables, on bytes that are written here by hand.</summary>
public sealed class WalkerTests
{
    // The worked context descriptor: T0SZ 16, EPD1, AA64, R, A, ASET, ASID 0x2a, TTB0 0x890000000.
    private const ulong Word0 = 0x002ae205c0003510;
    private const ulong Root = 0x890000000;
    private readonly ObservedMemory _memory = new();

    [Theory]
    [InlineData(0, 5, 3u), InlineData(0, 10, 1023u), InlineData(1, 16, 0x1234u), InlineData(1, 20, 0xFFFFFu)]
    [InlineData(2, 12, 1025u), InlineData(2, 20, 0xFFFFFu)]
    public void Every_shape_leads_to_the_descriptor(int format, int width, uint pasid)
    {
        DeviceTable table = Build(format, width, pasid, Word0);

        WalkResult walk = Walk(table, pasid);

        Assert.Equal((TranslationStatus.ReachedPageTable, Root), (walk.Status, walk.PageTableRoot));
        Assert.Equal(TranslationStatus.Faulted, Walk(table, pasid - 1).Status);
        Assert.False(Walk(table, pasid - 1).IsMapping);
    }

    [Theory]
    [InlineData(0x80000000UL, TranslationStatus.Faulted, false)]
    [InlineData(0x200_0000_0000UL, TranslationStatus.Faulted, false)]
    [InlineData(0x4000UL | (1UL << 41) | (1UL << 45), TranslationStatus.Faulted, true)]
    [InlineData(0UL, TranslationStatus.ReachedPageTable, false)]
    public void Validity_and_architecture_and_EPD0_are_looked_at(ulong toggled, object status, bool isMapping)
    {
        // EPD0 is set together with AA64 and R toggled twice: the case adds EPD0 and keeps both.
        ulong word = (toggled & 0x4000) != 0 ? Word0 | 0x4000 : Word0 ^ toggled;
        DeviceTable table = Build(0, 5, 3, word);

        WalkResult walk = Walk(table, 3);

        Assert.Equal(status, walk.Status);
        Assert.Equal(isMapping, walk.IsMapping);
    }

    [Fact]
    public void EPD0_without_R_aborts_quietly()
    {
        DeviceTable table = Build(0, 5, 3, (Word0 | (1UL << 14)) & ~(1UL << 45));

        Assert.Equal(TranslationStatus.AbortedQuietly, Walk(table, 3).Status);
    }

    [Theory]
    [InlineData(0x0000_FFFF_FFFF_FFFFUL, TranslationStatus.ReachedPageTable)]
    [InlineData(0x0001_0000_0000_0000UL, TranslationStatus.Faulted)]
    public void T0SZ_bounds_the_address(ulong address, object status)
    {
        DeviceTable table = Build(0, 5, 3, Word0);

        Assert.Equal(status, Walk(table, 3, address).Status);
    }

    [Theory]
    [InlineData(0, TranslationStatus.Faulted), InlineData(1, TranslationStatus.Bypassed)]
    [InlineData(2, TranslationStatus.ReachedPageTable)]
    public void Requests_without_PASID_follow_S1DSS(int s1Dss, object status)
    {
        DeviceTable table = Build(0, 5, 0, Word0) with { S1Dss = s1Dss };

        Assert.Equal(status, Walk(table, null).Status);
    }

    [Fact]
    public void Substream_0_is_valid_unless_S1DSS_gives_its_descriptor_away()
    {
        DeviceTable table = Build(0, 5, 0, Word0);

        Assert.Equal(TranslationStatus.Faulted, Walk(table, 0).Status);
        Assert.Equal(TranslationStatus.ReachedPageTable, Walk(table with { S1Dss = 0 }, 0).Status);
    }

    [Theory]
    [InlineData(5, 32u), InlineData(0, 0u)]
    public void A_substream_beyond_S1CDMax_is_a_configuration_fault(int width, uint pasid)
    {
        DeviceTable table = Build(0, 6, pasid, Word0) with { S1CdMax = width, S1Dss = 0 };

        WalkResult walk = Walk(table, pasid);

        Assert.Equal((TranslationStatus.Faulted, false), (walk.Status, walk.IsMapping));
    }

    [Fact]
    public void A_table_outside_of_memory_is_a_fault_and_not_an_exception() =>
        Assert.Equal(TranslationStatus.Faulted, Walk(new DeviceTable(1, 0x40, 16, 2), 3).Status);

    private DeviceTable Build(int format, int width, uint pasid, ulong word0)
    {
        ulong table = _memory.AllocatePages(1 << 20).Value;
        ulong descriptor = table + (pasid * 64UL);
        if (format != 0)
        {
            int split = format == 1 ? 6 : 10;
            ulong leaf = _memory.AllocatePages(65536).Value;
            _memory.WriteQword(table + ((ulong)(pasid >> split) * 8), leaf | 1);
            descriptor = leaf + ((pasid & ((1UL << split) - 1)) * 64);
        }

        _memory.WriteQword(descriptor, word0);
        _memory.WriteQword(descriptor + 8, Root);
        return new DeviceTable(format, table, width, 2);
    }

    private WalkResult Walk(DeviceTable table, uint? pasid, ulong address = 0x1000) => WalkResult.Of(
        table.Open(new ArmSmmu.Reader.SmmuTableReader(), _memory)!.Walk(
            new DmaAccess(new RequesterId(1), pasid is { } value ? new Pasid(value) : null, address, false)));
}
