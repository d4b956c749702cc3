// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Tests;

/// <summary>The strict model: what it complains of, and what one dialect only has.</summary>
public sealed class ModelTests
{
    private static readonly Pasid s_pasid = ModelFixture.Pasid;

    [Fact]
    public void A_fault_names_its_PASID_in_dialect_B()
    {
        using var fixture = new ModelFixture("B");
        using DomainTable table = fixture.AttachAndInstall(s_pasid);

        fixture.Access(s_pasid, ModelFixture.Page + 0x2000, isWrite: true);

        var faults = new FaultRecord[2];
        Assert.Equal(1, fixture.Started.Events.Read(faults));
        Assert.Equal(
            new FaultRecord(0x102_0000_0002, ModelFixture.Endpoint | ((ulong)s_pasid.Value << 32), ModelFixture.Page
                + 0x2000),
            faults[0]);
        fixture.Leave(table);
    }

    /// <summary>Requests that must leave a stale translation in use, and those that must drop it.</summary>
    public static TheoryData<string, string, bool> TranslationRequests => new()
    {
        { "B", "right", true },
        { "B", "page", true },
        { "B", "domain", true },
        { "B", "other domain", false },
        { "B", "other PASID", false },
        { "B", "other id", false },
        { "B", "config", false },
        { "B", "no page", false },
        { "B", "next page", false },
        { "E", "right", true },
        { "E", "page", true },
        { "E", "domain", true },
        { "E", "other domain", false },
        { "E", "other PASID", false },
        { "E", "other id", false },
        { "E", "config", false },
        { "E", "no page", false },
        { "E", "next page", false },
        { "E", "no id", false },
        { "E", "both caches", true },
    };

    [Theory]
    [MemberData(nameof(TranslationRequests))]
    public void D5_D6_a_translation_is_stale_until_a_request_names_it(string dialect, string what, bool drops)
    {
        using var fixture = new ModelFixture(dialect);
        using DomainTable table = fixture.AttachAndInstall(s_pasid);
        using DomainTable other = fixture.Attach(16, 2, 0x20);
        Assert.Equal(ModelFixture.Target, fixture.Access(s_pasid).Address);
        fixture.PageTable.Map(ModelFixture.Page, 0x9000, writable: true);
        Assert.Equal(ModelFixture.Target, fixture.Access(s_pasid).Address);

        Assert.Equal(RequestStatus.Ok, fixture.Send(fixture.Request(what)));

        Assert.Equal(drops ? 0x9000UL : ModelFixture.Target, fixture.Access(s_pasid).Address);
        Assert.Equal(OpResult.Ok, other.RemoveEndpoint(0x20));
        fixture.Leave(table);
    }

    [Fact]
    public void UNMAP_is_its_own_invalidation_and_drops_only_what_it_unmaps()
    {
        using var fixture = new ModelFixture("none");
        Assert.Equal(OpResult.Ok, fixture.Started.Standard.Attach(1, ModelFixture.Endpoint, 0));
        Assert.Equal(OpResult.Ok, fixture.Started.Standard.Map(1, 0x1000, 0x1fff, 0x5000, 3));
        Assert.Equal(OpResult.Ok, fixture.Started.Standard.Map(1, 0x2000, 0x2fff, 0x7000, 1));
        Assert.Equal(0x5010UL, fixture.Access(null, 0x1010).Address);
        Assert.Equal(0x7010UL, fixture.Access(null, 0x2010).Address);
        Assert.Equal(2, fixture.Model.Cached.Count);

        Assert.Equal(OpResult.Ok, fixture.Started.Standard.Unmap(1, 0x1000, 0x1fff));

        Assert.Equal(TranslationStatus.Faulted, fixture.Access(null, 0x1010).Status);
        Assert.Equal("TLB", Assert.Single(fixture.Model.Cached).Cache);
        Assert.Equal(TranslationStatus.Faulted, fixture.Access(null, 0x2010, isWrite: true).Status);
        Assert.Empty(fixture.Rules());
    }

    [Theory]
    [InlineData(0x1001UL, 0x1fffUL, 0x5000UL, 3u, Errno.ERANGE)]
    [InlineData(0x1000UL, 0x1ffeUL, 0x5000UL, 3u, Errno.ERANGE)]
    [InlineData(0x1000UL, 0x1fffUL, 0x5800UL, 3u, Errno.ERANGE)]
    [InlineData(0x2000UL, 0x1fffUL, 0x5000UL, 3u, Errno.EINVAL)]
    [InlineData(0x1000UL, 0x1fffUL, 0x5000UL, 8u, Errno.EINVAL)]
    [InlineData(0x8000UL, 0x8fffUL, 0x5000UL, 3u, Errno.EINVAL)]
    public void MAP_is_refused_where_lax_devices_accept(
        ulong start, ulong last, ulong physical, uint flags, Errno errno)
    {
        using var fixture = new ModelFixture("none");
        fixture.Started.Standard.Attach(1, ModelFixture.Endpoint, 0);
        fixture.Started.Standard.Map(1, 0x8000, 0x8fff, 0x5000, 3);

        Assert.Equal(errno, fixture.Started.Standard.Map(1, start, last, physical, flags).Errno);
        Assert.Equal(Errno.ENOENT, fixture.Started.Standard.Map(9, 0x1000, 0x1fff, 0x5000, 3).Errno);
        Assert.Equal(OpResult.Ok, fixture.Started.Standard.Unmap(1, 0x20000, 0x2ffff));
    }

    [Fact]
    public void A_slow_device_is_waited_for_and_nothing_stale_is_met_after()
    {
        using var fixture = new ModelFixture("B");
        using DomainTable table = fixture.AttachAndInstall(s_pasid);
        fixture.Access(s_pasid);
        fixture.PageTable.Map(ModelFixture.Page, 0x9000, writable: true);
        fixture.Model.Device.IsSlow = true;
        using var barrier = new Barrier(2);
        var worker = new Thread(() =>
        {
            barrier.SignalAndWait();
            while (fixture.Model.Device.Consumed < 5)
            {
                fixture.Model.Device.Work();
                Thread.Yield();
            }
        });
        worker.Start();
        barrier.SignalAndWait();

        // The test's timeout is short: a request that came too late is sent again.
        while (!table.TranslationsChanged(s_pasid, ModelFixture.Asid).IsOk)
        {
        }

        Assert.Equal(0x9000UL, fixture.Access(s_pasid).Address);
        fixture.Model.Device.IsSlow = false;
        while (fixture.Model.Device.Consumed < 5)
        {
            _ = table.TranslationsChanged(s_pasid, ModelFixture.Asid);
        }

        worker.Join();
        fixture.Leave(table);
    }

    // The first four are rules that no mutant of the driver breaks.
    [Theory]
    [InlineData("none", "virtio-features"), InlineData("none", "virtio-queue-setup")]
    [InlineData("none", "virtio-reserved-region"), InlineData("E", "virtio-stream-entry")]
    [InlineData("none", "virtio-doorbell-idle"), InlineData("none", "virtio-request-length")]
    [InlineData("none", "virtio-unused-field"), InlineData("B", "virtio-unused-field")]
    [InlineData("B", "virtio-device-memory"), InlineData("E", "virtio-device-memory")]
    public void A_rule_that_is_broken_is_the_only_complaint(string dialect, string rule)
    {
        using var fixture = new ModelFixture(dialect);
        IRegisterFile registers = fixture.Model.Registers;
        switch (rule)
        {
            case "virtio-features":
                registers.Write32(MmioRegister.Status, 0);
                registers.Write32(MmioRegister.Status, DeviceStatus.Acknowledge);
                registers.Write32(MmioRegister.DriverFeaturesSel, 0);
                registers.Write32(MmioRegister.DriverFeatures, 1u << 31);
                registers.Write32(MmioRegister.DriverFeaturesSel, 1);
                registers.Write32(MmioRegister.DriverFeatures, 1);
                registers.Write32(MmioRegister.Status, DeviceStatus.Acknowledge | DeviceStatus.FeaturesOk);
                Assert.Equal(0u, registers.Read32(MmioRegister.Status) & DeviceStatus.FeaturesOk);
                break;
            case "virtio-queue-setup":
                registers.Write32(MmioRegister.Status, 0);
                registers.Write32(MmioRegister.QueueSel, 0);
                registers.Write32(MmioRegister.QueueNum, 3);
                registers.Write32(MmioRegister.QueueReady, 1);
                Assert.Equal(0u, registers.Read32(MmioRegister.QueueReady));
                break;
            case "virtio-reserved-region":
                Assert.Equal(OpResult.Ok, fixture.Started.Standard.Attach(1, ModelFixture.Endpoint, 0));
                Assert.Equal(
                    OpResult.Ok,
                    fixture.Started.Standard.Map(
                        1, DeviceRequests.MsiLast - 0xFFF, DeviceRequests.MsiLast + 0x1000, 0x5000, 3));
                break;
            case "virtio-stream-entry":
                var words = new ulong[TableDialect.MaxWords];
                ulong table = fixture.Memory.AllocatePages(4096).Value;
                const ulong Ats = 1UL << 28;
                var stream = new AttachWords(0, table, 6, 2, 0b1011 | table | (6UL << 59), 2 | Ats);
                Assert.Equal(
                    RequestStatus.Ok,
                    fixture.Started.Requests.Send(
                        fixture.Dialect!.EncodeAttach(words, 1, ModelFixture.Endpoint, stream),
                        fixture.Dialect.AttachBytes));
                break;
            case "virtio-doorbell-idle":
                registers.Write32(MmioRegister.QueueNotify, QueueIndex.Request);
                break;
            case "virtio-request-length":
                Assert.Equal(RequestStatus.Inval, fixture.Started.Requests.Send([(ulong)RequestType.Detach, 0, 0], 24));
                break;
            case "virtio-unused-field" when dialect == "none":
                Assert.Equal(
                    RequestStatus.Inval, fixture.Started.Requests.Send([(ulong)RequestType.Detach, 1UL << 32, 0], 20));
                break;
            case "virtio-unused-field":
                using (DomainTable unused = fixture.Attach())
                {
                    ulong[] request = fixture.Request("config");
                    request.AsSpan().Set(ProposalBInvalidate.Id, 1);
                    Assert.Equal(RequestStatus.Ok, fixture.Send(request));
                    Assert.Equal(OpResult.Ok, unused.RemoveEndpoint(ModelFixture.Endpoint));
                }

                break;
            default:
                using (DomainTable attached = fixture.AttachAndInstall(s_pasid))
                {
                    // MAIR 0: every attribute is Device memory.
                    fixture.Memory.WriteQword(fixture.Descriptor(attached, s_pasid) + 24, 0);
                    Assert.Equal(ModelFixture.Target, fixture.Access(s_pasid).Address);
                    Assert.Equal(OpResult.Ok, attached.RemoveEndpoint(ModelFixture.Endpoint));
                }

                break;
        }

        Assert.Equal([rule], fixture.Rules());
    }

    public static TheoryData<string> RingFaults =>
        ["publish", "answer", "reuse", "store", "free", "doorbell", "early", "features", "status", "register", "type"];

    [Theory]
    [MemberData(nameof(RingFaults))]
    public void What_no_status_tells_is_a_complaint(string fault)
    {
        bool weak = fault is "publish" or "answer" or "doorbell";
        using var fixture = new ModelFixture("none", order: weak ? StoreOrder.Weak : StoreOrder.Immediate);
        Virtqueue ring = fixture.Started.Requests.Ring;
        ulong buffer = fixture.Started.Requests.SlotAddress(0);
        IRegisterFile registers = fixture.Model.Registers;
        string rule = Break(fixture, fault, ring, buffer, registers);

        Assert.Equal([rule], fixture.Rules());
        fixture.Model.Device.IsSlow = false;
        registers.Write32(MmioRegister.Status, 0);
    }

    [Fact]
    public void A_notification_is_not_judged_by_a_store_of_another_thread_that_is_not_told_of_yet()
    {
        using var stored = new ManualResetEventSlim();
        using var told = new ManualResetEventSlim();
        int other = 0;
        using var fixture = new ModelFixture("none", order: StoreOrder.Weak, beforeModel: change =>
        {
            if (change.Kind == MemoryEventKind.Store && Environment.CurrentManagedThreadId == Volatile.Read(ref other))
            {
                stored.Set();
                told.Wait();
            }
        });
        Virtqueue ring = fixture.Started.Requests.Ring;
        fixture.Model.Device.IsSlow = true;
        for (int head = 0; head < 4; head += 2)
        {
            ulong buffer = fixture.Started.Requests.SlotAddress(head / 2);
            ring.SetDescriptor(head, buffer, 20, VirtqueueLayout.FlagNext, head + 1);
            ring.SetDescriptor(head + 1, buffer + 64, 4, VirtqueueLayout.FlagWrite, 0);
        }

        fixture.Memory.WriteDword(ring.Available + 4, 2 << 16);
        fixture.Memory.StoreBarrier();
        fixture.Memory.WriteDword(ring.Available, 0x0001_0001);
        fixture.Memory.StoreBarrier();
        var thread = new Thread(() =>
        {
            Volatile.Write(ref other, Environment.CurrentManagedThreadId);
            fixture.Memory.WriteDword(ring.Available, 0x0002_0001);
        });
        thread.Start();
        try
        {
            stored.Wait(TestContext.Current.CancellationToken);
            fixture.Model.Registers.Write32(MmioRegister.QueueNotify, 0);
        }
        finally
        {
            told.Set();
            thread.Join();
        }

        Assert.Empty(fixture.Rules());
        fixture.Model.Device.IsSlow = false;
        fixture.Model.Registers.Write32(MmioRegister.Status, 0);
    }

    private static string Break(ModelFixture fixture, string fault, Virtqueue ring, ulong buffer,
        IRegisterFile registers)
    {
        const uint One = 0x0001_0001;
        switch (fault)
        {
            case "publish":
            case "answer":
                ring.SetDescriptor(0, buffer, 20, VirtqueueLayout.FlagNext, 1);
                ring.SetDescriptor(1, buffer + 64, 4, VirtqueueLayout.FlagWrite, 0);
                fixture.Memory.StoreBarrier();
                fixture.Memory.WriteQword(fault == "publish" ? buffer : buffer + 64, 7);
                fixture.Memory.WriteDword(ring.Available, One);
                return "virtio-publish-order";
            case "reuse":
                fixture.Model.Device.IsSlow = true;
                ring.SetDescriptor(0, buffer, 20, 0, 0);
                ring.Offer(0);
                ring.Publish();
                ring.Offer(0);
                ring.Publish();
                return "virtio-chain-reuse";
            case "store":
                fixture.Model.Device.IsSlow = true;
                ring.SetDescriptor(0, buffer, 20, 0, 0);
                ring.Offer(0);
                ring.Publish();
                fixture.Memory.WriteQword(buffer + 8, 1);
                return "virtio-store-in-use";
            case "free":
                OpResult<ulong> page = fixture.Memory.AllocatePages(4096);
                fixture.Model.Device.IsSlow = true;
                ring.SetDescriptor(0, page.Value, 20, 0, 0);
                ring.Offer(0);
                ring.Publish();
                fixture.Memory.FreePages(page.Value, 4096);
                return "virtio-freed-in-use";
            case "doorbell":
                ring.SetDescriptor(0, buffer, 20, VirtqueueLayout.FlagNext, 1);
                ring.SetDescriptor(1, buffer + 64, 4, VirtqueueLayout.FlagWrite, 0);
                fixture.Memory.StoreBarrier();
                fixture.Memory.WriteDword(ring.Available, One);
                registers.Write32(MmioRegister.QueueNotify, 0);
                return "virtio-doorbell-order";
            case "early":
                registers.Write32(MmioRegister.Status, 0);
                registers.Write32(MmioRegister.QueueNotify, 0);
                return "virtio-early-notify";
            case "features":
                registers.Write32(MmioRegister.DriverFeatures, 0);
                return "virtio-late-features";
            case "status":
                registers.Write32(MmioRegister.Status, DeviceStatus.Acknowledge);
                return "virtio-status";
            case "register":
                registers.Write32(MmioRegister.QueueSel, 0);
                registers.Write32(MmioRegister.QueueNum, 4);
                return "virtio-queue-register";
            default:
                Assert.Equal(RequestStatus.Unrecognised, fixture.Started.Requests.Send([7, 0, 0, 0, 0, 0, 0, 0], 60));
                return "virtio-not-negotiated";
        }
    }

    [Fact]
    public void Rings_that_are_not_written_back_when_they_are_enabled_are_a_complaint()
    {
        var memory = new ModelMemory(isCoherent: false);
        using var model =
            new VirtioIommuModel(memory, Fixture.Setup("none", coherent: false), new ArmSmmu.Reader.SmmuTableReader());
        ulong ring = memory.AllocatePages(4096).Value;
        (int Register, uint Value)[] writes =
        [
            (MmioRegister.QueueNum, 8),
            (MmioRegister.QueueDescLow, (uint)ring), (MmioRegister.QueueDescHigh, (uint)(ring >> 32)),
            (MmioRegister.QueueDriverLow, (uint)ring + 128), (MmioRegister.QueueDriverHigh, (uint)(ring >> 32)),
            (MmioRegister.QueueDeviceLow, (uint)ring + 256), (MmioRegister.QueueDeviceHigh, (uint)(ring >> 32)),
            (MmioRegister.QueueReady, 1),
        ];

        foreach ((int register, uint value) in writes)
        {
            model.Registers.Write32(register, value);
        }

        Assert.Equal(["virtio-ring-unsettled"], model.Violations.Select(c => c.Rule));
    }

    [Fact]
    public void Unknown_options_are_misuse()
    {
        var factory = new VirtioIommuModelFactory();

        Assert.Throws<ArgumentException>(() => factory.Create(
            new HardwareSetup { Options = new Dictionary<string, string> { ["speed"] = "1" } }));
    }
}
