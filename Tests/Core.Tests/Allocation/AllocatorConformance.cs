// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Core.Tests.Allocation;

/// <summary>
/// What every allocator must do, whatever its policy and however it is wrapped: invariants A1 to A10. (A11 is the
/// delegate's own test; A12, replacing a live allocator, is the space's business.)
/// </summary>
public abstract class AllocatorConformance
{
    /// <summary>The ranges at which words and levels of a bitmap begin and end, and those of one PASID.</summary>
    public static TheoryData<uint, uint> Ranges => new()
    {
        { 0, 0 },
        { 1, 1 },
        { 0xFFFFF, 0xFFFFF },
        { 0, 1 },
        { 0xFFFFE, 0xFFFFF },
        { 0, 62 },
        { 0, 63 },
        { 0, 64 },
        { 1, 64 },
        { 1, 65 },
        { 63, 64 },
        { 100, 227 },
        { 0, 4094 },
        { 0, 4095 },
        { 0, 4096 },
        { 1, 4097 },
        { 0xFF000, 0xFFFFF },
        { 4095, 12288 },
    };

    public static TheoryData<uint, uint> ImpossibleRequests => new()
    {
        { 21, 20 },
        { 1, 0 },
        { uint.MaxValue, 0 },
        { 0, 9 },
        { 31, 40 },
        { 31, uint.MaxValue },
        { 0x100000, 0x1FFFFF },
        { 0x80000000, uint.MaxValue },
    };

    /// <summary>An allocator and what it is compared with.</summary>
    internal sealed record Subject(
        IPasidAllocator Allocator, Func<NaiveAllocator> CreateOracle, Func<int>? CountWaiting = null)
    {
        public int Waiting => CountWaiting?.Invoke() ?? 0;
    }

    internal abstract Subject Create(PasidRange range);

    /// <summary>How many further frees a freed PASID waits for.</summary>
    internal virtual int FreesToWait(PasidRange range) => 0;

    /// <summary>False where the host chooses, which does not know the request.</summary>
    internal virtual bool AimsAtRequest => true;

    [Theory]
    [MemberData(nameof(Ranges))]
    public void A1_every_PASID_of_the_range_is_allocated_once_both_ends_included(uint first, uint last)
    {
        PasidRange range = new(first, last);
        IPasidAllocator allocator = Create(range).Allocator;

        List<uint> pasids = TakeAll(allocator, range);

        pasids.Sort();
        Assert.Equal(Enumerable.Range(0, (int)range.Count).Select(i => first + (uint)i), pasids);
        Assert.Equal(range.Count, allocator.LiveCount);
        Check(allocator);
    }

    [Theory]
    [MemberData(nameof(Ranges))]
    public void A1_a_request_gets_PASIDs_of_its_own_range_only(uint first, uint last)
    {
        PasidRange asked = new(first, last);
        IPasidAllocator allocator = Create(PasidRange.Full).Allocator;

        List<uint> pasids = TakeAll(allocator, asked);

        Assert.All(pasids, n => Assert.InRange(n, first, last));
        if (AimsAtRequest)
        {
            Assert.Equal(asked.Count, pasids.Distinct().Count());
        }

        Assert.Equal(pasids.Count, allocator.LiveCount);
    }

    [Theory]
    [InlineData(0u, 15u, 10u, 15u), InlineData(15u, 25u, 15u, 25u), InlineData(25u, 0xFFFFFu, 25u, 30u)]
    [InlineData(0u, uint.MaxValue, 10u, 30u)]
    public void A1_a_request_that_reaches_beyond_the_allocator_gets_what_both_have(
        uint first, uint last, uint expectedFirst, uint expectedLast)
    {
        IPasidAllocator allocator = Create(new PasidRange(10, 30)).Allocator;

        List<uint> pasids = TakeAll(allocator, new PasidRange(first, last));

        Assert.All(pasids, n => Assert.InRange(n, expectedFirst, expectedLast));
        if (AimsAtRequest)
        {
            Assert.Equal(expectedLast - expectedFirst + 1, (uint)pasids.Count);
        }
    }

    [Fact]
    public void A2_a_live_PASID_is_not_allocated_again()
    {
        PasidRange range = new(3, 130);
        IPasidAllocator allocator = Create(range).Allocator;
        HashSet<uint> live = [];
        Lcg draw = new(7);

        for (int i = 0; i < 20_000; i++)
        {
            if (draw.Below(2) == 0)
            {
                PasidAllocation allocation = allocator.Allocate(new PasidRequest(range));
                Assert.True(!allocation.IsAllocated || live.Add(allocation.Pasid.Value), $"{allocation.Pasid} is live");
            }
            else if (live.Count > 0)
            {
                uint pasid = live.ElementAt(draw.Below(live.Count));
                live.Remove(pasid);
                Assert.Equal(PasidFreeStatus.Freed, allocator.Free(new Pasid(pasid)));
            }

            Assert.Equal(live.Count, allocator.LiveCount);
        }

        Check(allocator);
    }

    [Fact]
    public void A3_a_reserved_PASID_is_never_allocated()
    {
        PasidRange range = new(0, 200);
        uint[] reserved = [0, 1, 63, 64, 65, 100, 128, 199, 200];
        IPasidAllocator allocator = Create(range).Allocator;
        foreach (uint pasid in reserved)
        {
            Assert.True(allocator.TryReserve(new Pasid(pasid)));
        }

        for (int round = 0; round < 3; round++)
        {
            List<uint> pasids = TakeAll(allocator, range);
            Assert.Empty(pasids.Intersect(reserved));
            Assert.Equal(201 - reserved.Length - (round == 0 ? 0 : FreesToWait(range)), pasids.Count);
            Assert.All(pasids, n => Assert.Equal(PasidFreeStatus.Freed, allocator.Free(new Pasid(n))));
        }

        Check(allocator);
    }

    [Fact]
    public void A3_a_reserved_PASID_is_neither_live_nor_free()
    {
        PasidRange range = new(5, 5);
        IPasidAllocator allocator = Create(range).Allocator;

        Assert.True(allocator.TryReserve(new Pasid(5)));
        Assert.True(allocator.TryReserve(new Pasid(5)));

        Assert.False(allocator.IsLive(new Pasid(5)));
        Assert.Equal(0, allocator.LiveCount);
        Assert.Equal(PasidAllocationStatus.NoSpace, allocator.Allocate(new PasidRequest(range)).Status);
        Assert.Equal(PasidFreeStatus.NotAllocated, allocator.Free(new Pasid(5)));
        Check(allocator);
    }

    [Fact]
    public void A3_a_live_PASID_is_not_reserved()
    {
        IPasidAllocator allocator = Create(new PasidRange(5, 6)).Allocator;
        Pasid pasid = allocator.Allocate(new PasidRequest(PasidRange.Full)).Pasid;

        Assert.False(allocator.TryReserve(pasid));

        Assert.True(allocator.IsLive(pasid));
        Assert.Equal(PasidFreeStatus.Freed, allocator.Free(pasid));
        Check(allocator);
    }

    [Fact]
    public void A3_a_PASID_outside_of_the_range_counts_as_reserved()
    {
        IPasidAllocator allocator = Create(new PasidRange(10, 20)).Allocator;

        Assert.True(allocator.TryReserve(new Pasid(9)));
        Assert.True(allocator.TryReserve(new Pasid(21)));
        Assert.True(allocator.TryReserve(new Pasid(0xFFFFF)));

        Assert.Equal(11, TakeAll(allocator, new PasidRange(10, 20)).Count);
    }

    [Theory]
    [InlineData(0u), InlineData(1u), InlineData(64u), InlineData(0xFFFFFu)]
    public void A4_a_range_of_one_PASID_works_again_and_again(uint only)
    {
        PasidRange range = new(only, only);
        IPasidAllocator allocator = Create(range).Allocator;

        for (int i = 0; i < 5; i++)
        {
            PasidAllocation allocation = allocator.Allocate(new PasidRequest(range));
            Assert.Equal(PasidAllocation.Of(only), allocation);
            Assert.Equal(PasidAllocationStatus.NoSpace, allocator.Allocate(new PasidRequest(range)).Status);
            Assert.Equal(PasidFreeStatus.Freed, allocator.Free(allocation.Pasid));
        }

        Check(allocator);
    }

    [Theory]
    [MemberData(nameof(ImpossibleRequests))]
    public void A4_an_empty_or_outside_range_is_refused_and_changes_nothing(uint first, uint last)
    {
        PasidRange range = new(10, 30);
        IPasidAllocator asked = Create(range).Allocator;
        IPasidAllocator twin = Create(range).Allocator;

        for (int i = 0; i < 3; i++)
        {
            PasidAllocation allocation = asked.Allocate(new PasidRequest(new PasidRange(first, last), Owner: 1));
            Assert.Equal(PasidAllocationStatus.InvalidRange, allocation.Status);
            Assert.Equal(Errno.EINVAL, allocation.Errno);
        }

        Assert.Equal(0, asked.LiveCount);
        Assert.Equal(TakeAll(twin, range), TakeAll(asked, range));
    }

    [Fact]
    public void A4_an_allocator_of_an_empty_range_has_no_PASID()
    {
        IPasidAllocator allocator = Create(PasidRange.Empty).Allocator;

        Assert.Equal(PasidAllocationStatus.InvalidRange, allocator.Allocate(new PasidRequest(PasidRange.Full)).Status);
        Assert.Equal(PasidFreeStatus.NotAllocated, allocator.Free(new Pasid(0)));
        Assert.Equal(PasidFreeStatus.NotAllocated, allocator.Free(new Pasid(1)));
        Assert.False(allocator.IsLive(new Pasid(1)));
        Assert.True(allocator.TryReserve(new Pasid(1)));
        Check(allocator);
    }

    [Theory]
    [InlineData(0u, 0u), InlineData(10u, 30u), InlineData(0u, 4096u)]
    public void A5_a_full_range_answers_NoSpace_and_changes_nothing(uint first, uint last)
    {
        PasidRange range = new(first, last);
        IPasidAllocator asked = Create(range).Allocator;
        IPasidAllocator twin = Create(range).Allocator;
        List<uint> pasids = TakeAll(asked, range);
        Assert.Equal(pasids, TakeAll(twin, range));

        for (int i = 0; i < 3; i++)
        {
            PasidAllocation allocation = asked.Allocate(new PasidRequest(range));
            Assert.Equal(PasidAllocationStatus.NoSpace, allocation.Status);
            Assert.Equal(Errno.ENOSPC, allocation.Errno);
            uint middle = first + ((last - first) / 2);
            Assert.Equal(
                PasidAllocationStatus.NoSpace,
                asked.Allocate(new PasidRequest(new PasidRange(middle, last + (uint)i), Owner: 1)).Status);
        }

        // The policy's own state (cursor, generator) shows only in what comes after.
        foreach (uint pasid in pasids.Where(n => n % 3 != 1))
        {
            Assert.Equal(PasidFreeStatus.Freed, asked.Free(new Pasid(pasid)));
            Assert.Equal(PasidFreeStatus.Freed, twin.Free(new Pasid(pasid)));
        }

        Assert.Equal(TakeAll(twin, range), TakeAll(asked, range));
        Check(asked);
    }

    [Fact]
    public void A6_freeing_what_is_not_live_is_reported_and_changes_nothing()
    {
        PasidRange range = new(10, 140);
        IPasidAllocator asked = Create(range).Allocator;
        IPasidAllocator twin = Create(range).Allocator;
        List<uint> pasids = [.. Enumerable.Range(0, 70).Select(_ => TakeOne(asked))];
        Assert.Equal(pasids, Enumerable.Range(0, 70).Select(_ => TakeOne(twin)));
        Assert.Equal(PasidFreeStatus.Freed, asked.Free(new Pasid(pasids[3])));
        Assert.Equal(PasidFreeStatus.Freed, twin.Free(new Pasid(pasids[3])));

        Assert.Equal(PasidFreeStatus.NotAllocated, asked.Free(new Pasid(pasids[3])));
        for (uint pasid = 0; pasid < 160; pasid++)
        {
            if (!pasids.Contains(pasid))
            {
                Assert.Equal(PasidFreeStatus.NotAllocated, asked.Free(new Pasid(pasid)));
            }
        }

        Assert.Equal(PasidFreeStatus.NotAllocated, asked.Free(new Pasid(0xFFFFF)));
        Assert.Equal(69, asked.LiveCount);
        Check(asked);
        Assert.Equal(TakeAll(twin, range), TakeAll(asked, range));
    }

    [Theory]
    [MemberData(nameof(Ranges))]
    public void A7_a_freed_PASID_is_reusable_exactly_when_its_wait_is_over(uint first, uint last)
    {
        PasidRange range = new(first, last);
        IPasidAllocator allocator = Create(range).Allocator;
        List<uint> pasids = TakeAll(allocator, range);
        uint freed = pasids[pasids.Count / 2];
        pasids.Remove(freed);
        PasidRequest onlyFreed = new(new PasidRange(freed, freed));

        Assert.Equal(PasidFreeStatus.Freed, allocator.Free(new Pasid(freed)));
        foreach (uint other in pasids.Take(FreesToWait(range)))
        {
            Assert.Equal(PasidAllocationStatus.NoSpace, allocator.Allocate(onlyFreed).Status);
            Assert.Equal(PasidFreeStatus.Freed, allocator.Free(new Pasid(other)));
        }

        Assert.Equal(PasidAllocation.Of(freed), allocator.Allocate(onlyFreed));
        Assert.True(allocator.IsLive(new Pasid(freed)));
        Check(allocator);
    }

    [Theory]
    [InlineData(0u, 0x100000u), InlineData(0x100000u, 0x100000u), InlineData(0u, 0x80000000u)]
    [InlineData(0u, uint.MaxValue)]
    public void A8_a_range_of_more_than_20_bits_is_refused(uint first, uint last) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => Create(new PasidRange(first, last)));

    [Fact]
    public void A8_all_20_bits_are_allocated_and_taken_back()
    {
        IPasidAllocator allocator = Create(PasidRange.Full).Allocator;

        for (int round = 0; round < 2; round++)
        {
            List<uint> pasids = TakeAll(allocator, PasidRange.Full);
            Assert.Equal((1 << 20) - (round == 0 ? 0 : FreesToWait(PasidRange.Full)), pasids.Count);
            bool[] seen = new bool[1 << 20];
            int repeated = 0;
            foreach (uint pasid in pasids)
            {
                repeated += seen[pasid] ? 1 : 0;
                seen[pasid] = true;
            }

            Assert.Equal(0, repeated);
            Assert.Equal(pasids.Count, allocator.LiveCount);
            Check(allocator);

            Assert.Equal(0, pasids.Count(n => allocator.Free(new Pasid(n)) != PasidFreeStatus.Freed));
            Assert.Equal(0, allocator.LiveCount);
        }
    }

    [Fact]
    public void A9_two_threads_never_share_or_lose_a_PASID()
    {
        // A round must last much longer than the threads take to start it: only then do they overlap, or, on a busy
        // machine, is one of them interrupted inside an operation while the other goes on.
        const int Rounds = 40;
        const int StepsPerRound = 10_000;
        PasidRange range = new(5, 104);
        Subject subject = Create(range);
        IPasidAllocator allocator = subject.Allocator;
        int[] holders = new int[105];
        List<uint>[] held = [[], []];
        List<string> faults = [];

        // Between two rounds no thread is inside: then the books must balance.
        using Barrier barrier = new(2, _ =>
        {
            Check(allocator);
            if (allocator.LiveCount != held[0].Count + held[1].Count)
            {
                Fault(faults, $"{allocator.LiveCount} live, {held[0].Count} + {held[1].Count} held");
            }
        });
        Thread[] threads = [.. Enumerable.Range(0, 2).Select(me => new Thread(() => Work(me)))];
        Array.ForEach(threads, t => t.Start());
        Array.ForEach(threads, t => t.Join());

        Assert.Empty(faults);
        int stillFree = TakeAll(allocator, range).Count;
        Assert.Equal(range.Count, held[0].Count + held[1].Count + stillFree + subject.Waiting);
        Assert.Equal(held[0].Count + held[1].Count + stillFree, allocator.LiveCount);

        void Work(int me)
        {
            Lcg draw = new((ulong)me + 11);
            List<uint> mine = held[me];
            try
            {
                for (int round = 0; round < Rounds; round++)
                {
                    barrier.SignalAndWait();

                    // Each wants up to 60 of 100 PASIDs: they meet at the point of exhaustion again and again.
                    for (int step = 0; step < StepsPerRound; step++)
                    {
                        if (mine.Count < 60 && draw.Below(5) < 3)
                        {
                            PasidAllocation allocation = allocator.Allocate(new PasidRequest(range));
                            if (allocation.IsAllocated)
                            {
                                uint pasid = allocation.Pasid.Value;
                                int other = Interlocked.CompareExchange(ref holders[pasid], me + 1, 0);
                                mine.Add(pasid);
                                if (other != 0)
                                {
                                    Fault(faults, $"{pasid} given to {me + 1} while {other} holds it");
                                }
                            }
                        }
                        else if (mine.Count > 0)
                        {
                            int index = draw.Below(mine.Count);
                            uint pasid = mine[index];
                            mine[index] = mine[^1];
                            mine.RemoveAt(mine.Count - 1);
                            Volatile.Write(ref holders[pasid], 0);
                            if (allocator.Free(new Pasid(pasid)) != PasidFreeStatus.Freed)
                            {
                                Fault(faults, $"{pasid} was not live");
                            }
                        }
                    }
                }

                barrier.SignalAndWait();
            }
            catch (Exception e)
            {
                Fault(faults, e.ToString());
                barrier.RemoveParticipant();
            }
        }
    }

    [Fact]
    public void A9_two_threads_that_free_the_same_PASID_succeed_once()
    {
        const int Numbers = 100;
        PasidRange range = new(0, 127);
        IPasidAllocator allocator = Create(range).Allocator;
        Pasid[] targets = new Pasid[Numbers];
        int freed = 0;
        int arrived = 0;
        List<string> faults = [];
        using Barrier barrier = new(2, b =>
        {
            if (freed != b.CurrentPhaseNumber * Numbers)
            {
                Fault(faults, $"{freed} frees succeeded, must be {b.CurrentPhaseNumber * Numbers}");
            }

            for (int i = 0; i < Numbers; i++)
            {
                targets[i] = allocator.Allocate(new PasidRequest(range)).Pasid;
            }
        });
        void Work()
        {
            for (int round = 1; round <= 500; round++)
            {
                barrier.SignalAndWait();

                // A barrier wakes its threads one after the other; from here they go hand in hand.
                SpinWait wait = default;
                Interlocked.Increment(ref arrived);
                while (Volatile.Read(in arrived) < 2 * round)
                {
                    wait.SpinOnce(sleep1Threshold: -1);
                }

                int mine = 0;
                foreach (Pasid target in targets)
                {
                    mine += allocator.Free(target) == PasidFreeStatus.Freed ? 1 : 0;
                }

                Interlocked.Add(ref freed, mine);
            }

            barrier.SignalAndWait();
        }

        Thread other = new(Work);
        other.Start();
        Work();
        other.Join();

        Assert.Empty(faults);
        Check(allocator);
    }

    [Fact]
    public void A10_the_same_calls_give_the_same_PASIDs()
    {
        PasidRange range = new(1, 500);
        List<(PasidAllocation, PasidFreeStatus, bool)> first = Run();
        List<(PasidAllocation, PasidFreeStatus, bool)> second = Run();

        Assert.Equal(first, second);
        Assert.Contains(first, s => s.Item1.IsAllocated);

        List<(PasidAllocation, PasidFreeStatus, bool)> Run()
        {
            IPasidAllocator allocator = Create(range).Allocator;
            Lcg draw = new(3);
            List<(PasidAllocation, PasidFreeStatus, bool)> results = [];
            for (int i = 0; i < 5000; i++)
            {
                uint a = (uint)draw.Below(520);
                uint b = (uint)draw.Below(520);
                PasidRange asked = draw.Below(2) == 0 ? range : new(Math.Min(a, b), Math.Max(a, b));
                results.Add((
                    allocator.Allocate(new PasidRequest(asked, draw.Below(3))),
                    allocator.Free(new Pasid((uint)draw.Below(520))),
                    draw.Below(100) == 0 && allocator.TryReserve(new Pasid(a))));
            }

            return results;
        }
    }

    [Fact]
    public void Any_sequence_of_calls_answers_as_the_naive_allocator_does()
    {
        uint[] sizes = [1, 2, 3, 5, 8, 63, 64, 65, 129];
        uint[] starts = [0, 1, 62, 4095];
        Gen<Scenario> scenarios =
            from size in Gen.Elements(sizes)
            from start in Gen.Elements(starts)
            from atTop in Gen.Choose(0, 4)
            from steps in Gen.ListOf(
                from kind in Gen.Choose(0, 19)
                from a in Gen.Choose(0, 1 << 16)
                from b in Gen.Choose(0, 1 << 16)
                select new Step(kind, a, b))
            select new Scenario(atTop == 0 ? 0x100000 - size : start, size, [.. steps]);

        Prop.ForAll(Arb.From(scenarios, Shrink), Agrees).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Long_sequences_answer_as_the_naive_allocator_does()
    {
        for (ulong seed = 1; seed <= 4; seed++)
        {
            Lcg draw = new(seed);
            Step[] steps = [.. Enumerable.Range(0, 2000).Select(_ =>
                new Step(draw.Below(20), draw.Below(1 << 16), draw.Below(1 << 16)))];

            // No reservations in most runs: they would use the range up.
            if (seed % 4 != 0)
            {
                steps = [.. steps.Where(s => s.Kind != Step.Reserve)];
            }

            Assert.Null(FirstDifference(new Scenario((uint)(seed * 5), 20 + ((uint)seed * 11), steps)));
        }
    }

    [Fact]
    public void Allocating_and_freeing_takes_no_memory()
    {
        PasidRange range = new(1, 1000);
        IPasidAllocator allocator = Create(range).Allocator;
        Pasid[] ring = [.. Enumerable.Range(0, 900).Select(_ => new Pasid(TakeOne(allocator)))];
        Churn(2000);
        AllocatesNothing(5, () => Churn(5000));

        void Churn(int times)
        {
            PasidRequest request = new(range);
            PasidRequest tooMuch = new(new PasidRange(2000, 3000));
            for (int i = 0; i < times; i++)
            {
                ref Pasid slot = ref ring[(int)((uint)(i * 617) % (uint)ring.Length)];
                allocator.Free(slot);
                allocator.Free(slot);
                allocator.Allocate(in tooMuch);
                slot = allocator.Allocate(in request).Pasid;
            }
        }
    }

    private protected static void Check(IPasidAllocator allocator) =>
        Assert.IsType<ISelfChecking>(allocator, exactMatch: false).AssertInvariants();

    private protected static List<uint> TakeAll(IPasidAllocator allocator, PasidRange range)
    {
        List<uint> pasids = [];
        PasidRequest request = new(range);
        while (allocator.Allocate(in request) is { IsAllocated: true } allocation)
        {
            pasids.Add(allocation.Pasid.Value);
        }

        return pasids;
    }

    private static uint TakeOne(IPasidAllocator allocator)
    {
        PasidAllocation allocation = allocator.Allocate(new PasidRequest(allocator.Range));
        Assert.Equal(PasidAllocationStatus.Allocated, allocation.Status);
        return allocation.Pasid.Value;
    }

    private static void Fault(List<string> faults, string what)
    {
        lock (faults)
        {
            faults.Add(what);
        }
    }

    private static IEnumerable<Scenario> Shrink(Scenario scenario)
    {
        for (int length = scenario.Steps.Length / 2; length >= 1; length /= 2)
        {
            for (int at = 0; at + length <= scenario.Steps.Length; at += length)
            {
                yield return scenario with { Steps = [.. scenario.Steps[..at], .. scenario.Steps[(at + length)..]] };
            }
        }
    }

    private Property Agrees(Scenario scenario)
    {
        string? difference = FirstDifference(scenario);
        return (difference is null).Label(difference ?? "");
    }

    private string? FirstDifference(Scenario scenario)
    {
        PasidRange range = new(scenario.Start, scenario.Start + scenario.Size - 1);
        Subject subject = Create(range);
        IPasidAllocator real = subject.Allocator;
        NaiveAllocator oracle = subject.CreateOracle();
        for (int i = 0; i < scenario.Steps.Length; i++)
        {
            Step step = scenario.Steps[i];
            uint any = (uint)Math.Min(range.First + (step.A % (range.Count + 3)), Pasid.MaxValue);
            object expected;
            object actual;
            switch (step.Kind)
            {
                case < 9:
                    PasidRequest request = new(RangeOf(step, range), step.B % 3);
                    expected = oracle.Allocate(request);
                    actual = real.Allocate(request);
                    break;
                case < 17:
                    uint pasid = oracle.Live.Count > 0 ? oracle.Live.ElementAt(step.A % oracle.Live.Count) : any;
                    expected = oracle.Free(pasid);
                    actual = real.Free(new Pasid(pasid));
                    break;
                case Step.FreeAny:
                    expected = oracle.Free(any);
                    actual = real.Free(new Pasid(any));
                    break;
                case Step.Reserve:
                    expected = oracle.TryReserve(any);
                    actual = real.TryReserve(new Pasid(any));
                    break;
                default:
                    expected = oracle.IsLive(any);
                    actual = real.IsLive(new Pasid(any));
                    break;
            }

            if (!expected.Equals(actual))
            {
                return $"step {i} {step}: {actual} instead of {expected}";
            }

            if (oracle.Live.Count != real.LiveCount || oracle.WaitingCount != subject.Waiting)
            {
                return $"step {i} {step}: {real.LiveCount} live, {subject.Waiting} wait instead of "
                    + $"{oracle.Live.Count}, {oracle.WaitingCount}";
            }

            Check(real);
        }

        return null;
    }

    // Half of the requests ask for all; the others for a part, which may reach beyond the range or lie outside.
    private static PasidRange RangeOf(Step step, PasidRange range) => (step.Kind % 4) switch
    {
        0 => range,
        1 => PasidRange.Full,
        2 => new((uint)(range.First + (step.A % range.Count)), (uint)(range.First + (step.B % range.Count))),
        _ => new(
            (uint)Math.Max(0, range.First + (step.A % (2 * range.Count)) - range.Count),
            range.First + (uint)(step.B % 200)),
    };

    /// <summary>One call.</summary>
    internal sealed record Step(int Kind, int A, int B)
    {
        public const int FreeAny = 17;
        public const int Reserve = 18;
    }

    internal sealed record Scenario(uint Start, uint Size, Step[] Steps)
    {
        public override string ToString() => $"[{Start}, {Start + Size - 1}]: {string.Join<Step>("; ", Steps)}";
    }

    /// <summary>A generator for test data, unrelated to the one under test.</summary>
    internal struct Lcg(ulong seed)
    {
        private ulong _state = (seed * 6364136223846793005) + 1442695040888963407;

        public int Below(int limit)
        {
            _state = (_state * 6364136223846793005) + 1442695040888963407;
            return (int)((_state >> 33) % (ulong)limit);
        }
    }
}
