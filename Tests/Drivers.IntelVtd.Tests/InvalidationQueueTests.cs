// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Tests;

public sealed class InvalidationQueueTests
{
    private const int IQH = 0x80;
    private const int FSTS = 0x34;
    private const int IQERCD = 0xB0;
    private const uint IQE = 0x10;

    [Fact]
    public void A_queue_of_one_page_goes_round_many_times_without_loss()
    {
        var fixture = new Fixture(options: ("queue-pages-log2", "0"));
        InvalidationQueue queue = fixture.Unit.Queue;
        long before = queue.Commands;
        uint pasid = 0;
        var expected = new List<uint>();

        for (int round = 0; round < 1000; round++)
        {
            int count = (round % 15) + 1;
            var words = new ulong[count * 4];
            ulong[][] consumed = fixture.Consumed(() =>
            {
                for (int i = 0; i < count; i++)
                {
                    expected.Add(pasid);
                    words[i * 4] = PasidCache(pasid);
                    pasid = (pasid + 1) & 0xFFFFF;
                }

                Fixture.Ok(queue.Run(words));
            });

            Assert.Equal(expected.TakeLast(count), consumed[..^1].Select(PasidOf));
            Assert.Equal(5UL, consumed[^1][0] & 0xF);
        }

        Assert.Equal(expected.Count + 1000, queue.Commands - before);
        Assert.Equal(queue.Commands, fixture.Model.Log.Total);
        Assert.Equal(0u, fixture.Registers.Read32(FSTS));
    }

    [Fact]
    public void Every_submission_ends_with_a_wait_that_writes_a_status()
    {
        var fixture = new Fixture();

        ulong[] wait = fixture.Consumed(() => Fixture.Ok(fixture.Unit.Queue.Run(Words(PasidCache(1)))))[^1];

        Assert.Equal(0x25UL, wait[0] & 0xFFFF_FFFF);
        Assert.Equal((uint)(wait[0] >> 32), fixture.Memory.ReadDword(wait[1]));
    }

    [Fact]
    public void Status_numbers_may_start_over()
    {
        var fixture = new Fixture();
        using InvalidationQueue queue = Fixture.Ok(InvalidationQueue.Create(
            fixture.Memory, fixture.Registers, new PollTimeout(TimeProvider.System, TimeSpan.FromSeconds(1)), 0,
            uint.MaxValue - 3));
        Restart(fixture, queue);

        for (int i = 0; i < 10; i++)
        {
            ulong[][] consumed = fixture.Consumed(() => Fixture.Ok(queue.Run(Words(ContextCacheGlobal))));
            Assert.Equal(unchecked(uint.MaxValue - 3 + (uint)(i + 1)), (uint)(consumed[^1][0] >> 32));
        }
    }

    [Fact]
    public void A_number_that_started_over_is_still_waited_for()
    {
        var fixture = new Fixture();
        using InvalidationQueue queue = Fixture.Ok(InvalidationQueue.Create(
            fixture.Memory, fixture.Registers, new PollTimeout(new SteppingClock(), TimeSpan.FromSeconds(1)), 0,
            uint.MaxValue));
        Restart(fixture, queue);
        fixture.TestRegisters.Hold(Fixture.IQT);

        Assert.Equal(Errno.ETIMEDOUT, queue.Run(Words(ContextCacheGlobal)).Errno); // waits for 0, the word is -1

        fixture.TestRegisters.Release();
        Fixture.Ok(queue.Run(Words(ContextCacheGlobal)));
    }

    [Fact]
    public void A_full_queue_is_never_overrun_and_goes_on_when_the_hardware_does()
    {
        var fixture = new Fixture(time: new SteppingClock(), options: ("queue-pages-log2", "0"));
        InvalidationQueue queue = fixture.Unit.Queue;
        fixture.TestRegisters.Hold(Fixture.IQT);
        long consumed = fixture.Model.Log.Total;

        // 16 descriptors each; 127 of 128 slots can be used, so the eighth does not fit.
        for (uint i = 0; i < 7; i++)
        {
            ulong tail = fixture.TestRegisters.HeldValue;
            Assert.Equal(Errno.ETIMEDOUT, queue.Run(Fifteen(i)).Errno);
            Assert.NotEqual(tail, fixture.TestRegisters.HeldValue);
        }

        ulong fullTail = fixture.TestRegisters.HeldValue;
        OpResult refused = queue.Run(Fifteen(7));
        Assert.Equal(Errno.ETIMEDOUT, refused.Errno);
        Assert.Equal(fullTail, fixture.TestRegisters.HeldValue);

        fixture.TestRegisters.Release();
        ulong[][] log = fixture.Model.Log.Since(consumed);
        Assert.Equal(7 * 16, log.Length);
        Assert.Equal(
            Enumerable.Range(0, 7).SelectMany(i => Enumerable.Repeat((uint)i, 15)),
            log.Where(w => (w[0] & 0xF) == 7).Select(PasidOf));
        Fixture.Ok(queue.Run(Fifteen(8)));
        Assert.Equal(0u, fixture.Registers.Read32(FSTS));
    }

    [Fact]
    public void Hardware_that_never_completes_is_given_up_even_if_the_clock_stands_still()
    {
        var fixture = new Fixture(time: new StoppedClock());
        InvalidationQueue queue = fixture.Unit.Queue;
        fixture.TestRegisters.Hold(Fixture.IQT);

        Refused(Errno.ETIMEDOUT, "1000 ms", queue.Run(Words(PasidCache(1))));
    }

    [Theory]
    [InlineData(false)] // the hardware has consumed when the write of IQT returns
    [InlineData(true)] // the hardware consumes some time later
    public void Concurrent_submissions_stay_whole_and_return_only_when_they_have_completed(bool later)
    {
        const int Threads = 4;
        int rounds = Effort.Of(1000);
        CompletionHardware? hardware = null;
        var fixture = new Fixture(
            make: (memory, setup) => hardware = new CompletionHardware(memory, setup),
            options: [("queue-pages-log2", "0"), ("timeout-ms", "60000")]);
        fixture.Recorder.IsRecording = false;
        InvalidationQueue queue = fixture.Unit.Queue;
        long before = queue.Commands;
        using var barrier = new Barrier(Threads);
        var failures = new List<string>();
        if (later)
        {
            fixture.TestRegisters.Hold(Fixture.IQT);
        }

        bool done = false;
        var consumer = new Thread(() =>
        {
            while (!Volatile.Read(ref done))
            {
                fixture.TestRegisters.Deliver();
                Thread.Yield();
            }
        });

        Thread[] threads = [.. Enumerable.Range(0, Threads).Select(thread => new Thread(() =>
        {
            barrier.SignalAndWait();
            for (uint round = 0; round < rounds; round++)
            {
                uint pasid = ((uint)thread << 16) | round;
                ulong[] words = [.. Words(PasidCache(pasid)), .. Words(PasidCache(pasid)), .. Words(PasidCache(pasid))];
                OpResult result = queue.Run(words);
                int completed = hardware!.CompletedOf(pasid);
                if (!result.IsOk || completed != 3)
                {
                    lock (failures)
                    {
                        failures.Add($"thread {thread} round {round}: {result}, {completed} of 3 were done");
                    }
                }
            }
        }))];
        foreach (Thread thread in threads)
        {
            thread.Start();
        }

        if (later)
        {
            consumer.Start();
        }

        foreach (Thread thread in threads)
        {
            thread.Join();
        }

        Volatile.Write(ref done, true);
        if (later)
        {
            consumer.Join();
        }

        Assert.Empty(failures);
        Assert.Equal(Threads * rounds * 4, queue.Commands - before);
        Assert.Equal(0, hardware!.Interleaved);
        Assert.Equal(queue.Commands, fixture.Model.Log.Total);
    }

    [Theory]
    [InlineData(0x0000000000000117UL, 0UL, 4)] // PASID-cache, bit 8
    [InlineData(0x0010000000000017UL, 0UL, 4)] // PASID-cache, bit 52
    [InlineData(0x0000000000000017UL, 1UL, 4)] // PASID-cache, second word
    [InlineData(0x0000000000000027UL, 0UL, 4)] // PASID-cache, granularity 2
    [InlineData(0x0000000000000001UL, 0UL, 4)] // context-cache, granularity 0
    [InlineData(0x0000000000000036UL, 0x1001UL, 4)] // PASID-based IOTLB, not aligned to AM
    [InlineData(0x0000000000000036UL, 0x0000_8000_0000_0013UL, 4)] // AM = 19, CAP.MAMV = 18
    [InlineData(0x0000000000000105UL, 0UL, 4)] // wait, bit 8
    [InlineData(0x0000000000000000UL, 0UL, 3)] // type 0
    [InlineData(0x000000000000000BUL, 0UL, 3)] // type 0xB
    [InlineData(0x0000000000000217UL, 0UL, 3)] // further type bits
    public void A_malformed_descriptor_stops_the_queue_where_it_stands(ulong word0, ulong word1, int cause)
    {
        var fixture = new Fixture();
        InvalidationQueue queue = fixture.Unit.Queue;
        ulong head = fixture.Registers.Read64(IQH);

        OpResult result = queue.Run([.. Words(PasidCache(1)), word0, word1, 0, 0, .. Words(PasidCache(2))]);

        Assert.Equal(Errno.EIO, result.Errno);
        Assert.Equal(IQE, fixture.Registers.Read32(FSTS));
        Assert.Equal((ulong)cause, fixture.Registers.Read64(IQERCD));
        Assert.Equal(head + 32, fixture.Registers.Read64(IQH));
        Assert.Equal(Errno.EIO, queue.Run(Words(PasidCache(3))).Errno);
        Assert.Equal(head + 32, fixture.Registers.Read64(IQH));
    }

    [Theory]
    [InlineData(2), InlineData(3)]
    public void The_upper_half_of_a_descriptor_must_be_0(int word)
    {
        var fixture = new Fixture();
        ulong[] words = Words(PasidCache(1));
        words[word] = 1UL << 40;

        Assert.Equal(Errno.EIO, fixture.Unit.Queue.Run(words).Errno);
        Assert.Equal(4UL, fixture.Registers.Read64(IQERCD));
    }

    [Fact]
    public void A_stopped_queue_goes_on_when_the_descriptor_is_mended_and_IQE_cleared()
    {
        var fixture = new Fixture();
        InvalidationQueue queue = fixture.Unit.Queue;
        ulong slot = (queue.AddressRegister & ~0xFFFUL) + fixture.Registers.Read64(IQH);
        Assert.Equal(Errno.EIO, queue.Run([0, 0, 0, 0]).Errno);

        fixture.Memory.WriteQword(slot, PasidCache(1));
        fixture.Registers.Write32(FSTS, IQE);

        Assert.Equal(0u, fixture.Registers.Read32(FSTS));
        Fixture.Ok(queue.Run(Words(PasidCache(2))));
    }

    [Fact]
    public void Queue_hardware_refuses_128_bit_descriptors_bad_tails_and_missing_memory()
    {
        var fixture = new Fixture();
        InvalidationQueue queue = fixture.Unit.Queue;

        Assert.Equal(5UL, CauseOf(queue.AddressRegister & ~0x800UL, 32)); // DW = 0
        Assert.Equal(1UL, CauseOf(queue.AddressRegister, 8192)); // two pages: the last offset is 8160
        Assert.Equal(6UL, CauseOf(queue.AddressRegister, 16));
        Assert.Equal(2UL, CauseOf(0x800, 32)); // address 0 is no memory

        ulong CauseOf(ulong iqa, ulong tail)
        {
            uint on = fixture.Registers.Read32(0x1C);
            fixture.Registers.Write32(0x18, on & ~0x4400_0000u);
            fixture.Registers.Write64(0x88, 0);
            fixture.Registers.Write64(0x90, iqa);
            fixture.Registers.Write32(0x18, on & ~0x4000_0000u);
            fixture.Registers.Write64(0x88, tail);
            ulong cause = fixture.Registers.Read64(IQERCD);
            fixture.Registers.Write64(0x88, 0);
            fixture.Registers.Write32(FSTS, IQE);
            return cause;
        }
    }

    private const ulong ContextCacheGlobal = 0x11;
    private static ulong PasidCache(uint pasid) => 0x17 | ((ulong)pasid << 32);
    private static uint PasidOf(ulong[] words) => (uint)(words[0] >> 32) & 0xFFFFF;
    private static ulong[] Words(ulong word0) => [word0, 0, 0, 0];

    private static ulong[] Fifteen(uint pasid) =>
        [.. Enumerable.Range(0, 15).SelectMany(_ => Words(PasidCache(pasid)))];

    // Gives the hardware to another queue than its unit's.
    private static void Restart(Fixture fixture, InvalidationQueue queue)
    {
        Assert.NotEqual(0UL, fixture.Unit.Root);
        uint on = fixture.Registers.Read32(0x1C) & ~0x4000_0000u;
        fixture.Registers.Write32(0x18, on & ~0x0400_0000u);
        fixture.Registers.Write64(0x88, 0);
        fixture.Registers.Write64(0x90, queue.AddressRegister);
        fixture.Registers.Write32(0x18, on);
    }

    private sealed class StoppedClock : TimeProvider
    {
        public override long GetTimestamp() => 5;
    }

    /// <summary>Counts what was executed per PASID, and whether a submission was cut in two.</summary>
    private sealed class CompletionHardware(ObservedMemory memory, HardwareSetup setup) : VtdHardware(memory, setup)
    {
        private readonly int[] _completed = new int[1 << 20];
        private ulong _last;
        private int _run;
        public int Interleaved { get; private set; }
        public int CompletedOf(uint pasid) => Volatile.Read(ref _completed[pasid]);

        protected override void Invalidate(ReadOnlySpan<ulong> descriptor)
        {
            if ((descriptor[0] & 0xF) != 7 || ((descriptor[0] >> 4) & 3) != 1)
            {
                return;
            }

            // Three equal ones belong together.
            if (_run is > 0 and < 3 && descriptor[0] != _last)
            {
                Interleaved++;
            }

            _run = descriptor[0] == _last && _run < 3 ? _run + 1 : 1;
            _last = descriptor[0];
            Interlocked.Increment(ref _completed[(uint)(descriptor[0] >> 32) & 0xFFFFF]);
        }
    }
}
