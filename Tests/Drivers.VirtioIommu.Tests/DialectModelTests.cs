// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Tests;

public sealed class ModelTestsOfB() : DialectModelTests("B");

public sealed class ModelTestsOfE() : DialectModelTests("E");

/// <summary>The strict model in each dialect of tables: what it keeps and what drops it.</summary>
public abstract class DialectModelTests : IDisposable
{
    private static readonly Pasid s_pasid = ModelFixture.Pasid;
    private static readonly Pasid s_neighbour = ModelFixture.Neighbour;
    private readonly string _dialect;
    private readonly ModelFixture _fixture;

    // The endpoint's, with the PASID installed. Who takes the endpoint away judges the complaints itself.
    private readonly DomainTable _table;

    private protected DialectModelTests(string dialect)
    {
        _dialect = dialect;
        _fixture = new ModelFixture(dialect);
        _table = _fixture.AttachAndInstall(s_pasid);
    }

    public void Dispose()
    {
        if (_table.Endpoints > 0)
        {
            _fixture.Leave(_table);
        }

        _table.Dispose();
        _fixture.Dispose();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public void An_access_reaches_the_page_and_the_offset_in_it()
    {

        TranslationResult result = _fixture.Access(s_pasid, ModelFixture.Page + 0x123, isWrite: true);

        Assert.Equal(
            new TranslationResult(TranslationStatus.Translated, ModelFixture.Target + 0x123, _fixture.PageTable.Root, 0,
                null),
            result);
        Assert.Equal(
            ["CD", "L1CD", "TLB", "walk cache"], _fixture.Model.Cached.Select(c => c.Cache).Distinct().Order());
    }

    [Fact]
    public void A_read_only_page_faults_for_a_write_and_an_unmapped_one_for_both()
    {
        _fixture.PageTable.Map(ModelFixture.Page + 0x1000, 0x9000, writable: false);

        Assert.Equal(0x9000UL, _fixture.Access(s_pasid, ModelFixture.Page + 0x1000).Address);
        TranslationResult write = _fixture.Access(s_pasid, ModelFixture.Page + 0x1000, isWrite: true);
        Assert.Equal((TranslationStatus.Faulted, (int)FaultReason.Mapping), (write.Status, write.FaultCode));
        Assert.Equal((int)FaultReason.Mapping, _fixture.Access(s_pasid, ModelFixture.Page + 0x2000).FaultCode);
        Assert.Equal((int)FaultReason.Mapping, _fixture.Access(s_pasid, 1UL << 48).FaultCode);
        Assert.Equal((int)FaultReason.Domain, _fixture.Access(s_neighbour).FaultCode);
    }

    [Fact]
    public void The_reader_finds_the_table_of_an_endpoint_by_what_the_model_tells()
    {
        using var fixture = new ModelFixture(_dialect);
        var requester = new RequesterId(ModelFixture.Endpoint);
        Assert.Empty(fixture.Model.TableRoots(requester));
        using DomainTable table = fixture.AttachAndInstall(s_pasid);

        OpResult<ITableView> view =
            new VirtioTableReader { ArmSmmuV3Reader = new ArmSmmu.Reader.SmmuTableReader() }.Open(fixture.Memory,
                fixture.Model.TableRoots(requester));

        Assert.True(view.IsOk, view.ToString());
        Assert.Equal(s_pasid, Assert.Single(view.Value!.Items(), i => i.Kind == TableItemKind.Pasid).Pasid);
        Assert.Empty(fixture.Model.TableRoots(new RequesterId(ModelFixture.Endpoint + 1)));
        fixture.Leave(table);
        Assert.Empty(fixture.Model.TableRoots(requester));
    }

    [Fact]
    public void D12_a_quiet_entry_aborts_without_an_event()
    {
        _fixture.Access(s_pasid);

        Assert.Equal(OpResult.Ok, _table.Quiet(s_pasid, ModelFixture.Asid));

        Assert.Equal(TranslationStatus.AbortedQuietly, _fixture.Access(s_pasid).Status);
        Assert.Equal(0, _fixture.Started.Events.Read(new FaultRecord[1]));
        Assert.Equal(OpResult.Ok, _table.Remove(s_pasid, ModelFixture.Asid));
        Assert.Equal(TranslationStatus.Faulted, _fixture.Access(s_pasid).Status);
    }

    [Fact]
    public void A_leaf_invalidation_keeps_the_tables_on_the_way_and_a_full_one_does_not()
    {
        _fixture.Access(s_pasid);
        ulong leaf = _fixture.Level(3);
        ulong moved = _fixture.Memory.AllocatePages(4096).Value;
        _fixture.Memory.WriteQword(moved + 0x145 * 8, 0x9000 | 0xF43);
        _fixture.Memory.WriteQword(_fixture.Level(2) + 0x91 * 8, moved | 3);
        Assert.NotEqual(moved, leaf);

        Assert.Equal(RequestStatus.Ok, _fixture.Send(_fixture.Leaf(_fixture.Request("right"))));
        Assert.Equal(ModelFixture.Target, _fixture.Access(s_pasid).Address);
        Assert.Equal(RequestStatus.Ok, _fixture.Send(_fixture.Request("right")));
        Assert.Equal(0x9000UL, _fixture.Access(s_pasid).Address);

        _fixture.Memory.WriteQword(_fixture.Level(2) + 0x91 * 8, leaf | 3);
        _fixture.Memory.FreePages(moved, 4096);
    }

    [Fact]
    public void A_descriptor_is_stale_until_its_own_PASID_is_named_for_the_configuration()
    {
        _fixture.Access(s_pasid);
        ulong descriptor = _fixture.Descriptor(_table, s_pasid);
        ulong word = _fixture.Memory.ReadQword(descriptor);
        _fixture.Memory.WriteQword(descriptor, 0);

        Assert.Equal(TranslationStatus.Translated, _fixture.Access(s_pasid).Status);
        Assert.Equal(OpResult.Ok, _table.TranslationsChanged(s_pasid, ModelFixture.Asid));
        Assert.Equal(TranslationStatus.Translated, _fixture.Access(s_pasid).Status);
        Assert.Equal(OpResult.Ok, _table.ConfigurationChanged(s_neighbour, leafOnly: true));
        Assert.Equal(TranslationStatus.Translated, _fixture.Access(s_pasid).Status);
        Assert.Equal(OpResult.Ok, _table.ConfigurationChanged(s_pasid, leafOnly: true));
        Assert.Equal(TranslationStatus.Faulted, _fixture.Access(s_pasid).Status);

        // An invalid one is kept as well.
        _fixture.Memory.WriteQword(descriptor, word);
        Assert.Equal(TranslationStatus.Faulted, _fixture.Access(s_pasid).Status);
        Assert.Equal(OpResult.Ok, _table.ConfigurationChanged(s_pasid, leafOnly: true));
        Assert.Equal(TranslationStatus.Translated, _fixture.Access(s_pasid).Status);
    }

    [Fact]
    public void An_invalid_level_1_descriptor_is_kept_until_the_path_is_named()
    {
        ulong level1 = _fixture.TableRoot + (s_pasid.Value >> 10) * 8;
        ulong word = _fixture.Memory.ReadQword(level1);
        _fixture.Memory.WriteQword(level1, 0);
        _fixture.Model.DropCaches();
        Assert.Equal(TranslationStatus.Faulted, _fixture.Access(s_pasid).Status);
        _fixture.Memory.WriteQword(level1, word);

        Assert.Equal(OpResult.Ok, _table.ConfigurationChanged(s_pasid, leafOnly: true));
        Assert.Equal(TranslationStatus.Faulted, _fixture.Access(s_pasid).Status);
        Assert.Equal(OpResult.Ok, _table.ConfigurationChanged(s_pasid, leafOnly: false));
        Assert.Equal(TranslationStatus.Translated, _fixture.Access(s_pasid).Status);
    }

    [Fact]
    public void Detaching_drops_the_endpoints_entries_and_the_last_one_the_domains_translations()
    {
        Assert.Equal(OpResult.Ok, _table.AddEndpoint(0x20));
        _fixture.Access(s_pasid);
        _fixture.Access(s_pasid, endpoint: 0x20);
        Assert.Equal(2, _fixture.Model.Cached.Count(c => c.Cache == "CD"));

        Assert.Equal(OpResult.Ok, _table.RemoveEndpoint(0x20));
        Assert.Single(_fixture.Model.Cached, c => c.Cache == "CD");
        Assert.Contains(_fixture.Model.Cached, c => c.Cache == "TLB");
        Assert.Equal(TranslationStatus.Faulted, _fixture.Access(s_pasid, endpoint: 0x20).Status);
        Assert.Equal(OpResult.Ok, _table.RemoveEndpoint(ModelFixture.Endpoint));
        Assert.Empty(_fixture.Model.Cached);
        Assert.Empty(_fixture.Rules());
    }

    [Fact]
    public void An_invalidation_acts_when_it_is_answered_and_not_before()
    {
        _fixture.Access(s_pasid);
        _fixture.PageTable.Map(ModelFixture.Page, 0x9000, writable: true);
        _fixture.Model.Device.IsSlow = true;

        // The driver gives up; the request stays with the device.
        Assert.Equal(Errno.ETIMEDOUT, _table.TranslationsChanged(s_pasid, ModelFixture.Asid).Errno);

        Assert.Equal(ModelFixture.Target, _fixture.Access(s_pasid).Address);
        _fixture.Model.Device.Work();
        Assert.Equal(0x9000UL, _fixture.Access(s_pasid).Address);
        _fixture.Model.Device.IsSlow = false;
    }

    [Fact]
    public void A_driver_that_frees_before_the_answer_is_caught_by_a_stray_read()
    {
        _fixture.Access(s_pasid);
        _fixture.Model.Device.IsSlow = true;
        _ = _table.Remove(s_pasid, ModelFixture.Asid);
        _fixture.PageTable.Dispose();

        _fixture.Access(s_pasid, ModelFixture.Page + 0x1000);

        Assert.Contains("virtio-stray-read", _fixture.Rules());
        Assert.Contains(_fixture.Memory.StrayReads, s => s.WasFreed);
        _fixture.Model.Device.IsSlow = false;
        _fixture.Model.Device.Work();
        Assert.Equal(OpResult.Ok, _table.RemoveEndpoint(ModelFixture.Endpoint));
    }

    [Fact]
    public void D2_storing_the_valid_word_first_is_a_complaint()
    {
        ulong from = _fixture.Descriptor(_table, s_pasid);
        ulong to = _fixture.Descriptor(_table, s_neighbour);
        Assert.Equal(OpResult.Ok, _table.ConfigurationChanged(s_neighbour, leafOnly: true));
        Assert.Empty(_fixture.Rules());
        for (int i = 0; i < 8; i++)
        {
            _fixture.Memory.WriteQword(to + (ulong)(i * 8), _fixture.Memory.ReadQword(from + (ulong)(i * 8)));
        }

        Assert.Equal(OpResult.Ok, _table.ConfigurationChanged(s_neighbour, leafOnly: true));

        Assert.Equal(["virtio-torn-descriptor"], _fixture.Rules());
        Assert.Equal(OpResult.Ok, _table.RemoveEndpoint(ModelFixture.Endpoint));
    }

    [Fact]
    public void After_a_reset_an_endpoint_belongs_to_its_new_domain_alone()
    {
        using var fixture = new ModelFixture(_dialect);
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
        fixture.Leave(moved);
    }

    [Fact]
    public void After_a_reset_a_leaf_is_judged_again_and_an_old_table_is_memory_like_any_other()
    {
        using var fixture = new ModelFixture(_dialect, order: StoreOrder.Weak);
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

    [Fact]
    public void A_walk_through_a_new_leaf_is_not_judged_by_what_was_stored_before_the_leaf_was_linked()
    {
        using var linked = new ManualResetEventSlim();
        using var notified = new ManualResetEventSlim();
        ulong root = 0;
        using var fixture = new ModelFixture(_dialect, beforeModel: change =>
        {
            // The thread that links the leaf is held between its store and the model's notice of it.
            if (change.Kind == MemoryEventKind.Store && Volatile.Read(ref root) is not 0 and ulong from
                && change.Address >= from && change.Address < from + 64)
            {
                linked.Set();
                notified.Wait();
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
            notified.Set();
            thread.Join();
        }

        Assert.Equal(ModelFixture.Target, result.Address);
        Assert.Equal(OpResult.Ok, installed);
        fixture.Leave(table);
    }

    [Fact]
    public void Accesses_beside_the_driver_reach_the_page_or_nothing()
    {
        int rounds = Effort.Of(300);
        using var fixture = new ModelFixture(_dialect);
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
        fixture.Leave(table);
    }
}
