// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Core.Tests.Threading;

public sealed class GracePeriodTests
{
    [Fact]
    public void Without_readers_an_object_is_freed_at_once()
    {
        var grace = new GracePeriod();
        var item = new Item();

        grace.Retire(item);

        Assert.Equal(1, item.Freed);
        Assert.Equal(0, grace.Pending);
    }

    [Fact]
    public void A_reader_that_was_there_before_holds_the_object_and_a_later_one_does_not()
    {
        var grace = new GracePeriod();
        var item = new Item();
        GracePeriod.ReadSection before = grace.Enter();
        grace.Retire(item);
        GracePeriod.ReadSection after = grace.Enter();

        Assert.Equal(0, item.Freed);
        before.Leave();
        grace.Poll();
        Assert.Equal(1, item.Freed);
        after.Leave();
        Assert.Equal(1, item.Freed);
    }

    [Fact]
    public void An_object_retired_by_a_later_call_waits_for_its_own_readers()
    {
        var grace = new GracePeriod();
        Item first = new(), second = new();
        GracePeriod.ReadSection reader = grace.Enter();
        grace.Retire(first);
        reader.Leave();
        Assert.Equal(1, first.Freed);

        GracePeriod.ReadSection other = grace.Enter();
        grace.Retire(second);
        grace.Poll();
        grace.Poll();
        Assert.Equal(0, second.Freed);
        other.Leave();
        Assert.Equal(1, second.Freed);
    }

    [Fact]
    public void Under_readers_on_other_threads_nothing_is_freed_while_somebody_reads_it()
    {
        var grace = new GracePeriod();
        var current = new Item();
        bool done = false;
        int wrong = 0;
        using var barrier = new Barrier(3);
        Thread[] readers = [.. Enumerable.Range(0, 2).Select(_ => new Thread(() =>
        {
            barrier.SignalAndWait();
            while (!Volatile.Read(ref done))
            {
                GracePeriod.ReadSection section = grace.Enter();
                Item seen = Volatile.Read(ref current);
                for (int i = 0; i < 20; i++)
                {
                    if (Volatile.Read(ref seen.Freed) != 0)
                    {
                        Interlocked.Increment(ref wrong);
                    }
                }

                section.Leave();
            }
        }))];
        Array.ForEach(readers, r => r.Start());
        barrier.SignalAndWait();
        var all = new List<Item>();
        for (int i = 0; i < 50_000; i++)
        {
            Item old = current;
            all.Add(old);
            Volatile.Write(ref current, new Item());
            grace.Retire(old);
        }

        Volatile.Write(ref done, true);
        Array.ForEach(readers, r => r.Join());
        grace.Poll();

        Assert.Equal(0, wrong);
        Assert.Equal(0, grace.Pending);
        Assert.All(all, item => Assert.Equal(1, item.Freed));
    }

    private sealed class Item : Reclaimable
    {
        public int Freed;
        internal override void Reclaim() => Interlocked.Increment(ref Freed);
    }
}
