using FsCheck;
using FsCheck.Fluent;
using PasidFramework.Allocation;
using PasidFramework.Drivers.Reference.Unit;
using PasidFramework.Identifiers;

namespace PasidFramework.Drivers.Reference.Tests;

public sealed class AllocatorTests
{
    // Kind, number, and the end of the range that is asked for.
    private static readonly Gen<(int Kind, uint Number, uint Last)> s_call =
        from kind in Gen.Choose(0, 9)
        from number in Gen.Choose(0, 220)
        from last in Gen.Choose(0, 220)
        select (kind, (uint)number, (uint)last);

    private static readonly Gen<(uint First, uint Last, (int Kind, uint Number, uint Last)[] Calls)> s_run =
        from first in Gen.Choose(0, 130)
        from count in Gen.Choose(1, 80)
        from calls in Gen.ArrayOf(s_call, 300)
        select ((uint)first, (uint)(first + count - 1), calls);

    [Fact]
    public void A1_A2_A3_A4_A5_A6_A7_A10_it_does_what_a_set_of_numbers_does() =>
        Prop.ForAll(Arb.From(s_run), run =>
        {
            var allocator = new LowestFirstAllocator(new PasidRange(run.First, run.Last));
            var live = new HashSet<uint>();
            var reserved = new HashSet<uint>();
            foreach ((int kind, uint number, uint last) in run.Calls)
            {
                bool isInRange = allocator.Range.Contains(number);
                switch (kind)
                {
                    case < 6:
                        var range = new PasidRange(number, Math.Max(last, number) - (kind == 5 ? 1u : 0));
                        uint[] free =
                        [
                            .. Enumerable.Range(0, 400).Select(i => (uint)i).Where(n => range.Contains(n)
                                && allocator.Range.Contains(n) && !live.Contains(n) && !reserved.Contains(n)),
                        ];
                        PasidAllocation taken = allocator.Allocate(new PasidRequest(range));
                        Assert.Equal(
                            free.Length > 0 ? PasidAllocation.Of(free[0])
                                : PasidAllocation.None(range.Intersect(allocator.Range).IsEmpty
                                    ? PasidAllocationStatus.InvalidRange
                                    : PasidAllocationStatus.NoSpace),
                            taken);
                        if (taken.IsAllocated)
                        {
                            live.Add(taken.Pasid.Value);
                        }

                        break;
                    case < 9:
                        Assert.Equal(
                            live.Remove(number) ? PasidFreeStatus.Freed : PasidFreeStatus.NotAllocated,
                            allocator.Free(new Pasid(number)));
                        break;
                    default:
                        Assert.Equal(!live.Contains(number), allocator.TryReserve(new Pasid(number)));
                        if (isInRange && !live.Contains(number))
                        {
                            reserved.Add(number);
                        }

                        break;
                }

                Assert.Equal(live.Count, allocator.LiveCount);
                Assert.Equal(live.Contains(number), allocator.IsLive(new Pasid(number)));
            }
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void A1_A5_A8_numbers_at_every_word_of_the_widest_space_are_handed_out_once()
    {
        var allocator = new LowestFirstAllocator(PasidRange.Full);
        for (uint i = 0; i <= Pasid.MaxValue; i += 64)
        {
            Assert.Equal(i, allocator.Allocate(new PasidRequest(new PasidRange(i, i))).Pasid.Value);
        }

        var last = new PasidRequest(new PasidRange(Pasid.MaxValue, Pasid.MaxValue));
        Assert.Equal(Pasid.MaxValue, allocator.Allocate(last).Pasid.Value);
        Assert.Equal(PasidAllocationStatus.NoSpace, allocator.Allocate(last).Status);
    }

    [Fact]
    public void A9_numbers_are_neither_lost_nor_doubled_between_threads()
    {
        const int Threads = 4;
        const int Rounds = 20_000;
        var allocator = new LowestFirstAllocator(new PasidRange(10, 12));
        int[] holders = new int[16];
        int wrong = 0;
        using var start = new Barrier(Threads);
        Thread[] threads =
        [
            .. Enumerable.Range(0, Threads).Select(_ => new Thread(() =>
            {
                start.SignalAndWait();
                for (int round = 0; round < Rounds; round++)
                {
                    PasidAllocation taken = allocator.Allocate(new PasidRequest(PasidRange.Full));
                    if (!taken.IsAllocated)
                    {
                        continue;
                    }

                    uint number = taken.Pasid.Value;
                    if (Interlocked.Increment(ref holders[number]) != 1)
                    {
                        Interlocked.Exchange(ref wrong, 1);
                    }

                    Interlocked.Decrement(ref holders[number]);
                    if (allocator.Free(taken.Pasid) != PasidFreeStatus.Freed)
                    {
                        Interlocked.Exchange(ref wrong, 2);
                    }
                }
            })),
        ];
        foreach (Thread thread in threads)
        {
            thread.Start();
        }

        foreach (Thread thread in threads)
        {
            thread.Join();
        }

        Assert.Equal(0, wrong);
        Assert.Equal(0, allocator.LiveCount);
    }

    [Fact]
    public void It_allocates_no_memory_per_call()
    {
        var allocator = new LowestFirstAllocator(PasidRange.Full);
        Cycle();
        long before = GC.GetAllocatedBytesForCurrentThread();

        for (int i = 0; i < 1000; i++)
        {
            Cycle();
        }

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());

        void Cycle()
        {
            PasidAllocation taken = allocator.Allocate(new PasidRequest(PasidRange.Full));
            allocator.IsLive(taken.Pasid);
            allocator.Free(taken.Pasid);
        }
    }
}
