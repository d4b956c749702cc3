// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Tests;

/// <summary>The strict model: what it keeps, what drops it, and what it complains of.</summary>
public sealed class ModelTests
{
    private static readonly Pasid s_pasid = new(0x1234);
    private static readonly Pasid s_neighbour = new(0x1235);
    public static TheoryData<string> Dialects => Fixture.BothDialects;

    [Theory]
    [MemberData(nameof(Dialects))]
    public void An_access_reaches_the_page_and_the_offset_in_it(string dialect)
    {
        using var fixture = new ModelFixture(dialect);
        using DomainTable table = fixture.AttachAndInstall(s_pasid);

        TranslationResult result = fixture.Access(s_pasid, ModelFixture.Page + 0x123, isWrite: true);

        Assert.Equal(
            new TranslationResult(TranslationStatus.Translated, ModelFixture.Target + 0x123, fixture.PageTable.Root, 0,
                null),
            result);
        Assert.Equal(["CD", "L1CD", "TLB", "walk cache"], fixture.Model.Cached.Select(c => c.Cache).Distinct().Order());
        Leave(fixture, table);
    }

    [Theory]
    [MemberData(nameof(Dialects))]
    public void A_read_only_page_faults_for_a_write_and_an_unmapped_one_for_both(string dialect)
    {
        using var fixture = new ModelFixture(dialect);
        using DomainTable table = fixture.AttachAndInstall(s_pasid);
        fixture.PageTable.Map(ModelFixture.Page + 0x1000, 0x9000, writable: false);

        Assert.Equal(0x9000UL, fixture.Access(s_pasid, ModelFixture.Page + 0x1000).Address);
        TranslationResult write = fixture.Access(s_pasid, ModelFixture.Page + 0x1000, isWrite: true);
        Assert.Equal((TranslationStatus.Faulted, (int)FaultReason.Mapping), (write.Status, write.FaultCode));
        Assert.Equal((int)FaultReason.Mapping, fixture.Access(s_pasid, ModelFixture.Page + 0x2000).FaultCode);
        Assert.Equal((int)FaultReason.Mapping, fixture.Access(s_pasid, 1UL << 48).FaultCode);
        Assert.Equal((int)FaultReason.Domain, fixture.Access(s_neighbour).FaultCode);
        Leave(fixture, table);
    }

    [Theory]
    [MemberData(nameof(Dialects))]
    public void The_reader_finds_the_table_of_an_endpoint_by_what_the_model_tells(string dialect)
    {
        using var fixture = new ModelFixture(dialect);
        var requester = new RequesterId(ModelFixture.Endpoint);
        Assert.Empty(fixture.Model.TableRoots(requester));
        using DomainTable table = fixture.AttachAndInstall(s_pasid);

        OpResult<ITableView> view =
            new VirtioTableReader { ArmSmmuV3Reader = new ArmSmmu.Reader.SmmuTableReader() }.Open(fixture.Memory,
                fixture.Model.TableRoots(requester));

        Assert.True(view.IsOk, view.ToString());
        Assert.Equal(s_pasid, Assert.Single(view.Value!.Items(), i => i.Kind == TableItemKind.Pasid).Pasid);
        Assert.Empty(fixture.Model.TableRoots(new RequesterId(ModelFixture.Endpoint + 1)));
        Leave(fixture, table);
        Assert.Empty(fixture.Model.TableRoots(requester));
    }

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
        Leave(fixture, table);
    }

    [Theory]
    [MemberData(nameof(Dialects))]
    public void D12_a_quiet_entry_aborts_without_an_event(string dialect)
    {
        using var fixture = new ModelFixture(dialect);
        using DomainTable table = fixture.AttachAndInstall(s_pasid);
        fixture.Access(s_pasid);

        Assert.Equal(OpResult.Ok, table.Quiet(s_pasid, ModelFixture.Asid));

        Assert.Equal(TranslationStatus.AbortedQuietly, fixture.Access(s_pasid).Status);
        Assert.Equal(0, fixture.Started.Events.Read(new FaultRecord[1]));
        Assert.Equal(OpResult.Ok, table.Remove(s_pasid, ModelFixture.Asid));
        Assert.Equal(TranslationStatus.Faulted, fixture.Access(s_pasid).Status);
        Leave(fixture, table);
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

        Assert.Equal(RequestStatus.Ok, fixture.Send(Request(fixture.Dialect!, what)));

        Assert.Equal(drops ? 0x9000UL : ModelFixture.Target, fixture.Access(s_pasid).Address);
        Assert.Equal(OpResult.Ok, other.RemoveEndpoint(0x20));
        Leave(fixture, table);
    }

    [Theory]
    [MemberData(nameof(Dialects))]
    public void A_leaf_invalidation_keeps_the_tables_on_the_way_and_a_full_one_does_not(string dialect)
    {
        using var fixture = new ModelFixture(dialect);
        using DomainTable table = fixture.AttachAndInstall(s_pasid);
        fixture.Access(s_pasid);
        ulong leaf = Level(fixture, 3);
        ulong moved = fixture.Memory.AllocatePages(4096).Value;
        fixture.Memory.WriteQword(moved + 0x145 * 8, 0x9000 | 0xF43);
        fixture.Memory.WriteQword(Level(fixture, 2) + 0x91 * 8, moved | 3);
        Assert.NotEqual(moved, leaf);

        Assert.Equal(RequestStatus.Ok, fixture.Send(Leaf(fixture.Dialect!, Request(fixture.Dialect!, "right"))));
        Assert.Equal(ModelFixture.Target, fixture.Access(s_pasid).Address);
        Assert.Equal(RequestStatus.Ok, fixture.Send(Request(fixture.Dialect!, "right")));
        Assert.Equal(0x9000UL, fixture.Access(s_pasid).Address);

        fixture.Memory.WriteQword(Level(fixture, 2) + 0x91 * 8, leaf | 3);
        fixture.Memory.FreePages(moved, 4096);
        Leave(fixture, table);
    }

    [Theory]
    [MemberData(nameof(Dialects))]
    public void A_descriptor_is_stale_until_its_own_PASID_is_named_for_the_configuration(string dialect)
    {
        using var fixture = new ModelFixture(dialect);
        using DomainTable table = fixture.AttachAndInstall(s_pasid);
        fixture.Access(s_pasid);
        ulong descriptor = Descriptor(fixture, table, s_pasid);
        ulong word = fixture.Memory.ReadQword(descriptor);
        fixture.Memory.WriteQword(descriptor, 0);

        Assert.Equal(TranslationStatus.Translated, fixture.Access(s_pasid).Status);
        Assert.Equal(OpResult.Ok, table.TranslationsChanged(s_pasid, ModelFixture.Asid));
        Assert.Equal(TranslationStatus.Translated, fixture.Access(s_pasid).Status);
        Assert.Equal(OpResult.Ok, table.ConfigurationChanged(s_neighbour, leafOnly: true));
        Assert.Equal(TranslationStatus.Translated, fixture.Access(s_pasid).Status);
        Assert.Equal(OpResult.Ok, table.ConfigurationChanged(s_pasid, leafOnly: true));
        Assert.Equal(TranslationStatus.Faulted, fixture.Access(s_pasid).Status);

        // An invalid one is kept as well.
        fixture.Memory.WriteQword(descriptor, word);
        Assert.Equal(TranslationStatus.Faulted, fixture.Access(s_pasid).Status);
        Assert.Equal(OpResult.Ok, table.ConfigurationChanged(s_pasid, leafOnly: true));
        Assert.Equal(TranslationStatus.Translated, fixture.Access(s_pasid).Status);
        Leave(fixture, table);
    }

    [Theory]
    [MemberData(nameof(Dialects))]
    public void An_invalid_level_1_descriptor_is_kept_until_the_path_is_named(string dialect)
    {
        using var fixture = new ModelFixture(dialect);
        using DomainTable table = fixture.AttachAndInstall(s_pasid);
        ulong level1 = fixture.TableRoot + (s_pasid.Value >> 10) * 8;
        ulong word = fixture.Memory.ReadQword(level1);
        fixture.Memory.WriteQword(level1, 0);
        fixture.Model.DropCaches();
        Assert.Equal(TranslationStatus.Faulted, fixture.Access(s_pasid).Status);
        fixture.Memory.WriteQword(level1, word);

        Assert.Equal(OpResult.Ok, table.ConfigurationChanged(s_pasid, leafOnly: true));
        Assert.Equal(TranslationStatus.Faulted, fixture.Access(s_pasid).Status);
        Assert.Equal(OpResult.Ok, table.ConfigurationChanged(s_pasid, leafOnly: false));
        Assert.Equal(TranslationStatus.Translated, fixture.Access(s_pasid).Status);
        Leave(fixture, table);
    }

    [Theory]
    [MemberData(nameof(Dialects))]
    public void Detaching_drops_the_endpoints_entries_and_the_last_one_the_domains_translations(string dialect)
    {
        using var fixture = new ModelFixture(dialect);
        using DomainTable table = fixture.AttachAndInstall(s_pasid);
        Assert.Equal(OpResult.Ok, table.AddEndpoint(0x20));
        fixture.Access(s_pasid);
        fixture.Access(s_pasid, endpoint: 0x20);
        Assert.Equal(2, fixture.Model.Cached.Count(c => c.Cache == "CD"));

        Assert.Equal(OpResult.Ok, table.RemoveEndpoint(0x20));
        Assert.Single(fixture.Model.Cached, c => c.Cache == "CD");
        Assert.Contains(fixture.Model.Cached, c => c.Cache == "TLB");
        Assert.Equal(TranslationStatus.Faulted, fixture.Access(s_pasid, endpoint: 0x20).Status);
        Assert.Equal(OpResult.Ok, table.RemoveEndpoint(ModelFixture.Endpoint));
        Assert.Empty(fixture.Model.Cached);
        Assert.Empty(fixture.Rules());
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

    [Theory]
    [MemberData(nameof(Dialects))]
    public void An_invalidation_acts_when_it_is_answered_and_not_before(string dialect)
    {
        using var fixture = new ModelFixture(dialect);
        using DomainTable table = fixture.AttachAndInstall(s_pasid);
        fixture.Access(s_pasid);
        fixture.PageTable.Map(ModelFixture.Page, 0x9000, writable: true);
        fixture.Model.Device.IsSlow = true;

        // The driver gives up; the request stays with the device.
        Assert.Equal(Errno.ETIMEDOUT, table.TranslationsChanged(s_pasid, ModelFixture.Asid).Errno);

        Assert.Equal(ModelFixture.Target, fixture.Access(s_pasid).Address);
        fixture.Model.Device.Work();
        Assert.Equal(0x9000UL, fixture.Access(s_pasid).Address);
        fixture.Model.Device.IsSlow = false;
        Leave(fixture, table);
    }

    [Theory]
    [MemberData(nameof(Dialects))]
    public void A_driver_that_frees_before_the_answer_is_caught_by_a_stray_read(string dialect)
    {
        using var fixture = new ModelFixture(dialect);
        using DomainTable table = fixture.AttachAndInstall(s_pasid);
        fixture.Access(s_pasid);
        fixture.Model.Device.IsSlow = true;
        _ = table.Remove(s_pasid, ModelFixture.Asid);
        fixture.PageTable.Dispose();

        fixture.Access(s_pasid, ModelFixture.Page + 0x1000);

        Assert.Contains("virtio-stray-read", fixture.Rules());
        Assert.Contains(fixture.Memory.StrayReads, s => s.WasFreed);
        fixture.Model.Device.IsSlow = false;
        fixture.Model.Device.Work();
        Assert.Equal(OpResult.Ok, table.RemoveEndpoint(ModelFixture.Endpoint));
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
        Leave(fixture, table);
    }

    [Theory]
    [MemberData(nameof(Dialects))]
    public void D2_storing_the_valid_word_first_is_a_complaint(string dialect)
    {
        using var fixture = new ModelFixture(dialect);
        using DomainTable table = fixture.AttachAndInstall(s_pasid);
        ulong from = Descriptor(fixture, table, s_pasid);
        ulong to = Descriptor(fixture, table, s_neighbour);
        Assert.Equal(OpResult.Ok, table.ConfigurationChanged(s_neighbour, leafOnly: true));
        Assert.Empty(fixture.Rules());
        for (int i = 0; i < 8; i++)
        {
            fixture.Memory.WriteQword(to + (ulong)(i * 8), fixture.Memory.ReadQword(from + (ulong)(i * 8)));
        }

        Assert.Equal(OpResult.Ok, table.ConfigurationChanged(s_neighbour, leafOnly: true));

        Assert.Equal(["virtio-torn-descriptor"], fixture.Rules());
        Assert.Equal(OpResult.Ok, table.RemoveEndpoint(ModelFixture.Endpoint));
    }

    [Theory]
    [MemberData(nameof(Dialects))]
    public void After_a_reset_an_endpoint_belongs_to_its_new_domain_alone(string dialect)
    {
        using var fixture = new ModelFixture(dialect);
        DomainTable first = fixture.AttachAndInstall(s_pasid);
        Assert.Equal(ModelFixture.Target, fixture.Access(s_pasid).Address);

        // Nothing is detached: the reset must do.
        fixture.Restart();
        first.Dispose();
        Assert.Empty(fixture.Model.Cached);
        using DomainTable other = fixture.Attach(endpoint: 0x20);
        using DomainTable moved = fixture.Attach(domain: 2);
        Assert.Equal(OpResult.Ok, moved.Install(s_pasid, fixture.PageTable.Root, ModelFixture.Asid));
        Assert.Equal(ModelFixture.Target, fixture.Access(s_pasid).Address);

        Assert.Equal(OpResult.Ok, other.ConfigurationChanged(s_pasid, leafOnly: false));
        Assert.Single(fixture.Model.Cached, c => c.Cache == "CD");
        Assert.Single(fixture.Model.Cached, c => c.Cache == "L1CD");
        Assert.Equal(OpResult.Ok, moved.ConfigurationChanged(s_pasid, leafOnly: false));
        Assert.DoesNotContain(fixture.Model.Cached, c => c.Cache is "CD" or "L1CD");
        Assert.Null(fixture.Model.FindStale());
        Assert.Equal(OpResult.Ok, other.RemoveEndpoint(0x20));
        Leave(fixture, moved);
    }

    [Theory]
    [MemberData(nameof(Dialects))]
    public void After_a_reset_a_leaf_is_judged_again_and_an_old_table_is_memory_like_any_other(string dialect)
    {
        using var fixture = new ModelFixture(dialect, order: StoreOrder.Weak);
        ulong root = fixture.Memory.AllocatePages(4096).Value;
        ulong leaf = fixture.Memory.AllocatePages(1 << 16, 1 << 16).Value;
        Assert.Equal(RequestStatus.Ok, fixture.AttachTwoLevels(root));
        fixture.Memory.WriteQword(root, leaf | 1);
        fixture.Memory.StoreBarrier();
        fixture.Restart();

        // As a descriptor it would lead to where no memory is.
        fixture.Memory.WriteQword(root + 8, 0x7000_0000_0001);
        fixture.Memory.WriteQword(root + 8, 0);
        fixture.Memory.WriteQword(root, 0);
        fixture.Memory.StoreBarrier();
        Assert.Empty(fixture.Rules());

        // The same word at the same place, and this time the leaf is on its way.
        Assert.Equal(RequestStatus.Ok, fixture.AttachTwoLevels(root));
        fixture.Memory.WriteQword(leaf + 64, 7);
        fixture.Memory.WriteQword(root, leaf | 1);
        Assert.Equal(["virtio-leaf-order"], fixture.Rules());
    }

    // The first four are rules that no mutant of the driver breaks.
    [Theory]
    [InlineData("none", "virtio-features")]
    [InlineData("none", "virtio-queue-setup")]
    [InlineData("none", "virtio-reserved-region")]
    [InlineData("E", "virtio-stream-entry")]
    [InlineData("none", "virtio-doorbell-idle")]
    [InlineData("none", "virtio-request-length")]
    [InlineData("none", "virtio-unused-field")]
    [InlineData("B", "virtio-unused-field")]
    [InlineData("B", "virtio-device-memory")]
    [InlineData("E", "virtio-device-memory")]
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
                Assert.Equal(
                    RequestStatus.Inval, fixture.Started.Requests.Send([(ulong)RequestType.Detach, 0, 0], 24));
                break;
            case "virtio-unused-field" when dialect == "none":
                Assert.Equal(
                    RequestStatus.Inval, fixture.Started.Requests.Send([(ulong)RequestType.Detach, 1UL << 32, 0], 20));
                break;
            case "virtio-unused-field":
                using (DomainTable unused = fixture.Attach())
                {
                    ulong[] request = Request(fixture.Dialect!, "config");
                    request.AsSpan().Set(ProposalBInvalidate.Id, 1);
                    Assert.Equal(RequestStatus.Ok, fixture.Send(request));
                    Assert.Equal(OpResult.Ok, unused.RemoveEndpoint(ModelFixture.Endpoint));
                }

                break;
            default:
                using (DomainTable attached = fixture.AttachAndInstall(s_pasid))
                {
                    // MAIR 0: every attribute is Device memory.
                    fixture.Memory.WriteQword(Descriptor(fixture, attached, s_pasid) + 24, 0);
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

    [Theory]
    [MemberData(nameof(Dialects))]
    public void A_walk_through_a_new_leaf_is_not_judged_by_what_was_stored_before_the_leaf_was_linked(string dialect)
    {
        using var linked = new ManualResetEventSlim();
        using var told = new ManualResetEventSlim();
        ulong root = 0;
        using var fixture = new ModelFixture(dialect, beforeModel: change =>
        {
            // The thread that links the leaf is held between its store and the model's notice of it.
            if (change.Kind == MemoryEventKind.Store && Volatile.Read(ref root) is not 0 and ulong from
                && change.Address >= from && change.Address < from + 64)
            {
                linked.Set();
                told.Wait();
            }
        });
        using DomainTable table = fixture.Attach();
        Volatile.Write(ref root, fixture.TableRoot);
        OpResult installed = default;
        var thread =
            new Thread(() => installed = table.Install(new Pasid(1), fixture.PageTable.Root, ModelFixture.Asid));
        TranslationResult result;
        thread.Start();
        try
        {
            linked.Wait(TestContext.Current.CancellationToken);
            result = fixture.Access(new Pasid(1));
        }
        finally
        {
            told.Set();
            thread.Join();
        }

        Assert.Equal(ModelFixture.Target, result.Address);
        Assert.Equal(OpResult.Ok, installed);
        Leave(fixture, table);
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

    [Theory]
    [MemberData(nameof(Dialects))]
    public void Accesses_beside_the_driver_reach_the_page_or_nothing(string dialect)
    {
        int rounds = Effort.Of(300);
        using var fixture = new ModelFixture(dialect);
        using DomainTable table = fixture.Attach();
        using var barrier = new Barrier(3);
        var thrown = new Exception?[2];
        int wrong = 0;
        int done = 0;
        Thread[] threads = [.. Enumerable.Range(0, 2).Select(t => new Thread(() => thrown[t] = Record.Exception(() =>
        {
            barrier.SignalAndWait();
            while (Volatile.Read(ref done) == 0)
            {
                TranslationResult result = fixture.Access(s_pasid);
                if (result.Status == TranslationStatus.Translated && result.Address != ModelFixture.Target)
                {
                    Interlocked.Increment(ref wrong);
                }

                if (t == 0)
                {
                    fixture.Model.DropCaches();
                    _ = fixture.Model.Cached.Count;
                }
            }
        })))];
        Array.ForEach(threads, t => t.Start());
        barrier.SignalAndWait();

        try
        {
            for (int round = 0; round < rounds; round++)
            {
                Assert.Equal(OpResult.Ok, table.Install(s_pasid, fixture.PageTable.Root, ModelFixture.Asid));
                Assert.Equal(TranslationStatus.Translated, fixture.Access(s_pasid).Status);
                Assert.Equal(OpResult.Ok, table.Remove(s_pasid, ModelFixture.Asid));
                Assert.Equal(TranslationStatus.Faulted, fixture.Access(s_pasid).Status);
            }
        }
        finally
        {
            Volatile.Write(ref done, 1);
            Array.ForEach(threads, t => t.Join());
        }

        Assert.All(thrown, Assert.Null);
        Assert.Equal(0, wrong);
        Leave(fixture, table);
    }

    private static ulong[] Request(TableDialect dialect, string what)
    {
        var words = new ulong[TableDialect.MaxWords];
        bool isB = dialect is V09Dialect;
        uint domain = what == "other domain" ? 2u : 1;
        uint pasid = what == "other PASID" ? s_neighbour.Value : s_pasid.Value;
        uint id = what == "other id" ? ModelFixture.Asid + 1 : ModelFixture.Asid;
        Span<ulong> request = what switch
        {
            "config" => dialect.EncodeConfiguration(words, domain, pasid, leafOnly: false),
            "page" => dialect.EncodeRange(words, domain, pasid, id, ModelFixture.Page, 1, 12),
            "no page" => dialect.EncodeRange(words, domain, pasid, id, ModelFixture.Page, 0, 12),
            "next page" => dialect.EncodeRange(words, domain, pasid, id, ModelFixture.Page + 0x1000, 1, 12),
            _ => dialect.EncodeTranslations(words, domain, pasid, id),
        };
        if (what == "domain")
        {
            // The number is the same in both.
            request.Set(isB ? ProposalBInvalidate.Scope : ProposalEInvalidate.Scope, ProposalBInvalidate.ScopeDomain);
        }
        else if (what == "no id")
        {
            request.Set(ProposalEInvalidate.Flags, ProposalEInvalidate.FlagPasid);
        }
        else if (what == "both caches")
        {
            request.Set(ProposalEInvalidate.Caches, 3);
        }

        return request.ToArray();
    }

    private static ulong[] Leaf(TableDialect dialect, ulong[] request)
    {
        Field flags = dialect is V09Dialect ? ProposalBInvalidate.Flags : ProposalEInvalidate.Flags;
        Span<ulong> words = request;
        words.Set(flags, words.Get(flags)
            | (dialect is V09Dialect ? ProposalBInvalidate.FlagLeaf : (ulong)ProposalEInvalidate.FlagLeaf));
        return request;
    }

    // The table of a level on the way to the page.
    private static ulong Level(ModelFixture fixture, int level)
    {
        ulong table = fixture.PageTable.Root;
        for (int i = 0; i < level; i++)
        {
            table = fixture.Memory.ReadQword(table
                + ((ModelFixture.Page >> (39 - (9 * i)) & 511) * 8)) & 0x0000_FFFF_FFFF_F000;
        }

        return table;
    }

    private static ulong table_root(ModelFixture fixture)
    {
        ConsumedRequest attach = fixture.Model.Device.TakeLog().Last(r => r.Bytes[0] == 6);
        return WireReader.U64(attach.Bytes, 16) & 0x0000_FFFF_FFFF_FFC0;
    }

    private static ulong Descriptor(ModelFixture fixture, DomainTable table, Pasid pasid)
    {
        Assert.Equal(16, table.PasidBits);
        ulong leaf = fixture.Memory.ReadQword(fixture.TableRoot + ((pasid.Value >> 10) * 8UL)) & ~0xFFFUL;
        return leaf + ((pasid.Value & 1023) * 64UL);
    }

    private static void Leave(ModelFixture fixture, DomainTable table)
    {
        Assert.Empty(fixture.Rules());
        Assert.Equal(OpResult.Ok, table.RemoveEndpoint(ModelFixture.Endpoint));
    }
}
