// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Tests;

public sealed class QueueTests
{
    public static TheoryData<byte, Errno> Statuses => new()
    {
        { 0, Errno.None },
        { 1, Errno.EIO },
        { 2, Errno.EOPNOTSUPP },
        { 3, Errno.EIO },
        { 4, Errno.EINVAL },
        { 5, Errno.ERANGE },
        { 6, Errno.ENOENT },
        { 7, Errno.EFAULT },
        { 8, Errno.ENOMEM },
        { 9, Errno.EIO },
        { 255, Errno.EIO },
    };

    [Theory]
    [MemberData(nameof(Statuses))]
    public void A_status_becomes_its_errno(byte status, Errno errno)
    {
        var bench = new Bench(8);
        bench.Answer = () => bench.Return(0, 4, status);

        OpResult result = bench.Queue.Send(new ulong[3], 20).ToResult("MAP", 1, "endpoint", 2);

        Assert.Equal(errno, result.Errno);
        Assert.Equal(errno == Errno.None, result.IsOk);
        if (!result.IsOk)
        {
            Assert.Contains($"{status}", result.Reason, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(0u, RequestStatus.Unrecognised), InlineData(1u, RequestStatus.Truncated)]
    [InlineData(3u, RequestStatus.Truncated), InlineData(4u, RequestStatus.Ok)]
    public void The_used_length_decides_whether_there_is_a_status(uint length, object expected)
    {
        var bench = new Bench(8);
        bench.Answer = () => bench.Return(0, length, 0);

        Assert.Equal(expected, bench.Queue.Send(new ulong[3], 20));
    }

    [Fact]
    public void Stores_come_in_the_order_descriptors_ring_entry_barrier_index_barrier_notify()
    {
        using Fixture fixture = Fixture.Start("none", coherent: false);
        Virtqueue ring = fixture.Started.Requests.Ring;
        fixture.Hardware.AcceptsWrite = (offset, _) =>
        {
            // The device's own stores are not of interest.
            fixture.Memory.IsRecording = false;
            return true;
        };
        fixture.Memory.IsRecording = true;

        Assert.Equal(OpResult.Ok, fixture.Started.Standard.Attach(1, 0x18, 0));

        // What is zero is there already: the last words of the request and the ring entry.
        ulong buffer = fixture.Started.Requests.SlotAddress(0);
        MemoryStep[] expected =
        [
            new(StepKind.Store, buffer, 0),
            new(StepKind.Store, buffer + 8, 0),
            new(StepKind.Flush, buffer, 16),
            new(StepKind.Store, ring.Descriptors, 0),
            new(StepKind.Store, ring.Descriptors + 8, 0),
            new(StepKind.Store, ring.Descriptors + 16, 0),
            new(StepKind.Store, ring.Descriptors + 24, 0),
            new(StepKind.Flush, ring.Descriptors, 32),
            new(StepKind.Barrier, 0, 0),
            new(StepKind.StoreDword, ring.Available, 0),
            new(StepKind.Flush, ring.Available, 4),
            new(StepKind.Barrier, 0, 0),
            new(StepKind.Register, MmioRegister.QueueNotify, 0),
        ];
        Assert.Equal(expected, WithoutValues(fixture.Memory));
    }

    [Fact]
    public void A_request_that_repeats_the_one_before_orders_what_it_tells_of_and_stores_the_index_alone()
    {
        using Fixture fixture = Fixture.Start("none", coherent: false);
        Virtqueue ring = fixture.Started.Requests.Ring;
        Assert.Equal(OpResult.Ok, fixture.Started.Standard.Attach(1, 0x18, 0));
        fixture.Hardware.AcceptsWrite = (_, _) =>
        {
            fixture.Memory.IsRecording = false;
            return true;
        };
        fixture.Memory.IsRecording = true;

        Assert.Equal(OpResult.Ok, fixture.Started.Standard.Attach(1, 0x18, 0));

        Assert.Equal(
            [
                new(StepKind.Barrier, 0, 0),
                new(StepKind.StoreDword, ring.Available, 0),
                new(StepKind.Flush, ring.Available, 4),
                new(StepKind.Barrier, 0, 0),
                new(StepKind.Register, MmioRegister.QueueNotify, 0),
            ],
            WithoutValues(fixture.Memory));
    }

    [Fact]
    public void The_ring_entries_of_a_batch_are_ordered_before_its_one_index()
    {
        var memory = new ObservedMemory();
        var queue = new Virtqueue(memory, memory.AllocatePages(4096).Value, 8, flush: true);
        memory.Steps.Clear();

        queue.Offer(0);
        queue.Offer(3);
        queue.Offer(5);
        queue.Publish();

        Assert.Equal(
            [
                new(StepKind.StoreBytes, queue.Available + 6, 2),
                new(StepKind.Flush, queue.Available + 6, 2),
                new(StepKind.StoreBytes, queue.Available + 8, 2),
                new(StepKind.Flush, queue.Available + 8, 2),
                new(StepKind.Barrier, 0, 0),
                new(StepKind.StoreDword, queue.Available, 0),
                new(StepKind.Flush, queue.Available, 4),
                new(StepKind.Barrier, 0, 0),
            ],
            WithoutValues(memory));
        Assert.Equal(0x0003_0001u, memory.ReadDword(queue.Available));
    }

    [Fact]
    public void A_coherent_device_needs_no_flush()
    {
        using Fixture fixture = Fixture.Start("none", coherent: true);
        fixture.Memory.IsRecording = true;

        fixture.Started.Standard.Attach(1, 0x18, 0);

        Assert.DoesNotContain(fixture.Memory.Steps, s => s.Kind == StepKind.Flush);
    }

    [Fact]
    public void The_rings_hold_what_the_specification_draws()
    {
        using Fixture fixture = Fixture.Start("none");
        Virtqueue ring = fixture.Started.Requests.Ring;

        fixture.Started.Standard.Attach(1, 0x18, 0);

        ulong buffer = fixture.Started.Requests.SlotAddress(0);
        var descriptors = new byte[32];
        fixture.Memory.Read(ring.Descriptors, descriptors);
        Assert.Equal(buffer, BinaryPrimitives.ReadUInt64LittleEndian(descriptors));
        Assert.Equal(20u, BinaryPrimitives.ReadUInt32LittleEndian(descriptors.AsSpan(8)));
        Assert.Equal(1, BinaryPrimitives.ReadUInt16LittleEndian(descriptors.AsSpan(12)));
        Assert.Equal(1, BinaryPrimitives.ReadUInt16LittleEndian(descriptors.AsSpan(14)));
        Assert.Equal(buffer + 124, BinaryPrimitives.ReadUInt64LittleEndian(descriptors.AsSpan(16)));
        Assert.Equal(4u, BinaryPrimitives.ReadUInt32LittleEndian(descriptors.AsSpan(24)));
        Assert.Equal(2, BinaryPrimitives.ReadUInt16LittleEndian(descriptors.AsSpan(28)));
        Assert.Equal(0x0001_0001u, fixture.Memory.ReadDword(ring.Available));
        Assert.Equal(0x0001_0000u, fixture.Memory.ReadDword(ring.Used));
        Assert.Equal(4u, fixture.Memory.ReadDword(ring.Used + 8));
        var request = new byte[24];
        fixture.Memory.Read(buffer, request);
        Assert.Equal(Vector.All["attach"].Bytes, request);
    }

    [Fact]
    public void Both_ring_indices_wrap_and_no_slot_is_lost()
    {
        using Fixture fixture = Fixture.Start("none");
        fixture.Hardware.Device.LogCapacity = 0;
        int slots = fixture.Started.Requests.FreeSlots;
        const int Rounds = 70_000;

        for (int i = 0; i < Rounds; i++)
        {
            Assert.Equal(OpResult.Ok, fixture.Started.Standard.Attach((uint)(i % 7), (uint)(i % 5), 0));
        }

        Assert.Equal(slots, fixture.Started.Requests.FreeSlots);
        Assert.Equal(Rounds, fixture.Started.Requests.Sent);
        Assert.Equal(Rounds, fixture.Hardware.Device.Consumed);
        Assert.Equal((uint)(Rounds & 0xFFFF), fixture.Memory.ReadDword(fixture.Started.Requests.Ring.Used) >> 16);
    }

    [Fact]
    public void Many_threads_each_get_the_answer_to_their_own_request()
    {
        using Fixture fixture = Fixture.Start("none", endpoints: "1,3,5,7");
        const int Rounds = 3000;
        const int Threads = 8;
        Race.Run(Threads, (t, barrier) =>
        {
            // Odd endpoints exist and even ones do not: a swapped answer shows as the wrong status.
            barrier.SignalAndWait();
            for (int i = 0; i < Rounds; i++)
            {
                Assert.Equal(
                    t % 2 == 1 ? Errno.None : Errno.ENOENT,
                    fixture.Started.Standard.Attach((uint)(10 + t), (uint)t, 0).Errno);
            }
        });

        Assert.Equal(Rounds * Threads, fixture.Started.Requests.Sent);
        Assert.Equal(RequestQueue.MaxSlots, fixture.Started.Requests.FreeSlots);
    }

    [Fact]
    public void More_threads_than_slots_wait_for_one_another()
    {
        using var hardware = new TestHardware(new ObservedMemory(), Fixture.Setup("none"));
        hardware.ReadOverrides[MmioRegister.QueueNumMax] = _ => 2;
        using StartedDevice device = Fixture.StartDevice(
            hardware, "none", new PollTimeout(TimeProvider.System, TimeSpan.MaxValue, int.MaxValue));
        Assert.Equal(1, device.Requests.FreeSlots);
        const int Threads = 4;
        Race.Run(Threads, (t, barrier) =>
        {
            barrier.SignalAndWait();
            for (int i = 0; i < 500; i++)
            {
                Assert.Equal(OpResult.Ok, device.Standard.Attach((uint)t + 1, (uint)t, 0));
            }
        });

        Assert.Equal(1, device.Requests.FreeSlots);
        Assert.Equal(device.Requests.Sent, hardware.Device.Consumed);
    }

    [Fact]
    public void A_device_that_never_answers_is_ETIMEDOUT_and_a_late_answer_disturbs_nobody()
    {
        using Fixture fixture = Fixture.Start("none");
        fixture.Hardware.Deafen();
        OpResult lost = fixture.Started.Standard.Attach(1, 0x18, 0);
        Assert.Equal(Errno.ETIMEDOUT, lost.Errno);
        Assert.Equal(RequestQueue.MaxSlots - 1, fixture.Started.Requests.FreeSlots);

        // The late ATTACH (OK) and a MAP of an unknown domain (NOENT) come back together.
        fixture.Hardware.AcceptsWrite = (_, _) => true;
        Assert.Equal(Errno.ENOENT, fixture.Started.Standard.Map(9, 0, 0xfff, 0, 3).Errno);

        Assert.Equal(RequestQueue.MaxSlots, fixture.Started.Requests.FreeSlots);
        Assert.Equal(1, fixture.Hardware.Device.DomainCount);
    }

    [Fact]
    public void The_wait_ends_by_the_clock_and_by_the_count_whichever_is_first()
    {
        var clock = new JumpingClock();
        var byClock = new PollTimeout(clock, TimeSpan.FromSeconds(5), int.MaxValue);
        var bench = new Bench(8, byClock);

        Assert.Equal(RequestStatus.TimedOut, bench.Queue.Send(new ulong[3], 20));
        Assert.InRange(clock.Looks, 6, 8);

        bench = new Bench(8, new PollTimeout(clock, TimeSpan.MaxValue, 3));
        int looks = clock.Looks;
        Assert.Equal(RequestStatus.TimedOut, bench.Queue.Send(new ulong[3], 20));
        Assert.Equal(looks, clock.Looks);
    }

    [Fact]
    public void An_answer_at_once_costs_no_look_at_the_clock()
    {
        var clock = new JumpingClock();
        var bench = new Bench(8, new PollTimeout(clock, TimeSpan.Zero, int.MaxValue));
        bench.Answer = () => bench.Return(0, 4, 0);

        Assert.Equal(RequestStatus.Ok, bench.Queue.Send(new ulong[3], 20));
        Assert.Equal(0, clock.Looks);
    }

    [Fact]
    public void A_full_queue_is_ETIMEDOUT_and_recovers_when_the_device_wakes()
    {
        using Fixture fixture = Fixture.Start("none");
        fixture.Hardware.Deafen();
        for (int i = 0; i < RequestQueue.MaxSlots; i++)
        {
            Assert.Equal(Errno.ETIMEDOUT, fixture.Started.Standard.Attach(1, (uint)i, 0).Errno);
        }

        long sent = fixture.Started.Requests.Sent;
        Refused(Errno.ETIMEDOUT, "full", fixture.Started.Standard.Attach(1, 99, 0));
        Assert.Equal(sent, fixture.Started.Requests.Sent);
        fixture.Hardware.Wake();
        Assert.Equal(OpResult.Ok, fixture.Started.Standard.Attach(1, 99, 0));
        Assert.Equal(RequestQueue.MaxSlots, fixture.Started.Requests.FreeSlots);
    }

    [Theory]
    [InlineData("an id beyond the queue"), InlineData("a tail descriptor as head")]
    [InlineData("a slot that is not in flight"), InlineData("more elements than requests")]
    public void An_impossible_used_ring_takes_the_queue_out_of_use_as_EIO(string fault)
    {
        var bench = new Bench(8);
        bench.Answer = () =>
        {
            switch (fault)
            {
                case "an id beyond the queue":
                    bench.Return(8, 4, 0);
                    break;
                case "a tail descriptor as head":
                    bench.Return(1, 4, 0);
                    break;
                case "a slot that is not in flight":
                    bench.Return(4, 4, 0);
                    break;
                default:
                    bench.SetUsedIndex(2);
                    break;
            }
        };

        OpResult result = bench.Queue.Send(new ulong[3], 20).ToResult("MAP", 1, "endpoint", 2);

        Assert.Equal(Errno.EIO, result.Errno);
        bench.Answer = () => bench.Return(2, 4, 0);
        Assert.Equal(RequestStatus.Broken, bench.Queue.Send(new ulong[3], 20));
    }

    [Fact]
    public void An_answer_that_the_device_gives_twice_is_noticed()
    {
        var bench = new Bench(8);
        bench.Answer = () => bench.Return(0, 4, 0);
        Assert.Equal(RequestStatus.Ok, bench.Queue.Send(new ulong[3], 20));
        bench.Answer = () => bench.Return(2, 4, 0);

        Assert.Equal(RequestStatus.Broken, bench.Queue.Send(new ulong[3], 20));
    }

    [Theory]
    [InlineData(0), InlineData(1), InlineData(2), InlineData(3), InlineData(4), InlineData(5)]
    public void A_malformed_chain_makes_the_device_ask_for_a_reset(int fault)
    {
        using Fixture fixture = Fixture.Start("none");
        Virtqueue ring = fixture.Started.Requests.Ring;
        ulong buffer = fixture.Started.Requests.SlotAddress(0);
        const ushort Next = VirtqueueLayout.FlagNext;
        const ushort Write = VirtqueueLayout.FlagWrite;
        switch (fault)
        {
            case 0:
                ring.SetDescriptor(0, buffer, 20, Next, 1);
                ring.SetDescriptor(1, buffer, 20, Next, 0);
                break;
            case 1:
                ring.SetDescriptor(0, buffer, 20, Next, ring.Size);
                break;
            case 2:
                ring.SetDescriptor(0, buffer, 20, Write | Next, 1);
                ring.SetDescriptor(1, buffer, 20, 0, 0);
                break;
            case 3:
                ring.SetDescriptor(0, 0x10, 20, Next, 1);
                ring.SetDescriptor(1, buffer, 4, Write, 0);
                break;
            case 4:
                ring.SetDescriptor(0, buffer, 20, VirtqueueLayout.FlagIndirect, 0);
                break;
            default:
                // A chain that the device may not write into cannot carry a tail.
                ring.SetDescriptor(0, buffer, 20, 0, 0);
                break;
        }

        ring.Offer(0);
        ring.Publish();
        fixture.Hardware.Write32(MmioRegister.QueueNotify, QueueIndex.Request);

        Assert.Equal(DeviceStatus.NeedsReset, fixture.Hardware.Read32(MmioRegister.Status) & DeviceStatus.NeedsReset);
        Assert.Equal(0u, fixture.Memory.ReadDword(ring.Used) >> 16);
        fixture.Hardware.Write32(MmioRegister.Status, 0);
        Assert.Equal(0u, fixture.Hardware.Read32(MmioRegister.Status));
    }

    [Fact]
    public void A_chain_in_many_pieces_is_the_same_request()
    {
        using Fixture fixture = Fixture.Start("none");
        Virtqueue ring = fixture.Started.Requests.Ring;
        ulong buffer = fixture.Started.Requests.SlotAddress(0);
        fixture.Memory.Write(buffer, Vector.All["attach"].Bytes);
        ring.SetDescriptor(0, buffer, 3, VirtqueueLayout.FlagNext, 9);
        ring.SetDescriptor(9, buffer + 3, 17, VirtqueueLayout.FlagNext, 4);
        ring.SetDescriptor(4, buffer + 20, 1, VirtqueueLayout.FlagWrite | VirtqueueLayout.FlagNext, 5);
        ring.SetDescriptor(5, buffer + 21, 3, VirtqueueLayout.FlagWrite, 0);
        ring.Offer(0);
        ring.Publish();

        fixture.Hardware.Write32(MmioRegister.QueueNotify, QueueIndex.Request);

        ConsumedRequest request = fixture.TakeLog().Single();
        Assert.Equal(Vector.All["attach"].Bytes[..20], request.Bytes);
        Assert.Equal((byte)0, request.Status);
        Assert.Equal(1, fixture.Hardware.Device.DomainCount);
    }

    [Fact]
    public void A_request_that_is_too_short_for_its_type_is_INVAL()
    {
        using Fixture fixture = Fixture.Start("none");

        Assert.Equal(RequestStatus.Inval, fixture.Send([1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], 8));
    }

    [Fact]
    public void Sending_allocates_nothing()
    {
        using Fixture fixture = Fixture.Start("none");
        fixture.Hardware.Device.LogCapacity = 0;
        var memory = new SystemMemory();
        var device = new VirtioIommuHardware(memory, Fixture.Setup("none"));
        OpResult<StartedDevice> started = StartedDevice.Start(
            "viommu0", device, null, NullLogger.Instance, Fixture.Short);
        StandardRequests(started.Value!, 100);
        AllocatesNothing(5, () => StandardRequests(started.Value!, 1000));
        started.Value!.Dispose();

        static void StandardRequests(StartedDevice device, int count)
        {
            for (int i = 0; i < count; i++)
            {
                device.Standard.Attach(1, 2, 0);
            }
        }
    }

    /// <summary>A clock on which a second passes at every look.</summary>
    private sealed class JumpingClock : TimeProvider
    {
        public int Looks { get; private set; }
        public override long TimestampFrequency => 1;
        public override long GetTimestamp() => ++Looks;
    }

    private static IEnumerable<MemoryStep> WithoutValues(ObservedMemory memory) => memory.Steps.Select(step =>
        step.Kind is StepKind.Store or StepKind.StoreDword or StepKind.Register ? step with { Value = 0 } : step);

    /// <summary>A request queue whose device is the test itself.</summary>
    private sealed class Bench
    {
        private readonly ObservedMemory _memory = new();
        private ushort _used;

        public Bench(int size, PollTimeout? timeout = null)
        {
            ulong address = _memory.AllocatePages(RequestQueue.MemoryBytes(size)).Value;
            Queue = new RequestQueue(_memory, address, size, flush: false, () => Answer(), timeout ?? Fixture.Short);
        }

        public RequestQueue Queue { get; }
        public Action Answer { get; set; } = () => { };

        public void Return(uint id, uint length, byte status)
        {
            for (int slot = 0; slot < RequestQueue.Slots(Queue.Ring.Size); slot++)
            {
                _memory.WriteDword(Queue.TailAddress(slot), status);
            }

            ulong at = Queue.Ring.Used + 4 + (ulong)(_used % Queue.Ring.Size * 8);
            _memory.WriteDword(at, id);
            _memory.WriteDword(at + 4, length);
            SetUsedIndex(++_used);
        }

        public void SetUsedIndex(ushort index) => _memory.WriteDword(Queue.Ring.Used, (uint)index << 16);
    }
}
