// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Core.Tests.Allocation;

public sealed class QuotaPasidAllocatorTests
{
    [Fact]
    public void An_owner_gets_as_many_PASIDs_as_its_quota_and_no_more()
    {
        QuotaPasidAllocator allocator = Make(3);

        Assert.Equal(3, Enumerable.Range(0, 5).Count(_ => Allocate(allocator, 1).IsAllocated));

        PasidAllocation refused = Allocate(allocator, 1);
        Assert.Equal(PasidAllocationStatus.QuotaExceeded, refused.Status);
        Assert.Equal(Errno.ENOSPC, refused.Errno);
        Assert.Equal((3, 3, 0), (allocator.LiveCount, allocator.HeldBy(1), allocator.HeldBy(2)));
        Assert.True(Allocate(allocator, 2).IsAllocated);
    }

    [Fact]
    public void Owner_0_is_neither_counted_nor_limited()
    {
        QuotaPasidAllocator allocator = Make(0);

        Assert.Equal(20, Enumerable.Range(0, 30).Count(_ => Allocate(allocator, 0).IsAllocated));
        Assert.Equal(0, allocator.HeldBy(0));
        Assert.Equal(PasidAllocationStatus.QuotaExceeded, Allocate(allocator, 1).Status);
    }

    [Fact]
    public void A5_a_refusal_for_quota_changes_nothing()
    {
        QuotaPasidAllocator asked = new(new RandomPasidAllocator(new PasidRange(1, 1000), 1), 1);
        QuotaPasidAllocator twin = new(new RandomPasidAllocator(new PasidRange(1, 1000), 1), 1);
        Assert.Equal(Allocate(twin, 1), Allocate(asked, 1));

        for (int i = 0; i < 5; i++)
        {
            Assert.Equal(PasidAllocationStatus.QuotaExceeded, Allocate(asked, 1).Status);
        }

        Assert.Equal(
            Enumerable.Range(0, 50).Select(_ => Allocate(twin, 0)),
            Enumerable.Range(0, 50).Select(_ => Allocate(asked, 0)));
    }

    [Fact]
    public void A_PASID_counts_for_its_owner_until_it_is_freed_and_then_for_the_next()
    {
        QuotaPasidAllocator allocator = new(new LowestPasidAllocator(new PasidRange(1, 20)), 1);
        Pasid pasid = Allocate(allocator, 1).Pasid;

        Assert.Equal(PasidFreeStatus.Freed, allocator.Free(pasid));
        Assert.Equal(PasidFreeStatus.NotAllocated, allocator.Free(pasid));
        Assert.Equal(0, allocator.HeldBy(1));

        Assert.Equal(pasid, Allocate(allocator, 2).Pasid);
        Assert.Equal((0, 1), (allocator.HeldBy(1), allocator.HeldBy(2)));
        Assert.True(Allocate(allocator, 1).IsAllocated);
        allocator.Free(pasid);
        Assert.Equal(pasid, Allocate(allocator, 0).Pasid);
        Assert.Equal((1, 0), (allocator.HeldBy(1), allocator.HeldBy(2)));
        Assert.Equal(PasidFreeStatus.Freed, allocator.Free(pasid));
        Assert.Equal((1, 0), (allocator.HeldBy(1), allocator.HeldBy(2)));
    }

    [Fact]
    public void An_allocation_that_fails_for_another_reason_is_not_charged()
    {
        QuotaPasidAllocator allocator = new(new LowestPasidAllocator(new PasidRange(1, 2)), 5);
        Allocate(allocator, 0);
        Allocate(allocator, 0);

        Assert.Equal(PasidAllocationStatus.NoSpace, Allocate(allocator, 1).Status);
        Assert.Equal(
            PasidAllocationStatus.InvalidRange,
            allocator.Allocate(new PasidRequest(new PasidRange(3, 9), Owner: 1)).Status);

        Assert.Equal(0, allocator.HeldBy(1));
    }

    [Fact]
    public void A_free_that_the_delegate_refuses_stays_charged()
    {
        FakeHost host = new(new PasidRange(1, 5));
        QuotaPasidAllocator allocator = new(new DelegatedPasidAllocator(host, new PasidRange(1, 5)), 1);
        Pasid pasid = Allocate(allocator, 7).Pasid;
        host.AnswerFree(status: 1);

        Assert.Equal(PasidFreeStatus.DeviceError, allocator.Free(pasid));

        Assert.Equal(1, allocator.HeldBy(7));
        Assert.Equal(PasidFreeStatus.Freed, allocator.Free(pasid));
        Assert.Equal(0, allocator.HeldBy(7));
    }

    [Fact]
    public void An_impossible_range_is_EINVAL_even_for_an_owner_at_its_limit()
    {
        QuotaPasidAllocator allocator = Make(1);
        Allocate(allocator, 1);

        Assert.Equal(
            PasidAllocationStatus.InvalidRange,
            allocator.Allocate(new PasidRequest(new PasidRange(9, 8), Owner: 1)).Status);
    }

    [Theory]
    [InlineData(-1), InlineData(QuotaPasidAllocator.MaxOwner + 1), InlineData(int.MaxValue), InlineData(int.MinValue)]
    public void An_owner_that_cannot_be_is_misuse(int owner)
    {
        QuotaPasidAllocator allocator = Make(1);

        Assert.Throws<ArgumentOutOfRangeException>(() => Allocate(allocator, owner));
        Assert.Throws<ArgumentOutOfRangeException>(() => allocator.HeldBy(owner));

        Assert.True(Allocate(allocator, QuotaPasidAllocator.MaxOwner).IsAllocated);
        Assert.Equal(1, allocator.HeldBy(QuotaPasidAllocator.MaxOwner));
    }

    [Fact]
    public void A9_two_threads_of_the_same_owners_never_exceed_the_quota_and_leave_nothing_charged()
    {
        const int Limit = 3;
        QuotaPasidAllocator allocator = new(new CyclicPasidAllocator(new PasidRange(1, 20)), Limit);
        int[] held = new int[3];
        int highest = 0;
        bool exact = true;
        using Barrier barrier = new(2, _ => exact &= allocator.HeldBy(1) == held[1] && allocator.HeldBy(2) == held[2]);
        void Work()
        {
            List<(Pasid Pasid, int Owner)> mine = [];
            for (int round = 0; round < 20; round++)
            {
                barrier.SignalAndWait();
                for (int step = 0; step < 20_000; step++)
                {
                    int owner = 1 + (step % 2);
                    PasidAllocation allocation = Allocate(allocator, owner);
                    if (allocation.IsAllocated)
                    {
                        // Counted after the fact and uncounted before it, so never more than what is really held.
                        InterlockedMax(ref highest, Interlocked.Increment(ref held[owner]));
                        mine.Add((allocation.Pasid, owner));
                    }

                    if (mine.Count > 0 && (!allocation.IsAllocated || step % 5 == 0))
                    {
                        Interlocked.Decrement(ref held[mine[^1].Owner]);
                        allocator.Free(mine[^1].Pasid);
                        mine.RemoveAt(mine.Count - 1);
                    }
                }
            }

            barrier.SignalAndWait();
            mine.ForEach(m => allocator.Free(m.Pasid));
        }

        Thread other = new(Work);
        other.Start();
        Work();
        other.Join();

        Assert.True(exact);
        Assert.Equal(Limit, highest);
        Assert.Equal((0, 0, 0), (allocator.HeldBy(1), allocator.HeldBy(2), allocator.LiveCount));
        ((ISelfChecking)allocator).AssertInvariants();
    }

    private static void InterlockedMax(ref int target, int value)
    {
        int seen = Volatile.Read(ref target);
        while (value > seen)
        {
            int before = Interlocked.CompareExchange(ref target, value, seen);
            if (before == seen)
            {
                return;
            }

            seen = before;
        }
    }

    private static QuotaPasidAllocator Make(int limit) => new(new CyclicPasidAllocator(new PasidRange(1, 20)), limit);

    private static PasidAllocation Allocate(IPasidAllocator allocator, int owner) =>
        allocator.Allocate(new PasidRequest(PasidRange.Full, owner));
}
