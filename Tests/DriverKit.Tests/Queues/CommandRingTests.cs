// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Tests.Queues;

public class CommandRingTests
{
    public static TheoryData<int, bool> Sizes => new()
    {
        { 0, true }, { 1, true }, { 3, true }, { 8, true }, { 16, true },
        { 5, false }, { 8, false }, { 15, false },
    };

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Commands_arrive_once_and_in_order_over_wraps_at_every_size(int log2, bool canFill)
    {
        using TestRing ring = TestRing.Create(log2, canFill, isWhole: !canFill);
        ulong next = 0;
        while (next < (2.5 * ring.Slots) + 100)
        {
            var batch = new CommandBatch(ring);
            for (ulong count = 1 + (next % 13); count > 0; count--)
            {
                Add(ref batch, 0x100, next++);
            }

            Assert.Equal(OpResult.Ok, batch.Complete());
        }

        Assert.Equal(Enumerable.Range(0, (int)next).Select(i => (ulong)i), Sequence(ring));
        Assert.Equal(ring.Log.Count, ring.Commands);
    }

    [Theory]
    [InlineData(2, true), InlineData(5, false)]
    public void A_ring_is_filled_to_its_last_usable_place_and_not_beyond(int log2, bool canFill)
    {
        using TestRing ring = TestRing.Create(log2, canFill, isWhole: !canFill, maxPolls: 5);
        ring.IsEager = false;
        int written = 0;
        OpResult result;
        do
        {
            CommandTicket ticket = default;
            result = ring.Submit([0x100, (ulong)written], ref ticket);
            written += result.IsOk ? 1 : 0;
        }
        while (result.IsOk);

        Assert.Equal(canFill ? ring.Slots : ring.Slots - 1, written);
        Assert.Equal((Errno.ETIMEDOUT, "full after 5"), (result.Errno, result.Reason));
        Assert.Equal(written, ring.Commands);
        ring.Consume(1);
        CommandTicket late = default;
        Assert.Equal(OpResult.Ok, ring.Submit([0x100, (ulong)written], ref late));
        ring.Consume();
        Assert.Equal(Enumerable.Range(0, written + 1).Select(i => (ulong)i), Sequence(ring));
    }

    [Fact]
    public void A_submission_in_parts_goes_on_as_room_comes_and_one_that_stays_whole_waits_for_all_of_it()
    {
        using TestRing parts = TestRing.Create(2, maxPolls: 5);
        parts.IsEager = false;
        Assert.Equal(Errno.ETIMEDOUT, Submit(parts, 6).Errno);
        Assert.Equal(4, parts.Commands);

        using TestRing whole = TestRing.Create(3, canFill: false, isWhole: true, maxPolls: 5);
        whole.IsEager = false;
        Assert.Equal(OpResult.Ok, Submit(whole, 4));
        Assert.Equal(Errno.ETIMEDOUT, Submit(whole, 4).Errno);
        Assert.Equal(4, whole.Commands);
        Assert.Single(whole.Doorbells);
        Assert.Throws<ArgumentException>(() => Submit(whole, 8));
    }

    [Fact]
    public void Hardware_that_never_answers_is_given_up_after_the_budget_and_answers_the_next()
    {
        using TestRing ring = TestRing.Create(4, maxPolls: 50);
        ring.IsEager = false;
        var batch = new CommandBatch(ring);
        Add(ref batch, 0x100, 0);

        OpResult result = batch.Complete();

        Assert.Equal((Errno.ETIMEDOUT, "no answer after 50"), (result.Errno, result.Reason));
        Assert.InRange(ring.Polls, 50, 52);
        ring.IsEager = true;
        var next = new CommandBatch(ring);
        Add(ref next, 0x100, 1);
        Assert.Equal(OpResult.Ok, next.Complete());
        Assert.Equal([0UL, 1UL], Sequence(ring));
    }

    [Fact]
    public void A_submission_is_complete_when_its_closing_command_is_consumed_and_not_before()
    {
        using TestRing ring = TestRing.Create(4, maxPolls: 3);
        ring.IsEager = false;
        foreach (int consumed in new[] { 0, 1, 2 })
        {
            var batch = new CommandBatch(ring);
            Add(ref batch, 0x100, 0);
            Add(ref batch, 0x100, 1);
            batch.Submit();
            ring.Consume(consumed);
            Assert.Equal(Errno.ETIMEDOUT, batch.WaitForCompletion().Errno);
            ring.Consume();
        }

        var complete = new CommandBatch(ring);
        Add(ref complete, 0x100, 0);
        complete.Submit();
        ring.Consume(2);
        Assert.Equal(OpResult.Ok, complete.WaitForCompletion());
    }

    [Fact]
    public void A_ring_that_stopped_refuses_those_who_wait_for_an_answer_and_those_who_wait_for_room()
    {
        using TestRing ring = TestRing.Create(1);
        ring.IsEager = false;
        ring.IsBroken = true;
        Assert.Equal(OpResult.Ok, Submit(ring, 2));

        Assert.Equal("stopped", ring.WaitForCompletion(new CommandTicket(1, 1)).Reason);
        Assert.Equal("stopped", Submit(ring, 1).Reason);
    }

    [Fact]
    public void A_failure_reaches_the_submission_it_belongs_to_and_no_other()
    {
        using TestRing ring = TestRing.Create(4);
        ring.IsEager = false;
        var good = new CommandBatch(ring);
        Add(ref good, 0x100, 0);
        good.Submit();
        var bad = new CommandBatch(ring);
        Add(ref bad, TestRing.BadWord, 1);
        bad.Submit();
        ring.Consume();

        Assert.Equal(OpResult.Ok, good.WaitForCompletion());
        Assert.Equal("bad command", bad.WaitForCompletion().Reason);
        Assert.Equal("bad command", bad.Complete().Reason);
    }

    [Fact]
    public void A_consumer_beyond_what_was_written_is_not_believed()
    {
        using TestRing ring = TestRing.Create(2, maxPolls: 3);
        ring.IsEager = false;
        Assert.Equal(OpResult.Ok, Submit(ring, 3));
        ring.Consume();
        Assert.Equal(OpResult.Ok, Submit(ring, 1));

        // The hardware is past 3; a ticket of the fourth is not complete.
        Assert.Equal(Errno.ETIMEDOUT, ring.WaitForCompletion(new CommandTicket(2, 3)).Errno);
        Assert.Equal(OpResult.Ok, ring.WaitForCompletion(new CommandTicket(1, 2)));
    }

    [Fact]
    public void Memory_goes_back_once()
    {
        var memory = new SystemMemory();
        TestRing ring = TestRing.Create(8, memory: memory);
        Assert.NotEqual(0, memory.AllocatedBytes);

        ring.Dispose();
        ring.Dispose();

        Assert.Equal(0, memory.AllocatedBytes);
    }

    [Theory]
    [InlineData(2, true, false), InlineData(5, false, true)]
    public void Concurrent_producers_keep_their_order_and_return_only_when_theirs_is_done(
        int log2, bool canFill, bool isWhole)
    {
        const int Threads = 4;
        const ulong Rounds = 100;
        using TestRing ring = TestRing.Create(log2, canFill, isWhole, maxPolls: int.MaxValue);
        ring.IsEager = false;
        using var barrier = new Barrier(Threads + 1);
        int running = Threads;
        var failures = new System.Collections.Concurrent.ConcurrentBag<string>();
        long consumed = 0;
        Thread[] threads = [.. Enumerable.Range(0, Threads).Select(thread => new Thread(() =>
        {
            barrier.SignalAndWait();
            for (ulong round = 0; round < Rounds; round++)
            {
                var batch = new CommandBatch(ring);
                Add(ref batch, 0x100 + (ulong)thread, round * 2);
                Add(ref batch, 0x100 + (ulong)thread, (round * 2) + 1);
                OpResult result = batch.Complete();
                if (!result.IsOk)
                {
                    failures.Add($"{thread} {round}: {result}");
                }
            }

            Interlocked.Decrement(ref running);
        }))];
        Array.ForEach(threads, t => t.Start());

        barrier.SignalAndWait();
        while (Volatile.Read(ref running) > 0)
        {
            ring.Consume(1 + (int)(consumed++ % 3));
            Thread.Yield();
        }

        Array.ForEach(threads, t => t.Join());
        Assert.Empty(failures);
        for (ulong thread = 0; thread < Threads; thread++)
        {
            Assert.Equal(
                Enumerable.Range(0, (int)(2 * Rounds)).Select(i => (ulong)i),
                ring.Log.Where(c => c.Word0 == 0x100 + thread).Select(c => c.Word1));
        }

        Assert.Equal(Threads * (long)Rounds * 3, ring.Commands);
        if (isWhole)
        {
            Assert.All(ring.Log.Chunk(3), c =>
                Assert.True(c[0].Word0 == c[1].Word0 && c[2].Word0 == TestRing.ClosingWord));
        }
    }

    [Fact]
    public void Any_sequence_of_submissions_and_consumptions_is_that_of_a_queue() =>
        Prop.ForAll(
            (from log2 in Gen.Choose(0, 4)
             from steps in Gen.ListOf(Gen.Choose(-9, 9))
             select (log2, steps.ToArray())).ToArbitrary(),
            input =>
            {
                using TestRing ring = TestRing.Create(input.log2, maxPolls: 3);
                ring.IsEager = false;
                var model = new Queue<ulong>();
                var taken = new List<ulong>();
                ulong next = 0;
                foreach (int step in input.Item2)
                {
                    if (step >= 0)
                    {
                        int room = Math.Min(step, ring.Slots - model.Count);
                        Assert.Equal(room == step, Submit(ring, step, next).IsOk);
                        for (; room > 0; room--)
                        {
                            model.Enqueue(next++);
                        }
                    }
                    else
                    {
                        ring.Consume(-step);
                        for (int i = 0; i < -step && model.TryDequeue(out ulong value); i++)
                        {
                            taken.Add(value);
                        }
                    }

                    Assert.Equal(taken, Sequence(ring));
                    Assert.Equal((long)next, ring.Commands);
                }
            }).QuickCheckThrowOnFailure();

    [Fact]
    public void Submitting_and_waiting_allocates_nothing()
    {
        using TestRing ring = TestRing.Create(8);
        ring.Log.Capacity = 1 << 16;
        ring.Doorbells.Capacity = 1 << 16;
        AllocatesNothing(5, () =>
        {
            for (ulong i = 0; i < 1000; i++)
            {
                var batch = new CommandBatch(ring);
                Add(ref batch, 0x100, i);
                batch.Complete();
            }
        });
    }

    internal static void Add(ref CommandBatch batch, ulong word0, ulong word1)
    {
        Span<ulong> command = batch.Add();
        command[0] = word0;
        command[1] = word1;
    }

    private static OpResult Submit(TestRing ring, int count, ulong first = 0)
    {
        ulong[] words = [.. Enumerable.Range(0, count).SelectMany(i => new[] { 0x100UL, first + (ulong)i })];
        CommandTicket ticket = default;
        return ring.Submit(words, ref ticket);
    }

    private static IEnumerable<ulong> Sequence(TestRing ring) =>
        ring.Log.Where(c => c.Word0 is >= 0x100).Select(c => c.Word1);
}
