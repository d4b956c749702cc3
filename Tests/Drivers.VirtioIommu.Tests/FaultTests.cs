// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Tests;

/// <summary>What the driver makes of the device's fault reports, and what detach and exit do with them.</summary>
public sealed class FaultTests
{
    private const uint Other = 0x20;
    private const int Buffers = 16;
    private static readonly Pasid s_pasid = new(0x1234);
    private static readonly Pasid s_next = new(0x1235);
    private readonly List<IommuFault> _faults = [];

    public static TheoryData<string, bool> Machines => new()
    {
        { "B", true }, { "B", false }, { "E", true }, { "E", false },
    };

    [Theory]
    [MemberData(nameof(Machines))]
    public void A_fault_names_endpoint_address_direction_reason_and_the_PASID_where_the_dialect_has_it(
        string dialect, bool coherent)
    {
        using var fixture = new ModelFixture(dialect, coherent, coherent ? StoreOrder.Immediate : StoreOrder.Weak);
        using DomainTable table = fixture.AttachAndInstall(s_pasid);
        Pasid? named = dialect == "B" ? s_pasid : null;
        Pasid? next = dialect == "B" ? s_next : null;

        fixture.Access(s_pasid, ModelFixture.Page + 0x1678, isWrite: true);
        fixture.Access(s_next, ModelFixture.Page);
        fixture.Access(null, 0x9abc, endpoint: Other);

        Assert.Equal(OpResult.Ok, fixture.Started.TakeFaults(_faults));
        Assert.Equal(
            [
                (ModelFixture.Endpoint, named, ModelFixture.Page + 0x1678, true, 2),
                (ModelFixture.Endpoint, next, ModelFixture.Page, false, 1),
                (Other, null, 0x9abcUL, false, 1),
            ],
            _faults.Select(f => (f.Requester!.Value.Value, f.Pasid, f.Address!.Value, f.IsWrite!.Value, f.Code)));
        Assert.StartsWith("MAPPING: ", _faults[0].Reason);
        Assert.StartsWith("DOMAIN: ", _faults[1].Reason);
        Assert.Equal(
            [0x102_0000_0002UL, ModelFixture.Endpoint | ((ulong)(named?.Value ?? 0) << 32), ModelFixture.Page + 0x1678],
            _faults[0].Words);
        Assert.Empty(fixture.Model.Violations);
        Leave(fixture, table, s_pasid);
    }

    [Theory]
    [InlineData(0x0000_0001_0000_0000UL, null, false, "UNKNOWN: ")] // READ
    [InlineData(0x0000_0102_0000_0000UL, 0x7000UL, true, "UNKNOWN: ")]
    [InlineData(0x0000_0103_0000_0001UL, 0x7000UL, true, "DOMAIN: ")] // READ and WRITE
    [InlineData(0x0000_0100_0000_0002UL, 0x7000UL, null, "MAPPING: ")]
    [InlineData(0x0000_0100_0000_0009UL, 0x7000UL, null, "reason 9, which the standard does not define")]
    public void A_record_says_what_its_flags_say(ulong head, ulong? address, bool? isWrite, string reason)
    {
        IommuFault fault = new FaultRecord(head, 0x1234_0000_0018, 0x7000).Decode(hasPasid: false);

        Assert.Equal(
            (new RequesterId(0x18), null, address, isWrite, (int)(head & 0xFF)),
            (fault.Requester, fault.Pasid, fault.Address, fault.IsWrite, fault.Code));
        Assert.StartsWith(reason, fault.Reason);
        Assert.Equal(new Pasid(0x1234), new FaultRecord(head, 0x1234_0000_0018, 0).Decode(hasPasid: true).Pasid);
        Assert.Null(new FaultRecord(head, 0xFFFF_FFFF_0000_0018, 0).Decode(hasPasid: true).Pasid);
    }

    [Theory]
    [MemberData(nameof(Machines))]
    public void Faults_are_taken_once_and_oldest_first_through_many_wraps_of_the_queue(string dialect, bool coherent)
    {
        using var fixture = new ModelFixture(dialect, coherent, coherent ? StoreOrder.Immediate : StoreOrder.Weak);
        using DomainTable table = fixture.AttachAndInstall(s_pasid);
        var expected = new List<ulong>();
        for (int round = 0; round < 60; round++)
        {
            for (int i = 0; i < (round % Buffers) + 1; i++)
            {
                expected.Add((ulong)expected.Count << 12);
                fixture.Access(s_pasid, expected[^1]);
            }

            Assert.Equal(OpResult.Ok, fixture.Started.TakeFaults(_faults));
            Assert.Equal(OpResult.Ok, fixture.Started.TakeFaults(_faults));
        }

        Assert.Equal(expected, _faults.Select(f => f.Address!.Value));
        Assert.Equal(0, fixture.Model.Device.DroppedEvents);
        Assert.Empty(fixture.Model.Violations);
        Leave(fixture, table, s_pasid);
    }

    [Theory]
    [InlineData("B", true), InlineData("B", false), InlineData("E", true), InlineData("E", false)]
    public void F5_detach_and_exit_forget_the_leaving_PASIDs_faults_and_no_others(string dialect, bool exit)
    {
        using var fixture = new ModelFixture(dialect);
        using DomainTable table = fixture.AttachAndInstall(s_pasid);
        using DomainTable elsewhere = fixture.Attach(domain: 2, endpoint: Other);
        fixture.Access(s_pasid, 0x1000); // its own
        fixture.Access(s_next, 0x2000);
        fixture.Access(s_pasid, 0x3000, endpoint: Other); // the same number means another process there

        OpResult done = exit ? table.Quiet(s_pasid, ModelFixture.Asid) : table.Remove(s_pasid, ModelFixture.Asid);

        Assert.Equal(OpResult.Ok, done);
        Assert.Equal(3, fixture.Started.Faults);
        fixture.Access(s_next, 0x4000);
        Assert.Equal(OpResult.Ok, fixture.Started.TakeFaults(_faults));
        ulong[] others = [0x2000, 0x3000, 0x4000];

        // A record without a PASID may be anybody's, so it is kept.
        Assert.Equal(dialect == "B" ? others : [0x1000, .. others], _faults.Select(f => f.Address!.Value));
        Assert.Equal(OpResult.Ok, elsewhere.RemoveEndpoint(Other));
        Leave(fixture, table, exit ? s_pasid : null);
    }

    [Fact]
    public void F5_one_device_that_leaves_a_process_takes_only_its_own_faults_along()
    {
        using var fixture = new ModelFixture("B");
        using DomainTable table = fixture.AttachAndInstall(s_pasid);
        Assert.Equal(OpResult.Ok, table.AddEndpoint(Other));
        fixture.Access(s_pasid, 0x1000);
        fixture.Access(s_pasid, 0x2000, endpoint: Other);

        table.ReleaseEndpoint(s_pasid, Other);

        Assert.Equal(OpResult.Ok, fixture.Started.TakeFaults(_faults));
        Assert.Equal([0x1000UL], _faults.Select(f => f.Address!.Value));
        Assert.Equal(OpResult.Ok, table.RemoveEndpoint(Other));
        Leave(fixture, table, s_pasid);
    }

    [Fact]
    public void F5_a_fault_that_an_earlier_detach_kept_is_forgotten_when_its_own_process_leaves()
    {
        using var fixture = new ModelFixture("B");
        using DomainTable table = fixture.AttachAndInstall(s_pasid);
        Assert.Equal(OpResult.Ok, table.Install(s_next, fixture.PageTable.Root, ModelFixture.Asid + 1));
        fixture.Access(s_next, 0x2000);

        Assert.Equal(OpResult.Ok, table.Remove(s_pasid, ModelFixture.Asid));
        Assert.Equal(OpResult.Ok, table.Remove(s_next, ModelFixture.Asid + 1));

        Assert.Equal(OpResult.Ok, fixture.Started.TakeFaults(_faults));
        Assert.Empty(_faults);
        Leave(fixture, table, null);
    }

    [Fact]
    public void Faults_beyond_what_is_kept_are_reported_as_lost_once()
    {
        using var fixture = new ModelFixture("B");
        using DomainTable table = fixture.AttachAndInstall(s_pasid);
        int made = 0;
        while (made < StartedDevice.MaxKeptFaults + 32)
        {
            for (int i = 0; i < Buffers; i++)
            {
                fixture.Access(s_next, (ulong)++made << 12);
            }

            table.ReleaseEndpoint(s_pasid, ModelFixture.Endpoint);
        }

        Refused(Errno.EOVERFLOW, "256 faults", fixture.Started.TakeFaults(_faults));
        Assert.Equal(
            Enumerable.Range(1, StartedDevice.MaxKeptFaults).Select(i => (ulong)i << 12),
            _faults.Select(f => f.Address!.Value));
        Assert.Equal(OpResult.Ok, fixture.Started.TakeFaults(_faults));
        Leave(fixture, table, s_pasid);
    }

    [Fact]
    public void An_impossible_used_ring_is_told_and_not_followed()
    {
        using var fixture = new ModelFixture("B");
        fixture.Memory.WriteDword(fixture.Started.Events.Ring.Used, 99u << 16);

        Refused(Errno.EOVERFLOW, "used ring", fixture.Started.TakeFaults(_faults));
        Assert.Empty(_faults);
    }

    [Fact]
    public void The_unit_takes_faults_and_after_its_end_there_are_none()
    {
        var memory = new ModelMemory();
        using var model = new VirtioIommuModel(memory, Fixture.Setup("B"), new ArmSmmu.Reader.SmmuTableReader());
        OpResult<IIommuUnit> unit = VirtioIommuUnit.Start(
            new UnitSetup { Name = "viommu0", Hardware = model, Logger = NullLogger.Instance },
            new ArmSmmu.Tables.SmmuTableFormat(),
            Fixture.Short);
        Assert.True(unit.IsOk, unit.ToString());
        model.Translate(new DmaAccess(new RequesterId(5), new Pasid(6), 0x7000, true));

        Assert.Equal(OpResult.Ok, unit.Value!.TakeFaults(_faults));
        Assert.Equal((new RequesterId(5), new Pasid(6)), (Assert.Single(_faults).Requester, _faults[0].Pasid));

        model.Translate(new DmaAccess(new RequesterId(5), new Pasid(6), 0x7000, true));
        unit.Value.Dispose();
        Assert.Equal(OpResult.Ok, unit.Value.TakeFaults(_faults));
        Assert.Single(_faults);
        Assert.Empty(memory.StrayReads);
    }

    [Fact]
    public void Faults_are_taken_beside_devices_and_detaches_and_none_is_lost_or_seen_twice()
    {
        const int Rounds = 300;
        const int Burst = Buffers / 2;
        using var fixture = new ModelFixture("B");
        using DomainTable table = fixture.Attach();
        var thrown = new Exception?[2];
        using var barrier = new Barrier(3);
        Thread devices = Run(0, barrier, Rounds, round =>
        {
            for (int i = 0; i < Burst; i++)
            {
                fixture.Access(s_next, (ulong)((round * Burst) + i) << 12);
            }
        });
        Thread driver = Run(1, barrier, Rounds, _ =>
        {
            Assert.Equal(OpResult.Ok, table.Install(s_pasid, fixture.PageTable.Root, ModelFixture.Asid));
            Assert.Equal(OpResult.Ok, table.Remove(s_pasid, ModelFixture.Asid)); // drains the queue
        });
        for (int round = 0; round < Rounds; round++)
        {
            barrier.SignalAndWait();
            Assert.Equal(OpResult.Ok, fixture.Started.TakeFaults(_faults));
            barrier.SignalAndWait();
            Assert.Equal(OpResult.Ok, fixture.Started.TakeFaults(_faults));
        }

        devices.Join();
        driver.Join();
        Assert.All(thrown, Assert.Null);
        Assert.Equal(
            Enumerable.Range(0, Rounds * Burst).Select(i => (ulong)i << 12), _faults.Select(f => f.Address!.Value));
        Assert.Empty(fixture.Model.Violations);
        Leave(fixture, table, null);

        Thread Run(int index, Barrier all, int rounds, Action<int> body)
        {
            var thread = new Thread(() =>
            {
                for (int round = 0; round < rounds; round++)
                {
                    all.SignalAndWait();
                    thrown[index] ??= Record.Exception(() => body(round));
                    all.SignalAndWait();
                }
            });
            thread.Start();
            return thread;
        }
    }

    [Fact]
    public void What_the_driver_declares_is_what_it_does()
    {
        var attribute = (PasidDriverAttribute)Attribute.GetCustomAttribute(
            typeof(VirtioIommuDriver), typeof(PasidDriverAttribute))!;

        Assert.Equal(
            DriverCapabilities.Ats | DriverCapabilities.NonCoherent | DriverCapabilities.FaultRecords
                | DriverCapabilities.OwnAllocator,
            attribute.Capabilities);
        Assert.Equal("arm-lpae-4k", ((IIommuModelFactory)new VirtioIommuModelFactory()).PageTables);
    }

    private static void Leave(ModelFixture fixture, DomainTable table, Pasid? pasid)
    {
        if (pasid is { } installed)
        {
            Assert.Equal(OpResult.Ok, table.Remove(installed, ModelFixture.Asid));
        }

        Assert.Equal(OpResult.Ok, table.RemoveEndpoint(ModelFixture.Endpoint));
        Assert.Empty(fixture.Model.Violations);
    }
}
