// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Tests;

/// <summary>D6: an invalidation covers its range and never less.</summary>
public sealed class RangeTests
{
    private const ulong Top = ulong.MaxValue;

    /// <summary>Pairs of first byte and byte after the range; none is empty.</summary>
    public static TheoryData<ulong, ulong> Corners
    {
        get
        {
            var corners = new TheoryData<ulong, ulong>();
            ulong[] points =
            [
                0, 1, 0xfff, 0x1000, 0x1001, 0x1fff, 0x2000, 0xffff_ffff, 0x1_0000_0000, 1UL << 47, 1UL << 63,
                Top - 0x1000, Top - 0xfff, Top - 1, Top,
            ];
            foreach (ulong start in points)
            {
                foreach (ulong end in points.Where(p => p != start || p == 0))
                {
                    corners.Add(start, end);
                }
            }

            return corners;
        }
    }

    [Theory]
    [MemberData(nameof(Corners))]
    public void D6_corner_ranges_are_covered(ulong start, ulong end)
    {
        foreach (int granule in new[] { 0, 12, 14, 16, 21, 30, 63 })
        {
            var range = IovaRange.FromStartEnd(start, end);
            AssertCovers(start, end, granule, range == IovaRange.All ? null : InvalidationRange.Cover(range, granule));
        }
    }

    [Fact]
    public void D6_any_range_is_covered_by_what_an_independent_reader_finds_in_the_queue()
    {
        foreach (string dialect in new[] { "B", "E" })
        {
            using Fixture fixture = Fixture.Start(dialect);
            using DomainTable table = fixture.CreateTable(1, 16);
            Assert.Equal(OpResult.Ok, table.AddEndpoint(0x18));
            Assert.Equal(OpResult.Ok, table.Install(new Pasid(5), 0x1000, 7));
            fixture.TakeLog();

            Prop.ForAll<ulong, ulong, int>((a, b, shift) =>
            {
                // Spread over all sizes, from bytes to the whole of memory.
                ulong start = a * 0x9E37_79B9_7F4A_7C15;
                ulong length = (b * 0xBF58_476D_1CE4_E5B9) >> (shift & 63);
                ulong end = start + length;
                Assert.Equal(OpResult.Ok, table.Invalidate(new Pasid(5), 7, start, end));

                Emulation.Functional.ConsumedRequest[] log = fixture.TakeLog();
                if (start == end && end != 0)
                {
                    Assert.Empty(log);
                    return;
                }

                Invalidation sent = WireReader.ReadInvalidation(dialect, log.Single().Bytes);
                Assert.Equal((1u, 5u, 7UL), (sent.Domain, sent.Pasid, sent.Id));
                Assert.False(sent.IsConfig);

                // LEAF would leave table entries of upper levels in the caches.
                Assert.False(sent.Leaf);
                AssertCovers(start, end, 12, sent.Scope == Scope.Pages
                    ? new InvalidationRange(sent.First, sent.Pages)
                    : null);
                if (sent.Scope == Scope.Pages)
                {
                    Assert.Equal(12, sent.GranuleLog2);
                }
            }).QuickCheckThrowOnFailure();
            Assert.Equal(OpResult.Ok, table.RemoveEndpoint(0x18));
        }
    }

    [Fact]
    public void The_granule_is_the_smallest_page_of_the_device()
    {
        Assert.Equal(12, new DeviceConfig(0x4020_1000, 0, ulong.MaxValue, 0, 1, 0).GranuleLog2);
        Assert.Equal(16, new DeviceConfig(0xFFFF_FFFF_FFFF_0000, 0, ulong.MaxValue, 0, 1, 0).GranuleLog2);
    }

    // Null is everything of the PASID.
    private static void AssertCovers(ulong start, ulong end, int granule, InvalidationRange? covered)
    {
        UInt128 stop = end == 0 ? UInt128.One << 64 : end;
        if (stop < start || start == end)
        {
            Assert.Null(covered);
            return;
        }

        InvalidationRange range = Assert.NotNull(covered);
        UInt128 page = UInt128.One << granule;
        UInt128 first = range.FirstByte;
        UInt128 after = first + (range.Pages * page);
        Assert.Equal(UInt128.Zero, first % page);
        Assert.True(range.Pages > 0);
        Assert.True(first <= start && after >= stop, $"[{first:x}, {after:x}) does not cover [{start:x}, {stop:x})");
        Assert.True(start - first < page && after - stop < page, "more than one page too much at an end");
        Assert.True(after <= UInt128.One << 64);
    }
}
