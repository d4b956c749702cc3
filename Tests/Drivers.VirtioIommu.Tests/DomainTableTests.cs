// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Tests;

/// <summary>What attach, detach, exit and invalidate do to the table, the queue and a device's access, in each
/// dialect.</summary>
public abstract class DomainTableTests : IDisposable
{
    private protected const uint Endpoint = 0x18;
    private const ulong Root = 0x890000000;
    private const uint Asid = 0x2a;
    private static readonly Pasid s_pasid = new(0x1234);
    private readonly string _dialect;
    private readonly Fixture _fixture;

    // Has the endpoint, whose request log is empty.
    private readonly DomainTable _table;

    private protected DomainTableTests(string dialect)
    {
        _dialect = dialect;
        _fixture = Fixture.Start(dialect);
        _table = Attached(_fixture);
    }

    public void Dispose()
    {
        Leave(_table);
        _table.Dispose();
        _fixture.Dispose();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public void An_endpoint_is_probed_and_attached_with_the_tables_parameters()
    {
        using Fixture fixture = Fixture.Start(_dialect);
        using DomainTable table = fixture.CreateTable(domain: 1, pasidBits: 16);

        Assert.Equal(OpResult.Ok, table.AddEndpoint(Endpoint));

        ConsumedRequest[] log = fixture.TakeLog();
        Assert.Equal(2, log.Length);
        Assert.Equal(Vector.All["probe"].Bytes, log[0].Bytes);
        byte[] attach = log[1].Bytes;
        ulong pointer = WireReader.U64(attach, 16);
        if (_dialect == "B")
        {
            byte[] expected = [.. Vector.All["attach_pst_arm"].Bytes[..76]];
            BitConverter.TryWriteBytes(expected.AsSpan(16), pointer);
            Assert.Equal(expected, attach);
        }
        else
        {
            Assert.Equal(124, attach.Length);
            Assert.Equal(
                (6, 1u, Endpoint, 1), (attach[0], WireReader.U32(attach, 4), WireReader.U32(attach, 8), attach[12]));
            Assert.Equal(16UL, pointer >> 59);
            Assert.Equal(2UL, WireReader.U64(attach, 24));
            pointer &= 0x00FF_FFFF_FFFF_FFC0;
        }

        Assert.True(fixture.Memory.IsBacked(pointer, 8));
        Assert.Equal(1, table.Endpoints);
        Assert.Equal(OpResult.Ok, table.RemoveEndpoint(Endpoint));
    }

    [Fact]
    public void D1_an_access_reaches_the_process_exactly_while_the_entry_is_installed()
    {
        Assert.Equal(TranslationStatus.Faulted, Access(s_pasid).Status);

        Assert.Equal(OpResult.Ok, _table.Install(s_pasid, Root, Asid));

        TranslationResult reached = Access(s_pasid);
        Assert.Equal((TranslationStatus.ReachedPageTable, Root), (reached.Status, reached.PageTableRoot));
        Assert.Equal(TranslationStatus.Faulted, Access(new Pasid(0x1235)).Status);
        Assert.Equal(OpResult.Ok, _table.Remove(s_pasid, Asid));
        Assert.Equal(TranslationStatus.Faulted, Access(s_pasid).Status);
    }

    [Fact]
    public void D2_D3_installing_announces_the_path_for_a_new_leaf_and_the_entry_for_an_old_one()
    {

        _table.Install(new Pasid(0x80), Root, 1);
        _table.Install(new Pasid(0x81), Root, 2);

        Invalidation[] sent = Invalidations();
        Assert.Equal(
            [
                new Invalidation(Scope.Pasid, IsConfig: true, Leaf: false, 1, 0x80, 0, 0, 0, 0),
                new Invalidation(Scope.Pasid, IsConfig: true, Leaf: true, 1, 0x81, 0, 0, 0, 0),
            ],
            sent);
        _table.Remove(new Pasid(0x80), 1);
        _table.Remove(new Pasid(0x81), 2);
    }

    [Fact]
    public void D5_removing_invalidates_the_configuration_and_then_the_translations()
    {
        Installed();

        Assert.Equal(OpResult.Ok, _table.Remove(s_pasid, Asid));

        Assert.Equal(
            [
                new Invalidation(Scope.Pasid, IsConfig: true, Leaf: true, 1, s_pasid.Value, 0, 0, 0, 0),
                new Invalidation(Scope.Pasid, IsConfig: false, Leaf: false, 1, s_pasid.Value, Asid, 0, 0, 0),
            ],
            Invalidations());
    }

    [Fact]
    public void D12_of_a_quiet_entry_only_the_entry_goes_and_without_quiet_ones_all_goes_at_the_exit()
    {
        foreach (bool canQuiet in new[] { true, false })
        {
            using Fixture fixture = Fixture.Start(_dialect);
            fixture.Format.CanQuiet = canQuiet;
            using DomainTable table = Attached(fixture);
            table.Install(s_pasid, Root, Asid);
            fixture.TakeLog();

            Assert.Equal(OpResult.Ok, table.Quiet(s_pasid, Asid));
            Assert.Equal([true, false], Invalidations(fixture).Select(i => i.IsConfig));
            Assert.Equal(OpResult.Ok, table.Remove(s_pasid, Asid));
            Assert.Equal(canQuiet ? [true] : [], Invalidations(fixture).Select(i => i.IsConfig));
            Leave(table);
        }
    }

    [Fact]
    public void Detaching_one_device_of_several_sends_nothing_and_keeps_the_entry()
    {
        Installed();

        _table.ReleaseEndpoint(s_pasid, Endpoint);

        Assert.Empty(Invalidations());
        Assert.Equal(TranslationStatus.ReachedPageTable, Access(s_pasid).Status);
    }

    [Fact]
    public void D12_after_exit_an_access_aborts_quietly_until_the_entry_is_cleared()
    {
        Installed();

        Assert.Equal(OpResult.Ok, _table.Quiet(s_pasid, Asid));

        Assert.Equal([true, false], Invalidations().Select(i => i.IsConfig));
        Assert.Equal(TranslationStatus.AbortedQuietly, Access(s_pasid).Status);
        Assert.Equal(0, _fixture.Started.Events.Read(new FaultRecord[1]));
        _table.Remove(s_pasid, Asid);
        Assert.Equal(TranslationStatus.Faulted, Access(s_pasid).Status);
    }

    [Fact]
    public void Faults_that_name_a_PASID_are_drained_before_its_detach_returns()
    {
        _table.Install(s_pasid, Root, Asid);
        Access(s_pasid, 0xFFFF_0000_0000_0000);

        _table.Remove(s_pasid, Asid);

        Assert.Equal(1, _fixture.Started.Faults);
        Assert.Equal(0, _fixture.Started.Events.Read(new FaultRecord[1]));
    }

    [Fact]
    public void A_detach_ends_although_the_device_reports_as_fast_as_its_faults_are_taken()
    {
        _table.Install(s_pasid, Root, Asid);
        int refills = 0;
        void Refill()
        {
            for (int i = 0; i < 64; i++)
            {
                Access(s_pasid, 0xFFFF_0000_0000_0000);
            }
        }

        Refill();
        _fixture.Hardware.AcceptsWrite = (offset, value) =>
        {
            if (offset == MmioRegister.QueueNotify && value == QueueIndex.Event && refills++ < 1000)
            {
                Refill();
            }

            return true;
        };

        Assert.Equal(OpResult.Ok, _table.Remove(s_pasid, Asid));

        Assert.InRange(refills, 1, 2);
        _fixture.Hardware.AcceptsWrite = (_, _) => true;
    }

    [Fact]
    public void D7_the_last_PASID_of_the_width_works_and_the_next_is_refused()
    {
        foreach (int bits in new[] { 1, 6, 7, 8, 16, 20 })
        {
            using Fixture fixture = Fixture.Start(_dialect);
            using DomainTable table = Attached(fixture, bits);
            var last = new Pasid((1u << bits) - 1);

            Assert.Equal(OpResult.Ok, table.Install(last, Root, Asid));
            Assert.Equal(Root, Access(fixture, last).PageTableRoot);
            if (bits < 20)
            {
                var beyond = new Pasid(1u << bits);
                Assert.Equal(Errno.EINVAL, table.Install(beyond, Root, Asid).Errno);
                Assert.Equal((int)FaultReason.Domain, Access(fixture, beyond).FaultCode);
            }

            table.Remove(last, Asid);
            Leave(table);
        }
    }

    [Fact]
    public void D9_an_endpoint_with_narrower_PASIDs_is_EINVAL_and_one_without_is_EOPNOTSUPP()
    {
        using Fixture narrow = Fixture.Start(_dialect, pasidBits: 8);
        using DomainTable wide = narrow.CreateTable(pasidBits: 9);
        using DomainTable fits = narrow.CreateTable(2, pasidBits: 8);
        narrow.TakeLog();

        Refused(Errno.EINVAL, "8 bits", wide.AddEndpoint(Endpoint));
        Assert.Equal(0, wide.Endpoints);
        Assert.DoesNotContain(narrow.TakeLog(), r => r.Bytes[0] == 6);
        Assert.Equal(OpResult.Ok, fits.AddEndpoint(Endpoint));
        fits.RemoveEndpoint(Endpoint);

        using Fixture none = Fixture.Start(_dialect, pasidBits: 0);
        using DomainTable table = none.CreateTable(pasidBits: 1);
        if (_dialect == "B")
        {
            Assert.Equal(Errno.EOPNOTSUPP, table.AddEndpoint(Endpoint).Errno);
        }
        else
        {
            // Proposal E need not name a width; then the device itself refuses the table.
            Assert.Equal(Errno.ERANGE, table.AddEndpoint(Endpoint).Errno);
        }
    }

    [Fact]
    public void An_endpoint_that_does_not_exist_is_ENOENT_and_counts_for_nothing()
    {
        using Fixture fixture = Fixture.Start(_dialect, endpoints: "0x20");
        using DomainTable table = fixture.CreateTable();

        Assert.Equal(Errno.ENOENT, table.AddEndpoint(Endpoint).Errno);
        Assert.Equal(0, table.Endpoints);
    }

    [Fact]
    public void Without_an_endpoint_nothing_is_sent_since_nothing_can_be_cached()
    {
        using Fixture fixture = Fixture.Start(_dialect);
        using DomainTable table = fixture.CreateTable();

        Assert.Equal(OpResult.Ok, table.Install(s_pasid, Root, Asid));
        Assert.Equal(OpResult.Ok, table.Invalidate(s_pasid, Asid, 0, 0x1000));
        Assert.Equal(OpResult.Ok, table.Remove(s_pasid, Asid));

        Assert.Empty(fixture.TakeLog());
    }

    [Fact]
    public void D8_a_leaf_that_cannot_be_allocated_changes_nothing()
    {
        _table.Install(new Pasid(1), Root, 1);
        _fixture.TakeLog();
        _fixture.Memory.FailAllocation = 1;

        Assert.Equal(Errno.ENOMEM, _table.Install(s_pasid, Root, Asid).Errno);

        Assert.Empty(_fixture.TakeLog());
        Assert.Equal(Root, Access(new Pasid(1)).PageTableRoot);
        _fixture.Memory.FailAllocation = 0;
        Assert.Equal(OpResult.Ok, _table.Install(s_pasid, Root, Asid));
        _table.Remove(s_pasid, Asid);
        _table.Remove(new Pasid(1), 1);
    }

    [Fact]
    public void D13_a_failure_at_any_allocation_is_ENOMEM_and_memory_returns_to_the_baseline()
    {
        for (int failing = 0; ; failing++)
        {
            using Fixture fixture = Fixture.Start(_dialect);
            long baseline = fixture.Memory.AllocatedBytes;
            fixture.Memory.FailAllocation = failing + 1;

            OpResult result = WholeLife(fixture);

            Assert.Equal(baseline, fixture.Memory.AllocatedBytes);
            Assert.Equal(0, fixture.Hardware.Device.DomainCount);
            if (result.IsOk)
            {
                Assert.Equal(3, failing);
                break;
            }

            Assert.Equal(Errno.ENOMEM, result.Errno);
        }
    }

    [Fact]
    public void D10_a_second_endpoint_that_is_refused_leaves_the_first_working()
    {
        using Fixture fixture = Fixture.Start(_dialect, endpoints: "0x18");
        using DomainTable table = Attached(fixture);
        table.Install(s_pasid, Root, Asid);

        Assert.Equal(Errno.ENOENT, table.AddEndpoint(0x19).Errno);

        Assert.Equal(1, table.Endpoints);
        Assert.Equal(Root, Access(fixture, s_pasid).PageTableRoot);
        table.Remove(s_pasid, Asid);
        Leave(table);
    }

    [Fact]
    public void A_table_that_the_device_may_still_walk_is_freed_only_after_the_reset()
    {
        VirtioIommuUnit unit = Fixture.StartUnit(_dialect, out TestHardware hardware);
        DomainTable table = unit.AddDomain(1, 16).Value!;
        UnitDevice device = unit.AddDevice(table, new RequesterId(Endpoint), DeviceFeatures.None).Value!;
        hardware.Deafen();

        Assert.Equal(Errno.ETIMEDOUT, unit.RemoveDevice(table, device).Errno);
        long before = hardware.TestMemory.AllocatedBytes;
        unit.RemoveDomain(table);

        Assert.Equal(before, hardware.TestMemory.AllocatedBytes);
        unit.Dispose();
        Assert.Equal(0, hardware.TestMemory.AllocatedBytes);
    }

    [Fact]
    public void A_table_whose_attach_was_never_answered_is_freed_only_after_the_reset()
    {
        VirtioIommuUnit unit = Fixture.StartUnit(_dialect, out TestHardware hardware);
        DomainTable table = unit.AddDomain(1, 16).Value!;
        int notifies = 0;
        hardware.AcceptsWrite = (offset, _) => offset != MmioRegister.QueueNotify || notifies++ == 0;

        Assert.Equal(Errno.ETIMEDOUT, unit.AddDevice(table, new RequesterId(Endpoint), DeviceFeatures.None).Errno);
        long before = hardware.TestMemory.AllocatedBytes;
        unit.RemoveDomain(table);

        Assert.Equal(before, hardware.TestMemory.AllocatedBytes);
        unit.Dispose();
        Assert.Equal(0, hardware.TestMemory.AllocatedBytes);
    }

    [Fact]
    public void An_invalidation_that_is_not_answered_is_ETIMEDOUT()
    {
        _table.Install(s_pasid, Root, Asid);
        _fixture.Hardware.Deafen();

        Assert.Equal(Errno.ETIMEDOUT, _table.Invalidate(s_pasid, Asid, 0x1000, 0x2000).Errno);
        Assert.Equal(Errno.ETIMEDOUT, _table.Quiet(s_pasid, Asid).Errno);
        Assert.Equal(Errno.ETIMEDOUT, _table.Remove(s_pasid, Asid).Errno);
        _fixture.Hardware.Wake();
    }

    [Fact]
    public void An_empty_range_sends_nothing_and_a_wrapping_one_the_whole_PASID()
    {
        Installed();

        Assert.Equal(OpResult.Ok, _table.Invalidate(s_pasid, Asid, 0x1000, 0x1000));
        Assert.Empty(_fixture.TakeLog());
        Assert.Equal(OpResult.Ok, _table.Invalidate(s_pasid, Asid, 0x2000, 0x1000));
        Assert.Equal(OpResult.Ok, _table.Invalidate(s_pasid, Asid, 0, 0));

        var whole = new Invalidation(Scope.Pasid, IsConfig: false, Leaf: false, 1, s_pasid.Value, Asid, 0, 0, 0);
        Assert.Equal([whole, whole], Invalidations());
    }

    [Fact]
    public void Domains_work_side_by_side_on_one_queue()
    {
        using Fixture fixture = Fixture.Start(_dialect);
        const int Domains = 2;
        const int Rounds = 400;
        DomainTable[] tables = [.. Enumerable.Range(1, Domains).Select(d => fixture.CreateTable((uint)d, 12))];

        Race.Run(Domains, (d, barrier) =>
        {
            var endpoint = (uint)(0x10 + d);
            barrier.SignalAndWait();
            for (int i = 0; i < Rounds; i++)
            {
                var pasid = new Pasid((uint)(1 + (i * 37 % 4095)));
                ulong root = 0x1000UL * (ulong)((d * Rounds) + i + 1);
                Assert.Equal(OpResult.Ok, tables[d].AddEndpoint(endpoint));
                Assert.Equal(OpResult.Ok, tables[d].Install(pasid, root, (uint)(d + 1)));
                Assert.Equal(OpResult.Ok, tables[d].Invalidate(pasid, (uint)(d + 1), 0x1000, 0x9000));
                Assert.Equal(
                    root,
                    fixture.Hardware.Translate(
                        new DmaAccess(new RequesterId(endpoint), pasid, 0x1000, false)).PageTableRoot);
                Assert.Equal(OpResult.Ok, tables[d].Remove(pasid, (uint)(d + 1)));
                Assert.Equal(OpResult.Ok, tables[d].RemoveEndpoint(endpoint));
            }
        });

        Array.ForEach(tables, t => t.Dispose());
        Assert.Equal(0, fixture.Hardware.Device.DomainCount);
    }

    [Fact]
    public void Requests_without_a_PASID_use_context_descriptor_0()
    {
        _table.Install(new Pasid(0), Root, Asid);

        Assert.Equal(
            Root,
            _fixture.Hardware.Translate(new DmaAccess(new RequesterId(Endpoint), null, 0x1000, false)).PageTableRoot);
        Assert.Equal(TranslationStatus.Faulted, Access(new Pasid(0)).Status);
        _table.Remove(new Pasid(0), Asid);
    }

    [Fact]
    public void The_device_checks_invalidations()
    {
        string range = _dialect == "B" ? "b_inv_range" : "e_inv_range";

        Assert.Equal(RequestStatus.Ok, Change());
        Assert.Equal(RequestStatus.Inval, Change((59, 1)));
        Assert.Equal(RequestStatus.Inval, Change((4, 0x77)));
        Assert.Equal(RequestStatus.Inval, Change((7, 0x80)));
        Assert.Equal(RequestStatus.NoEnt, Change((8, 9)));
        Assert.Equal(RequestStatus.Range, Change((15, 1)));
        Assert.Equal(RequestStatus.Range, Change((24, 1)));
        Assert.Equal(RequestStatus.Inval, Change((40, 13)));
        Assert.Equal(RequestStatus.Inval, Change((40, 255)));

        RequestStatus Change(params (int At, byte Value)[] changes)
        {
            byte[] request = [.. Vector.All[range].Bytes];
            request[14] = 0;
            foreach ((int at, byte value) in changes)
            {
                request[at] = value;
            }

            return _fixture.Send(request, 60);
        }
    }

    private static OpResult WholeLife(Fixture fixture)
    {
        OpResult<DomainTable> created = DomainTable.Create(fixture.Started, fixture.Format, 1, 16);
        if (!created.IsOk)
        {
            return created.Outcome;
        }

        using DomainTable table = created.Value;
        OpResult added = table.AddEndpoint(Endpoint);
        if (!added.IsOk)
        {
            return added;
        }

        OpResult installed = table.Install(s_pasid, Root, Asid);
        if (installed.IsOk)
        {
            Assert.Equal(OpResult.Ok, table.Remove(s_pasid, Asid));
        }

        Leave(table);
        return installed;
    }

    private static DomainTable Attached(Fixture fixture, int pasidBits = 16)
    {
        DomainTable table = fixture.CreateTable(1, pasidBits);
        Assert.Equal(OpResult.Ok, table.AddEndpoint(Endpoint));
        fixture.TakeLog();
        return table;
    }

    private static void Leave(DomainTable table) => Assert.Equal(OpResult.Ok, table.RemoveEndpoint(Endpoint));

    private void Installed()
    {
        _table.Install(s_pasid, Root, Asid);
        _fixture.TakeLog();
    }

    private TranslationResult Access(Pasid pasid, ulong address = 0x1000) => Access(_fixture, pasid, address);

    private static TranslationResult Access(Fixture fixture, Pasid pasid, ulong address = 0x1000) =>
        fixture.Hardware.Translate(new DmaAccess(new RequesterId(Endpoint), pasid, address, false));

    private Invalidation[] Invalidations() => Invalidations(_fixture);

    private static Invalidation[] Invalidations(Fixture fixture) =>
        [.. fixture.TakeLog().Where(r => r.Bytes[0] == 7)
            .Select(r => WireReader.ReadInvalidation(fixture.Dialect, r.Bytes))];
}

public sealed class DomainTableTestsOfE() : DomainTableTests("E");

public sealed class DomainTableTestsOfB() : DomainTableTests("B")
{
    [Theory]
    [InlineData("S1Fmt"), InlineData("S1ContextPtr"), InlineData("S1CDMax"), InlineData("S1DSS"), InlineData("STE0")]
    [InlineData("STE1")]
    public void A_format_that_names_no_parameter_is_refused_by_its_name(string parameter)
    {
        using Fixture fixture = Fixture.Start("B");
        fixture.Format.MissingParameter = parameter;
        long before = fixture.Memory.AllocatedBytes;

        Refused(Errno.EINVAL, parameter, DomainTable.Create(fixture.Started, fixture.Format, 1, 8));
        Assert.Equal(before, fixture.Memory.AllocatedBytes);
    }

    [Theory]
    [InlineData("B", 12, 3, RequestStatus.Unsupp), InlineData("B", 14, 3, RequestStatus.Inval)]
    [InlineData("B", 15, 3, RequestStatus.Inval), InlineData("B", 16, 0x20, RequestStatus.Inval)]
    [InlineData("B", 24, 21, RequestStatus.Range), InlineData("B", 75, 1, RequestStatus.Inval)]
    [InlineData("E", 12, 2, RequestStatus.Unsupp), InlineData("E", 13, 1, RequestStatus.Inval)]
    [InlineData("E", 16, 0x1a, RequestStatus.Inval), InlineData("E", 16, 0x3b, RequestStatus.Inval)]
    [InlineData("E", 24, 0xd7, RequestStatus.Inval), InlineData("E", 23, 0xa8, RequestStatus.Range)]
    [InlineData("E", 123, 1, RequestStatus.Inval)]
    public void The_device_checks_the_attach_of_a_table(string dialect, int at, byte value, object expected)
    {
        using Fixture fixture = Fixture.Start(dialect);
        byte[] request = [.. Vector.All[dialect == "B" ? "attach_pst_arm" : "e_attach"].Bytes];
        Assert.Equal(RequestStatus.Ok, fixture.Send(request, request.Length - 4));
        Assert.Equal(OpResult.Ok, fixture.Started.Standard.Detach(1, Endpoint));

        request[at] = value;

        Assert.Equal(expected, fixture.Send(request, request.Length - 4));
        Assert.Equal(0, fixture.Hardware.Device.DomainCount);
    }
}
