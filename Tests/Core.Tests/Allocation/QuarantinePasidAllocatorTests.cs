// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Core.Tests.Allocation;

public sealed class QuarantinePasidAllocatorTests
{
    private static readonly PasidRequest s_any = new(PasidRange.Full);

    [Theory]
    [InlineData(0), InlineData(1), InlineData(2), InlineData(5), InlineData(9)]
    public void A7_a_PASID_is_reusable_exactly_after_N_further_frees(int frees)
    {
        QuarantinePasidAllocator allocator = Filled(new LowestPasidAllocator(new PasidRange(1, 10)), frees);
        PasidRequest onlyFour = new(new PasidRange(4, 4));
        uint[] others = [1, 2, 3, 5, 6, 7, 8, 9, 10];

        Assert.Equal(PasidFreeStatus.Freed, allocator.Free(new Pasid(4)));
        for (int i = 0; i < frees; i++)
        {
            Assert.Equal(PasidAllocationStatus.NoSpace, allocator.Allocate(in onlyFour).Status);
            Assert.Equal(i + 1, allocator.WaitingCount);
            Assert.Equal(PasidFreeStatus.Freed, allocator.Free(new Pasid(others[i])));
        }

        Assert.Equal(frees, allocator.WaitingCount);
        Assert.Equal(PasidAllocation.Of(4), allocator.Allocate(in onlyFour));
    }

    [Fact]
    public void A5_waiting_PASIDs_are_not_given_out_even_where_nothing_else_is_left()
    {
        QuarantinePasidAllocator allocator = Filled(new LowestPasidAllocator(new PasidRange(1, 10)), 4);

        for (uint pasid = 1; pasid <= 4; pasid++)
        {
            allocator.Free(new Pasid(pasid));
        }

        Assert.Equal(PasidAllocationStatus.NoSpace, allocator.Allocate(in s_any).Status);
        Assert.Equal((6, 4), (allocator.LiveCount, allocator.WaitingCount));
    }

    [Fact]
    public void A6_a_waiting_PASID_is_not_live_and_cannot_be_freed_again()
    {
        QuarantinePasidAllocator allocator = Filled(new LowestPasidAllocator(new PasidRange(1, 10)), 4);
        allocator.Free(new Pasid(7));

        Assert.False(allocator.IsLive(new Pasid(7)));
        Assert.Equal(PasidFreeStatus.NotAllocated, allocator.Free(new Pasid(7)));

        Assert.Equal((9, 1), (allocator.LiveCount, allocator.WaitingCount));
        Check(allocator);
    }

    [Theory]
    [InlineData(1000, 250, 250), InlineData(1_000_000_000, 3, 3_000_000), InlineData(3, 1000, 3), InlineData(3, 100, 1)]
    [InlineData(3, 334, 2), InlineData(1, QuarantinePasidAllocator.MaxMilliseconds, 86_400)]
    public void A7_a_PASID_is_reusable_exactly_when_its_time_is_over(long ticksPerSecond, int milliseconds, long ticks)
    {
        ManualTime time = new(ticksPerSecond) { Now = 1000 };
        QuarantinePasidAllocator allocator = new(new LowestPasidAllocator(new PasidRange(5, 5)), 0, milliseconds, time);
        allocator.Allocate(in s_any);
        allocator.Free(new Pasid(5));

        Assert.Equal(PasidAllocationStatus.NoSpace, allocator.Allocate(in s_any).Status);
        time.Now = 1000 + ticks - 1;
        Assert.Equal(PasidAllocationStatus.NoSpace, allocator.Allocate(in s_any).Status);
        Assert.Equal(1, allocator.WaitingCount);
        time.Now = 1000 + ticks;
        Assert.Equal(PasidAllocation.Of(5), allocator.Allocate(in s_any));
        Assert.Equal(0, allocator.WaitingCount);
    }

    [Fact]
    public void A7_with_frees_and_a_time_both_have_to_be_over()
    {
        ManualTime time = new(1000);
        QuarantinePasidAllocator allocator = Filled(new LowestPasidAllocator(new PasidRange(1, 10)), 2, 100, time);
        PasidRequest onlyOne = new(new PasidRange(1, 1));
        PasidRequest onlyTwo = new(new PasidRange(2, 2));

        allocator.Free(new Pasid(1));
        time.Now = 500;
        Assert.Equal(PasidAllocationStatus.NoSpace, allocator.Allocate(in onlyOne).Status);
        allocator.Free(new Pasid(2));
        allocator.Free(new Pasid(3));
        Assert.Equal(PasidAllocation.Of(1), allocator.Allocate(in onlyOne));

        allocator.Free(new Pasid(4));
        Assert.Equal(PasidAllocationStatus.NoSpace, allocator.Allocate(in onlyTwo).Status);
        time.Now = 600;
        Assert.Equal(PasidAllocation.Of(2), allocator.Allocate(in onlyTwo));
        Assert.Equal(2, allocator.WaitingCount);
        Check(allocator);
    }

    [Fact]
    public void A9_with_a_time_the_whole_range_can_wait_and_comes_back_in_order()
    {
        ManualTime time = new(1000);
        QuarantinePasidAllocator allocator = new(new CyclicPasidAllocator(new PasidRange(1, 100)), 0, 10, time);
        for (int lap = 0; lap < 3; lap++)
        {
            for (int i = 0; i < 100; i++)
            {
                Assert.True(allocator.Allocate(in s_any).IsAllocated);
            }

            for (uint pasid = 1; pasid <= 100; pasid++)
            {
                time.Now++;
                Assert.Equal(PasidFreeStatus.Freed, allocator.Free(new Pasid(pasid)));
                Assert.Equal((int)Math.Min(pasid, 10), allocator.WaitingCount);
                Check(allocator);
            }

            time.Now += 10;
        }

        time.Now -= 10;
        Assert.Equal((0, 10), (allocator.LiveCount, allocator.WaitingCount));
        for (uint n = 1; n <= 90; n++)
        {
            Assert.Equal(PasidAllocation.Of(n), allocator.Allocate(in s_any));
        }

        Assert.Equal(PasidAllocationStatus.NoSpace, allocator.Allocate(in s_any).Status);
        time.Now++;
        Assert.Equal(PasidAllocation.Of(91), allocator.Allocate(in s_any));
        Assert.Equal(PasidAllocationStatus.NoSpace, allocator.Allocate(in s_any).Status);
    }

    [Fact]
    public void A9_with_a_long_time_every_PASID_can_wait_at_once()
    {
        ManualTime time = new(1000);
        QuarantinePasidAllocator allocator = Filled(new LowestPasidAllocator(new PasidRange(1, 70)), 3, 1000, time);

        for (uint pasid = 1; pasid <= 70; pasid++)
        {
            allocator.Free(new Pasid(pasid));
        }

        Assert.Equal((0, 70), (allocator.LiveCount, allocator.WaitingCount));
        Check(allocator);
        time.Now = 1000;

        // The last three still miss further frees.
        Assert.Equal(67, Enumerable.Range(0, 70).Count(_ => allocator.Allocate(in s_any).IsAllocated));
        Assert.Equal(3, allocator.WaitingCount);
    }

    [Fact]
    public void A3_a_waiting_PASID_can_be_reserved_and_its_free_still_counts_for_the_others()
    {
        QuarantinePasidAllocator allocator = Filled(new LowestPasidAllocator(new PasidRange(1, 10)), 3);
        allocator.Free(new Pasid(1));
        allocator.Free(new Pasid(2));

        Assert.True(allocator.TryReserve(new Pasid(2)));
        Assert.True(allocator.TryReserve(new Pasid(2)));

        Assert.Equal((8, 1), (allocator.LiveCount, allocator.WaitingCount));
        Assert.Equal(PasidFreeStatus.NotAllocated, allocator.Free(new Pasid(2)));
        allocator.Free(new Pasid(3));
        Assert.Equal(PasidAllocationStatus.NoSpace, allocator.Allocate(in s_any).Status);
        allocator.Free(new Pasid(4));
        Assert.Equal(PasidAllocation.Of(1), allocator.Allocate(in s_any));
        allocator.Free(new Pasid(5));
        Assert.Equal(PasidAllocationStatus.NoSpace, allocator.Allocate(in s_any).Status);
        allocator.Free(new Pasid(6));
        Assert.Equal(PasidAllocation.Of(3), allocator.Allocate(in s_any));
        Check(allocator);
    }

    [Fact]
    public void A2_a_PASID_that_the_inner_allocator_does_not_take_back_waits_for_ever()
    {
        FakeHost host = new(new PasidRange(1, 5));
        QuarantinePasidAllocator allocator = Filled(new DelegatedPasidAllocator(host, new PasidRange(1, 5)), 1);
        host.AnswerFree(status: 3);

        allocator.Free(new Pasid(1));
        allocator.Free(new Pasid(2));
        allocator.Free(new Pasid(3));

        Assert.Equal((2, 2), (allocator.LiveCount, allocator.WaitingCount));
        Assert.Equal(PasidFreeStatus.NotAllocated, allocator.Free(new Pasid(1)));
        Assert.Equal(PasidAllocation.Of(2), allocator.Allocate(in s_any));
        Assert.Equal(PasidAllocationStatus.NoSpace, allocator.Allocate(in s_any).Status);
        Check(allocator);
    }

    [Fact]
    public void A3_a_waiting_PASID_that_cannot_go_back_is_reserved_all_the_same()
    {
        FakeHost host = new(new PasidRange(1, 5));
        QuarantinePasidAllocator allocator = Filled(new DelegatedPasidAllocator(host, new PasidRange(1, 5)), 1);
        allocator.Free(new Pasid(1));
        host.AnswerFree(status: 3);

        Assert.True(allocator.TryReserve(new Pasid(1)));

        allocator.Free(new Pasid(2));
        allocator.Free(new Pasid(3));
        Assert.Equal(PasidAllocation.Of(2), allocator.Allocate(in s_any));
        Assert.Equal(PasidAllocationStatus.NoSpace, allocator.Allocate(in s_any).Status);
        Assert.Equal((3, 2), (allocator.LiveCount, allocator.WaitingCount));
        Check(allocator);
    }

    [Fact]
    public void A_quarantine_that_would_never_end_is_refused()
    {
        LowestPasidAllocator inner = new(new PasidRange(1, 10));

        Assert.Throws<ArgumentOutOfRangeException>(() => Wrap(inner, -1, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => Wrap(inner, 10, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => Wrap(inner, 0, -1));
        Assert.Throws<ArgumentOutOfRangeException>(() => Wrap(inner, 0, QuarantinePasidAllocator.MaxMilliseconds + 1));
        Assert.Equal("lowest+quarantine", Wrap(inner, 9, QuarantinePasidAllocator.MaxMilliseconds).Name);
    }

    [Fact]
    public void An_allocator_in_use_is_not_wrapped()
    {
        LowestPasidAllocator inner = new(new PasidRange(1, 10));
        inner.Allocate(in s_any);

        Assert.Throws<ArgumentException>(() => Wrap(inner, 1, 0));
        Assert.Throws<ArgumentException>(() => new QuotaPasidAllocator(inner, 1));
    }

    private static QuarantinePasidAllocator Wrap(IPasidAllocator inner, int frees, int milliseconds) =>
        new(inner, frees, milliseconds, TimeProvider.System);

    private static QuarantinePasidAllocator Filled(
        IPasidAllocator inner, int frees, int milliseconds = 0, TimeProvider? time = null)
    {
        QuarantinePasidAllocator allocator = new(inner, frees, milliseconds, time ?? TimeProvider.System);
        for (long i = 0; i < inner.Range.Count; i++)
        {
            Assert.True(allocator.Allocate(in s_any).IsAllocated);
        }

        return allocator;
    }

    private static void Check(ISelfChecking allocator) => allocator.AssertInvariants();
}
