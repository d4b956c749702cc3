// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;

namespace PasidFramework.Core.Tests.Allocation;

public sealed class ShardedPasidAllocatorTests
{
    private static readonly PasidRequest s_any = new(PasidRange.Full);

    [Fact]
    public void A10_one_thread_gets_the_PASIDs_of_the_cyclic_policy_also_for_narrow_requests()
    {
        PasidRange range = new(3, 1500);
        ShardedPasidAllocator sharded = new(range);
        CyclicPasidAllocator cyclic = new(range);
        AllocatorConformance.Lcg draw = new(5);
        List<Pasid> live = [];
        for (int i = 0; i < 30_000; i++)
        {
            uint first = (uint)draw.Below(1500);
            PasidRange asked = draw.Below(8) == 0 ? new(first, first + (uint)draw.Below(200)) : PasidRange.Full;
            if (draw.Below(2) == 0 || live.Count == 0)
            {
                PasidAllocation expected = cyclic.Allocate(new PasidRequest(asked));
                Assert.Equal(expected, sharded.Allocate(new PasidRequest(asked)));
                if (expected.IsAllocated)
                {
                    live.Add(expected.Pasid);
                }
            }
            else
            {
                int index = draw.Below(live.Count);
                Assert.Equal(PasidFreeStatus.Freed, cyclic.Free(live[index]));
                Assert.Equal(PasidFreeStatus.Freed, sharded.Free(live[index]));
                live.RemoveAt(index);
            }
        }

        Check(sharded);
    }

    [Fact]
    public void Two_threads_take_PASIDs_of_different_blocks_in_turn()
    {
        ShardedPasidAllocator allocator = new(PasidRange.Full);
        List<uint> mine = [];
        List<uint> others = [];
        using Barrier turn = new(2);
        Thread other = new(() =>
        {
            for (int i = 0; i < 100; i++)
            {
                turn.SignalAndWait();
                others.Add(Take(allocator));
                turn.SignalAndWait();
            }
        });
        other.Start();
        for (int i = 0; i < 100; i++)
        {
            mine.Add(Take(allocator));
            turn.SignalAndWait();
            turn.SignalAndWait();
        }

        other.Join();
        Assert.Equal([.. Numbers(0, 64), .. Numbers(128, 36)], mine);
        Assert.Equal([.. Numbers(64, 64), .. Numbers(192, 36)], others);
    }

    [Fact]
    public void A5_PASIDs_in_the_stocks_of_threads_that_wait_or_have_ended_are_not_lost()
    {
        PasidRange range = new(1, 700);
        ShardedPasidAllocator allocator = new(range);
        ConcurrentBag<uint> taken = [];
        using Barrier stocked = new(5);
        using ManualResetEventSlim end = new();
        Thread[] waiting =
        [
            .. Enumerable.Range(0, 4).Select(_ => new Thread(() =>
            {
                taken.Add(Take(allocator));
                stocked.SignalAndWait();
                end.Wait();
            })),
        ];
        Array.ForEach(waiting, t => t.Start());
        stocked.SignalAndWait();
        RunAndEnd(() => taken.Add(Take(allocator)));

        while (allocator.Allocate(in s_any) is { IsAllocated: true } allocation)
        {
            taken.Add(allocation.Pasid.Value);
        }

        Assert.Equal(Numbers(1, 700), taken.Order());
        Assert.Equal(PasidAllocationStatus.NoSpace, allocator.Allocate(in s_any).Status);
        Assert.Equal(700, allocator.LiveCount);
        end.Set();
        Array.ForEach(waiting, t => t.Join());
        Check(allocator);
    }

    [Fact]
    public void A5_a_narrow_request_gets_the_last_PASID_of_another_threads_stock()
    {
        ShardedPasidAllocator allocator = new(PasidRange.Full);
        RunAndEnd(() => Enumerable.Range(0, 63).ToList().ForEach(_ => Take(allocator)));

        PasidRequest narrow = new(new PasidRange(0, 63));
        Assert.Equal(PasidAllocation.Of(63), allocator.Allocate(in narrow));
        Assert.Equal(PasidAllocationStatus.NoSpace, allocator.Allocate(in narrow).Status);
        RunAndEnd(() => Assert.Equal(PasidFreeStatus.Freed, allocator.Free(new Pasid(7))));
        Assert.Equal(PasidAllocation.Of(7), allocator.Allocate(in narrow));
        Check(allocator);
    }

    [Fact]
    public void A_stock_ends_with_its_thread_and_not_before()
    {
        ShardedPasidAllocator allocator = new(new PasidRange(0, 191));
        Assert.Equal(0u, Take(allocator));
        RunAndEnd(() => Assert.Equal(64u, Take(allocator)));
        RunAndEnd(() => Enumerable.Range(0, 64).ToList().ForEach(n => Assert.Equal(128u + (uint)n, Take(allocator))));

        // Block 0 is this thread's; block 1 nobody's any more.
        RunAndEnd(() => Assert.Equal(65u, Take(allocator)));
        Assert.Equal(1u, Take(allocator));
    }

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    [InlineData(8)]
    public void A9_what_some_threads_allocate_others_free_and_nothing_is_lost(int count)
    {
        PasidRange range = new(5, 400);
        ShardedPasidAllocator allocator = new(range);
        int[] holders = new int[range.Last + 1];
        ConcurrentQueue<uint> handed = new();
        int faults = 0;
        bool balanced = true;
        using Barrier barrier = new(count, _ =>
        {
            Check(allocator);
            balanced &= allocator.LiveCount == holders.Sum();
        });
        Thread[] threads =
        [
            .. Enumerable.Range(0, count).Select(me => new Thread(() =>
            {
                AllocatorConformance.Lcg draw = new((ulong)me + 3);
                for (int round = 0; round < 20; round++)
                {
                    barrier.SignalAndWait();
                    for (int step = 0; step < 4000; step++)
                    {
                        uint first = (uint)draw.Below(400);
                        PasidRange asked = draw.Below(4) == 0 ? new(first, first + 30) : PasidRange.Full;
                        if (draw.Below(100) < 55
                            && allocator.Allocate(new PasidRequest(asked)) is { IsAllocated: true } allocation)
                        {
                            uint pasid = allocation.Pasid.Value;
                            bool isRight = asked.Contains(pasid) && range.Contains(pasid)
                                && Interlocked.Exchange(ref holders[pasid], 1) == 0;
                            Interlocked.Add(ref faults, isRight ? 0 : 1);
                            handed.Enqueue(pasid);
                        }
                        else if (handed.TryDequeue(out uint pasid))
                        {
                            Volatile.Write(ref holders[pasid], 0);
                            bool isRight = allocator.Free(new Pasid(pasid)) == PasidFreeStatus.Freed;
                            Interlocked.Add(ref faults, isRight ? 0 : 1);
                        }
                    }
                }

                barrier.SignalAndWait();
            })),
        ];
        Array.ForEach(threads, t => t.Start());
        Array.ForEach(threads, t => t.Join());

        Assert.Equal(0, faults);
        Assert.True(balanced);
        int free = 0;
        while (allocator.Allocate(in s_any).IsAllocated)
        {
            free++;
        }

        Assert.Equal(range.Count, handed.Count + free);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    [InlineData(8)]
    public void A5_NoSpace_is_never_the_answer_while_one_PASID_is_free_at_every_moment(int count)
    {
        // Each thread holds at most one of as many PASIDs as there are threads and one more, so one is always free;
        // they lie in blocks of their own, so that a search reads them one after the other.
        ShardedPasidAllocator allocator = new(new PasidRange(0, 999));
        while (allocator.Allocate(in s_any).IsAllocated)
        {
        }

        for (uint i = 0; i <= count; i++)
        {
            allocator.Free(new Pasid(10 + (i * 67)));
        }

        int refused = 0;
        using Barrier barrier = new(count);
        Thread[] threads =
        [
            .. Enumerable.Range(0, count).Select(_ => new Thread(() =>
            {
                barrier.SignalAndWait();
                for (int i = 0; i < 20_000; i++)
                {
                    PasidAllocation allocation = allocator.Allocate(in s_any);
                    if (allocation.IsAllocated)
                    {
                        allocator.Free(allocation.Pasid);
                    }
                    else
                    {
                        Interlocked.Increment(ref refused);
                    }
                }
            })),
        ];
        Array.ForEach(threads, t => t.Start());
        Array.ForEach(threads, t => t.Join());

        Assert.Equal(0, refused);
        Assert.Equal(1000 - count - 1, allocator.LiveCount);
        Check(allocator);
    }

    [Fact]
    public void A5_NoSpace_is_never_the_answer_while_the_only_free_PASID_moves()
    {
        ShardedPasidAllocator allocator = new(PasidRange.Full);
        while (allocator.Allocate(in s_any).IsAllocated)
        {
        }

        // At every moment one of the two is free, far from each other in a map that has to be read.
        Pasid low = new(100);
        Pasid high = new(0xFFF00);
        allocator.Free(low);
        bool isDone = false;
        int moves = 0;
        Thread mover = new(() =>
        {
            Pasid held = high;
            while (!Volatile.Read(ref isDone))
            {
                Pasid next = held == high ? low : high;
                allocator.Free(held);
                PasidRequest request = new(new PasidRange(next.Value, next.Value));
                while (!allocator.Allocate(in request).IsAllocated)
                {
                    // The other thread has it for a moment.
                }

                held = next;
                Volatile.Write(ref moves, moves + 1);
            }
        });
        mover.Start();

        // Only allocations during which it moved count: then the threads do run at once.
        int refused = 0;
        int met = 0;
        for (int i = 0; i < 20_000_000 && met < 5000; i++)
        {
            int before = Volatile.Read(ref moves);
            PasidAllocation allocation = allocator.Allocate(in s_any);
            met += Volatile.Read(ref moves) != before ? 1 : 0;
            refused += allocation.IsAllocated ? 0 : 1;
            if (allocation.IsAllocated)
            {
                allocator.Free(allocation.Pasid);
            }
        }

        Volatile.Write(ref isDone, true);
        mover.Join();
        Assert.Equal(0, refused);
        Assert.Equal(Pasid.MaxValue, (uint)allocator.LiveCount);
        Check(allocator);
    }

    [Fact]
    public void A3_a_PASID_that_is_taken_and_reserved_at_once_is_one_of_both()
    {
        const int Count = 5000;
        ShardedPasidAllocator allocator = new(new PasidRange(0, Count - 1));
        int target = -1;
        int begun = -1;
        int done = -1;
        Thread taker = new(() =>
        {
            for (int at = 0; at < Count; at++)
            {
                WaitUntil(ref target, at);
                Volatile.Write(ref begun, at);
                PasidRequest request = new(new PasidRange((uint)at, (uint)at));
                for (int i = 0; i < 50; i++)
                {
                    if (allocator.Allocate(in request).IsAllocated)
                    {
                        allocator.Free(new Pasid((uint)at));
                    }
                }

                Volatile.Write(ref done, at);
            }
        });
        taker.Start();
        int lost = 0;
        for (int at = 0; at < Count; at++)
        {
            Volatile.Write(ref target, at);
            WaitUntil(ref begun, at);
            while (!allocator.TryReserve(new Pasid((uint)at)) && Volatile.Read(ref done) != at)
            {
                // The other thread has it, or waits for this answer.
            }

            // The other thread has none now: what cannot be reserved belongs to nobody.
            WaitUntil(ref done, at);
            lost += allocator.TryReserve(new Pasid((uint)at)) ? 0 : 1;
        }

        taker.Join();
        Assert.Equal(0, lost);
        Assert.Equal(0, allocator.LiveCount);
        Assert.Equal(PasidAllocationStatus.NoSpace, allocator.Allocate(in s_any).Status);
        Check(allocator);
    }

    [Fact]
    public void A9_a_PASID_that_many_threads_free_at_once_is_freed_once()
    {
        ShardedPasidAllocator allocator = new(new PasidRange(0, 200));
        Pasid[] targets = new Pasid[100];
        int freed = 0;
        bool exact = true;
        using Barrier barrier = new(4, b =>
        {
            exact &= freed == b.CurrentPhaseNumber * targets.Length && allocator.LiveCount == 0;
            for (int i = 0; i < targets.Length; i++)
            {
                targets[i] = new Pasid(Take(allocator));
            }
        });
        Thread[] threads =
        [
            .. Enumerable.Range(0, 4).Select(_ => new Thread(() =>
            {
                for (int round = 0; round < 100; round++)
                {
                    barrier.SignalAndWait();
                    int mine = targets.Count(t => allocator.Free(t) == PasidFreeStatus.Freed);
                    Interlocked.Add(ref freed, mine);
                }

                barrier.SignalAndWait();
            })),
        ];
        Array.ForEach(threads, t => t.Start());
        Array.ForEach(threads, t => t.Join());

        Assert.True(exact);
        Check(allocator);
    }

    private static void WaitUntil(ref int place, int value)
    {
        SpinWait wait = default;
        while (Volatile.Read(ref place) != value)
        {
            wait.SpinOnce(sleep1Threshold: -1);
        }
    }

    private static uint Take(ShardedPasidAllocator allocator)
    {
        PasidAllocation allocation = allocator.Allocate(in s_any);
        Assert.True(allocation.IsAllocated);
        return allocation.Pasid.Value;
    }

    private static void RunAndEnd(Action action)
    {
        Exception? failure = null;
        Thread thread = new(() => failure = Record.Exception(action));
        thread.Start();
        thread.Join();
        Assert.Null(failure);
    }

    private static IEnumerable<uint> Numbers(uint first, int count) =>
        Enumerable.Range(0, count).Select(i => first + (uint)i);

    private static void Check(ISelfChecking allocator) => allocator.AssertInvariants();
}
