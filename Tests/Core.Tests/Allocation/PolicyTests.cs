// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Core.Tests.Allocation;

public sealed class PolicyTests
{
    private static readonly PasidRequest s_any = new(PasidRange.Full);

    [Fact]
    public void Lowest_reuses_a_freed_PASID_at_once()
    {
        LowestPasidAllocator allocator = new(new PasidRange(1, Pasid.MaxValue));
        Assert.Equal([1u, 2u, 3u, 4u], Take(allocator, 4));

        allocator.Free(new Pasid(3));
        allocator.Free(new Pasid(2));

        Assert.Equal([2u, 3u, 5u], Take(allocator, 3));
    }

    [Fact]
    public void Top_down_starts_at_the_top_of_what_the_request_can_carry()
    {
        TopDownPasidAllocator allocator = new(new PasidRange(1, Pasid.MaxValue));

        Assert.Equal([0xFFFFFu, 0xFFFFEu], Take(allocator, 2));
        Assert.Equal(0xFFu, allocator.Allocate(new PasidRequest(PasidRange.OfWidth(8))).Pasid.Value);
        Assert.Equal(0xFEu, allocator.Allocate(new PasidRequest(PasidRange.OfWidth(8))).Pasid.Value);

        allocator.Free(new Pasid(0xFFFFE));
        Assert.Equal([0xFFFFEu, 0xFFFFDu], Take(allocator, 2));
    }

    [Fact]
    public void A10_random_PASIDs_depend_on_the_seed_and_on_nothing_else()
    {
        uint[] pasids = Take(new RandomPasidAllocator(PasidRange.Full, 1), 50);

        Assert.Equal(pasids, Take(new RandomPasidAllocator(PasidRange.Full, 1), 50));
        Assert.NotEqual(pasids, Take(new RandomPasidAllocator(PasidRange.Full, 2), 50));
        Assert.NotEqual(pasids, Take(new RandomPasidAllocator(PasidRange.Full, 0), 50));
    }

    // SplitMix64 from seed 0 draws e220a8397b1dcdaf, 6e789e6aa1b965f4, 06c45d188009454f (published reference values);
    // the top 20 bits of each are the starting points in the full range.
    [Fact]
    public void Random_draws_are_those_of_SplitMix64()
    {
        RandomPasidAllocator allocator = new(PasidRange.Full, 0);

        Assert.Equal([0xE220Au, 0x6E789u, 0x06C45u], Take(allocator, 3));
    }

    [Fact]
    public void Random_starting_points_are_spread_evenly()
    {
        PasidRange range = new(0, 159);
        RandomPasidAllocator allocator = new(range, 5);
        int[] hits = new int[16];
        for (int i = 0; i < 16_000; i++)
        {
            Pasid pasid = allocator.Allocate(in s_any).Pasid;
            hits[pasid.Value / 10]++;
            allocator.Free(pasid);
        }

        // Chi-square with 15 degrees of freedom: 37.7 is exceeded once in a thousand. The seed is fixed.
        Assert.True(hits.Sum(h => (h - 1000.0) * (h - 1000.0) / 1000.0) < 37.7, string.Join(" ", hits));
    }

    [Fact]
    public void Random_finds_the_only_free_PASID_wherever_it_starts()
    {
        PasidRange range = new(7, 5000);
        RandomPasidAllocator allocator = new(range, 3);
        Assert.Equal(range.Count, Take(allocator, 4994).Distinct().Count());

        for (uint hole = 7; hole <= 5000; hole += 13)
        {
            allocator.Free(new Pasid(hole));
            Assert.Equal([hole], Take(allocator, 1));
        }
    }

    private static uint[] Take(IPasidAllocator allocator, int count) =>
    [
        .. Enumerable.Range(0, count).Select(_ =>
        {
            PasidAllocation allocation = allocator.Allocate(in s_any);
            Assert.True(allocation.IsAllocated);
            return allocation.Pasid.Value;
        }),
    ];
}
