// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Tests.Queues;

public class RecordRingTests
{
    [Theory]
    [InlineData(0), InlineData(1), InlineData(10)]
    public void Records_are_taken_once_and_in_order_over_wraps(int log2)
    {
        using var ring = new TestRecords(log2);
        var taken = new List<IommuFault>();
        for (ulong next = 0; next < (5UL << log2); next++)
        {
            ring.Record(next);
            if (next % 3 == 0 || ring.IsFull)
            {
                Assert.Equal(OpResult.Ok, ring.Take(taken));
            }
        }

        Assert.Equal(OpResult.Ok, ring.Take(taken));
        Assert.Equal(Enumerable.Range(0, 5 << log2), taken.Select(f => f.Code));
        Assert.True(ring.IsEmpty);
    }

    [Fact]
    public void Any_sequence_of_records_and_takings_is_that_of_a_bounded_queue() =>
        Prop.ForAll(
            (from log2 in Gen.Choose(0, 3)
             from steps in Gen.ListOf(Gen.Choose(0, 4))
             select (log2, steps.ToArray())).ToArbitrary(),
            input =>
            {
                using var ring = new TestRecords(input.log2);
                var model = new Queue<int>();
                var expected = new List<int>();
                var taken = new List<IommuFault>();
                int next = 0;
                bool lost = false;
                foreach (int step in input.Item2)
                {
                    if (step > 0)
                    {
                        bool fits = model.Count < 1 << input.log2;
                        ring.Record((ulong)next);
                        lost |= !fits;
                        if (fits)
                        {
                            model.Enqueue(next);
                        }

                        next++;
                        continue;
                    }

                    expected.AddRange(model);
                    model.Clear();
                    Assert.Equal(lost ? Errno.EOVERFLOW : Errno.None, ring.Take(taken).Errno);
                    lost = false;
                    Assert.Equal(expected, taken.Select(f => f.Code));
                }
            }).QuickCheckThrowOnFailure();

    [Fact]
    public void Records_that_come_while_others_are_taken_are_left_for_the_next_time()
    {
        using var ring = new TestRecords(3);
        ring.Record(1);
        ring.OnDecode = () => ring.Record(2);
        var taken = new List<IommuFault>();

        Assert.Equal(OpResult.Ok, ring.Take(taken));
        Assert.Equal(1, Assert.Single(taken).Code);
        ring.OnDecode = () => { };
        Assert.Equal(OpResult.Ok, ring.Take(taken));
        Assert.Equal([1, 2], taken.Select(f => f.Code));
    }

    [Fact]
    public void A_producer_that_cannot_be_is_skipped_and_the_ring_goes_on()
    {
        using var ring = new TestRecords(2);
        ring.Record(1);
        ring.Producer = 6;
        var taken = new List<IommuFault>();

        Assert.Equal("skipped", ring.Take(taken).Reason);
        Assert.Empty(taken);
        Assert.True(ring.IsEmpty);
        ring.Record(7);
        Assert.Equal(OpResult.Ok, ring.Take(taken));
        Assert.Equal(7, Assert.Single(taken).Code);
    }

    [Fact]
    public void After_disposal_nothing_is_read_and_memory_went_back_once()
    {
        var ring = new TestRecords(2);
        ring.Record(1);

        ring.Dispose();
        ring.Dispose();

        var taken = new List<IommuFault>();
        Assert.Equal(OpResult.Ok, ring.Take(taken));
        Assert.Empty(taken);
        Assert.Equal(0, ring.Memory.AllocatedBytes);
    }

    [Fact]
    public void Two_takers_beside_the_hardware_get_every_record_once()
    {
        const int Records = 5_000;
        using var ring = new TestRecords(4);
        using var barrier = new Barrier(3);
        bool done = false;
        List<IommuFault>[] taken = [[], []];
        Thread[] takers = [.. taken.Select(list => new Thread(() =>
        {
            barrier.SignalAndWait();
            bool last;
            do
            {
                last = Volatile.Read(ref done);
                _ = ring.Take(list);
            }
            while (!last);
        }))];
        Array.ForEach(takers, t => t.Start());
        barrier.SignalAndWait();
        for (ulong next = 0; next < Records;)
        {
            if (ring.IsFull)
            {
                Thread.Yield();
                continue;
            }

            ring.Record(next++);
        }

        Volatile.Write(ref done, true);
        Array.ForEach(takers, t => t.Join());
        Assert.Equal(Enumerable.Range(0, Records), taken.SelectMany(l => l).Select(f => f.Code).Order());
        Assert.All(taken, l => Assert.Equal(l.Select(f => f.Code).Order(), l.Select(f => f.Code)));
    }

    private sealed class TestRecords : RecordRing
    {
        private readonly int _log2;
        private uint _consumer;
        private bool _isLost;

        public TestRecords(int log2)
            : this(new SystemMemory(), log2)
        {
        }

        private TestRecords(SystemMemory memory, int log2)
            : base(memory, memory.AllocatePages(16 << log2).Value, log2, 2)
        {
            Memory = memory;
            _log2 = log2;
        }

        public SystemMemory Memory { get; }
        public uint Producer { get; set; }
        public Action OnDecode { get; set; } = () => { };
        public bool IsFull => (Producer ^ Volatile.Read(ref _consumer)) == 1u << _log2;
        public bool IsEmpty => Producer == _consumer;

        public void Record(ulong number)
        {
            if (IsFull)
            {
                _isLost = true;
                return;
            }

            ulong at = Address + ((Producer & ((1UL << _log2) - 1)) * 16);
            Memory.WriteQword(at, number);
            Memory.WriteQword(at + 8, ~number);
            Memory.StoreBarrier();
            Producer = (Producer + 1) & ((2u << _log2) - 1);
        }

        protected override uint ReadProducer() => Producer | 0x8000_0000;

        protected override OpResult Release(uint consumer, bool isMoved, bool isSkipped)
        {
            Assert.Equal(isMoved, consumer != _consumer);
            Volatile.Write(ref _consumer, consumer);
            bool isLost = _isLost;
            _isLost = false;
            return isSkipped || isLost
                ? OpResult.Refuse(Errno.EOVERFLOW, isSkipped ? "skipped" : "lost")
                : OpResult.Ok;
        }

        protected override IommuFault Decode(ReadOnlySpan<ulong> record)
        {
            Assert.Equal(~record[0], record[1]);
            OnDecode();
            return new IommuFault(null, null, null, null, (int)record[0], string.Empty, record.ToArray());
        }
    }
}
