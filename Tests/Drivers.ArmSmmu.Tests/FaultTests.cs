// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Tests;

/// <summary>What the driver makes of the event records that the model and the stand-in hardware write.</summary>
public sealed class FaultTests : IDisposable
{
    private const int EVENTQ_PROD = 0x100A8;
    private const int EVENTQ_CONS = 0x100AC;
    private const uint Overflow = 1u << 31;
    private const uint Sid = 0x118;
    private const ulong Page = 0x7f00_1234_5000;
    private const ulong Target = 0x5_0000_0000;
    private static readonly Pasid s_pasid = new(0x12345);
    private static readonly RequesterId s_nic = new(Sid);
    private readonly List<IommuFault> _faults = [];
    private ModelMemory _memory = null!;
    private SmmuModel _model = null!;
    private SmmuUnit _unit = null!;
    private SmmuDomain _domain = null!;
    private UnitDevice _stream = null!;
    private SmmuLink _link = null!;
    private IPageTable _pages = null!;

    public void Dispose()
    {
        if (_unit is not null)
        {
            _unit.Dispose();
            _pages.Dispose();
            _model.Dispose();
            Assert.Equal(0, _memory.AllocatedBytes);
        }
    }

    [Theory]
    [InlineData(true), InlineData(false)]
    public void A_fault_of_a_translation_names_requester_PASID_address_direction_and_reason(bool coherent)
    {
        Start(coherent);

        Assert.Equal(0x13, Access(s_pasid, Page + 0x678, write: true).FaultCode);
        Assert.Equal(0x10, Access(s_pasid, Page + 0x1abc, write: false).FaultCode);
        Assert.Equal(0x10, Access(s_pasid, 1UL << 52, write: true).FaultCode);

        Assert.Equal(OpResult.Ok, _unit.TakeFaults(_faults));
        Assert.Equal(
            [
                (s_nic, s_pasid, Page + 0x678, true, 0x13, "F_PERMISSION: the input address"),
                (s_nic, s_pasid, Page + 0x1abc, false, 0x10, "F_TRANSLATION: the input address"),
                (s_nic, s_pasid, 1UL << 52, true, 0x10, "F_TRANSLATION: the input address"),
            ],
            _faults.Select(
                f => (f.Requester!.Value, f.Pasid!.Value, f.Address!.Value, f.IsWrite!.Value, f.Code, f.Reason)));
        Assert.Equal([0x118_1234_5813, 0x200_0000_0000, Page + 0x678, 0UL], _faults[0].Words);
        Assert.Empty(_model.Violations);
    }

    [Theory]
    [InlineData(true), InlineData(false)]
    public void A_fault_of_the_configuration_names_its_event_and_only_what_its_record_has(bool coherent)
    {
        Start(coherent);

        Assert.Equal(0x02, _model.Translate(new DmaAccess(new RequesterId(0x7F00), s_pasid, Page, true)).FaultCode);
        Assert.Equal(0x04, _model.Translate(new DmaAccess(new RequesterId(Sid + 1), s_pasid, Page, true)).FaultCode);
        Assert.Equal(0x08, Access(new Pasid(1), Page, true).FaultCode);
        Assert.Equal(0x0A, Access(new Pasid(0x12346), Page, true).FaultCode);

        Succeeds(_unit.TakeFaults(_faults));
        Assert.Equal(["C_BAD_STREAMID", "C_BAD_STE", "C_BAD_SUBSTREAMID", "C_BAD_CD"], _faults.Select(f => f.Reason));
        Assert.Equal([0x7F00u, Sid + 1, Sid, Sid], _faults.Select(f => f.Requester!.Value.Value));

        // C_BAD_SUBSTREAMID has no SSV, and its SubstreamID is always valid.
        Assert.Equal([0x12345u, 0x12345u, 1u, 0x12346u], _faults.Select(f => f.Pasid!.Value.Value));
        Assert.All(_faults, f => Assert.Null(f.Address));
        Assert.All(_faults, f => Assert.Null(f.IsWrite));
    }

    [Fact]
    public void A_request_without_PASID_is_named_without_one()
    {
        Start();
        var near = new SmmuLink(_unit.CreateProcess().Value!);
        Succeeds(_domain.Attach(near, new Pasid(9), _pages.Root, first: true)); // the leaf of descriptor 0

        Assert.Equal(0x0A, _model.Translate(new DmaAccess(s_nic, null, Page, true)).FaultCode);

        Succeeds(_unit.TakeFaults(_faults));
        IommuFault fault = Assert.Single(_faults);
        Assert.Equal((s_nic, "C_BAD_CD"), (fault.Requester, fault.Reason));
        Assert.Null(fault.Pasid);
    }

    [Fact]
    public void Every_event_of_the_specification_is_decoded_by_its_own_layout()
    {
        foreach (Records.Layout layout in Events.All)
        {
            // The same words for each event: which of them mean something is its layout's business.
            int number = (int)layout.Fields[0].Constant;
            foreach (bool tagged in new[] { true, false })
            {
                ulong[] words =
                [
                    0xABCD_1234_5555_5000 | (tagged ? 0x800UL : 0) | (uint)number,
                    0x0000_0188_0000_0000,
                    0x1234_5678_9ABC_DEF0,
                    0,
                ];

                IommuFault fault = EventDecoder.Decode(words);

                bool Has(string name) => layout.Find(name) is not null;
                Assert.Equal(number, fault.Code);
                Assert.StartsWith(((SmmuEvent)number).ToString(), fault.Reason);
                Assert.Equal(new RequesterId(0xABCD_1234), fault.Requester);
                Assert.Equal(Has("InputAddr") ? 0x1234_5678_9ABC_DEF0 : null, fault.Address);
                Assert.Equal(Has("RnW") ? false : (bool?)null, fault.IsWrite);
                bool names = Has("SSID") && (tagged || number == 0x08);
                Assert.Equal(names ? new Pasid(0x55555) : (Pasid?)null, fault.Pasid);
                if (Has("CLASS"))
                {
                    Assert.EndsWith("reading a translation table, stage 2", fault.Reason);
                }

                Assert.Equal(words, fault.Words);
            }
        }

        IommuFault unknown = EventDecoder.Decode([0xFFFF_FFFF_FFFF_FFE0, ulong.MaxValue, 1, 2]);
        Assert.Equal("event 0xe0, which is not defined", unknown.Reason);
        Assert.Null(unknown.Requester);
        Assert.Null(unknown.Pasid);
    }

    [Fact]
    public void D12_an_exited_process_leaves_no_record()
    {
        Start();
        Succeeds(_domain.Exit(_link, s_pasid));

        Assert.Equal(TranslationStatus.AbortedQuietly, Access(s_pasid, Page, false).Status);

        Succeeds(_unit.TakeFaults(_faults));
        Assert.Empty(_faults);
    }

    [Theory]
    [InlineData(true), InlineData(false)]
    public void Faults_are_taken_once_and_oldest_first_through_many_wraps_of_the_queue(bool coherent)
    {
        Start(coherent, eventBits: 3);
        var expected = new List<ulong>();
        for (int round = 1; round < 60; round++)
        {
            for (int i = 0; i < (round % 8) + 1; i++)
            {
                ulong address = (ulong)(expected.Count + 1) << 12;
                expected.Add(address);
                Access(s_pasid, address, false);
            }

            Succeeds(_unit.TakeFaults(_faults));
            Succeeds(_unit.TakeFaults(_faults));
        }

        Assert.True(expected.Count > 10 * 8);
        Assert.Equal(expected, _faults.Select(f => f.Address!.Value));
    }

    [Fact]
    public void Lost_events_are_reported_once_acknowledged_and_the_kept_ones_are_taken()
    {
        Start(eventBits: 2);
        uint error = _model.Registers.Read32(0x60);
        for (int overflow = 0; overflow < 3; overflow++)
        {
            _faults.Clear();
            for (ulong i = 1; i <= 7; i++)
            {
                Access(s_pasid, i << 12, false);
            }

            Refused(Errno.EOVERFLOW, "OVFLG", _unit.TakeFaults(_faults));
            Assert.Equal([0x1000UL, 0x2000UL, 0x3000UL, 0x4000UL], _faults.Select(f => f.Address!.Value));
            Assert.Equal(_model.Registers.Read32(EVENTQ_PROD), _model.Registers.Read32(EVENTQ_CONS));
            Assert.Equal(overflow % 2 == 0, (_model.Registers.Read32(EVENTQ_CONS) & Overflow) != 0);
            Succeeds(_unit.TakeFaults(_faults));
            Assert.Equal(4, _faults.Count);
        }

        Assert.Equal(error, _model.Registers.Read32(0x60));
    }

    [Fact]
    public void A_producer_position_that_cannot_be_is_skipped_and_the_queue_goes_on()
    {
        var fixture = new Fixture();
        using SmmuUnit unit = fixture.Start(20, ("event-queue-log2", "2"));
        fixture.Bent.Reads[EVENTQ_PROD] = _ => 6; // 4 records

        OpResult result = unit.TakeFaults(_faults);

        Assert.Equal(Errno.EOVERFLOW, result.Errno);
        Assert.Empty(_faults);
        Assert.Equal(6u, fixture.File.Read32(EVENTQ_CONS));
        fixture.Bent.Reads[EVENTQ_PROD] = _ => 7;
        Succeeds(unit.TakeFaults(_faults));
        Assert.Single(_faults);
    }

    [Fact]
    public void A_unit_that_is_gone_has_no_faults()
    {
        Start();
        Access(s_pasid, Page, true);
        _unit.Dispose();

        Succeeds(_unit.TakeFaults(_faults));

        Assert.Empty(_faults);
        Assert.Empty(_memory.StrayReads);
    }

    [Fact]
    public void The_queues_zeroes_are_written_back_before_the_hardware_writes_there()
    {
        Start(coherent: false);

        ulong queue = _model.Registers.Read64(Registers.EVENTQ_BASE) & 0x000F_FFFF_FFFF_FFE0;
        Assert.All(Enumerable.Range(0, 512), i => Assert.Equal(0UL, _memory.Device.ReadQword(queue + ((ulong)i * 8))));
        Assert.Empty(_model.Violations);
    }

    [Fact]
    public void Faults_are_taken_beside_devices_and_the_driver_and_none_is_lost_or_seen_twice()
    {
        const int Rounds = 300;
        const int Burst = 8;
        Start(eventBits: 4);
        int lost = 0;
        ulong next = 0;
        SmmuLink other = new(_unit.CreateProcess().Value!);
        Race.Run(3, (index, barrier) =>
        {
            for (int round = 0; round < Rounds; round++)
            {
                barrier.SignalAndWait();
                switch (index)
                {
                    case 0:
                        for (int i = 0; i < Burst; i++)
                        {
                            Access(s_pasid, ++next << 12, false);
                        }

                        break;
                    case 1:
                        Succeeds(_domain.Attach(other, new Pasid(9), _pages.Root, first: true));
                        Succeeds(_domain.Detach(other, _stream, new Pasid(9), last: true));
                        break;
                    default:
                        lost += _unit.TakeFaults(_faults).IsOk ? 0 : 1;
                        break;
                }

                barrier.SignalAndWait();
                if (index == 2)
                {
                    lost += _unit.TakeFaults(_faults).IsOk ? 0 : 1;
                }
            }
        });

        Assert.Equal(0, lost);
        Assert.Equal(
            Enumerable.Range(1, Rounds * Burst).Select(i => (ulong)i << 12), _faults.Select(f => f.Address!.Value));
        Assert.Empty(_model.Violations);
    }

    [Fact]
    public void The_stand_in_hardware_leaves_records_as_well()
    {
        var fixture = new Fixture();
        using SmmuUnit unit = fixture.Start();
        SmmuDomain domain = unit.CreateDomain(20).Value!;
        UnitDevice stream = unit.AddStream(domain, s_nic, ats: false).Value!;
        fixture.Read(Sid, 0x777, Page);

        Succeeds(unit.TakeFaults(_faults));

        Assert.Equal((8, (Pasid?)new Pasid(0x777)), (Assert.Single(_faults).Code, _faults[0].Pasid));
        Assert.Empty(fixture.Events());
        unit.RemoveStream(stream);
    }

    [Fact]
    public void What_the_driver_declares_is_what_it_does()
    {
        var attribute = (PasidDriverAttribute)Attribute.GetCustomAttribute(
            typeof(SmmuDriver), typeof(PasidDriverAttribute))!;
        Start();

        Assert.Equal(
            DriverCapabilities.Ats | DriverCapabilities.NonCoherent | DriverCapabilities.FaultRecords
                | DriverCapabilities.OwnAllocator,
            attribute.Capabilities);
        Assert.NotNull(_unit.CreateAllocator(new PasidRange(1, 9)));
        Assert.Equal(ArmPageTables.Granule4K.Name, ((IIommuModelFactory)new SmmuModelFactory()).PageTables);
    }

    private static void Succeeds(OpResult result) => Assert.True(result.IsOk, result.ToString());

    private void Start(bool coherent = true, int eventBits = 7)
    {
        _memory = new ModelMemory(coherent, coherent ? StoreOrder.Immediate : StoreOrder.Weak);
        _model = new SmmuModel(_memory, new HardwareSetup { Coherent = coherent });
        OpResult<SmmuUnit> unit = SmmuUnit.Start(new UnitSetup
        {
            Name = "smmu0",
            Hardware = _model,
            Options = new Dictionary<string, string> { ["event-queue-log2"] = $"{eventBits}" },
        });
        Assert.True(unit.IsOk, unit.ToString());
        _unit = unit.Value!;
        _domain = _unit.CreateDomain(20).Value!;
        _stream = _unit.AddStream(_domain, s_nic, ats: false).Value!;
        _pages = ArmPageTables.Granule4K.Create(_memory).Value!;
        Succeeds(_pages.Map(Page, Target, writable: false));
        _link = new SmmuLink(_unit.CreateProcess().Value!);
        Succeeds(_domain.Attach(_link, s_pasid, _pages.Root, first: true));
        Assert.Equal(Target, Access(s_pasid, Page, false).Address);
    }

    private TranslationResult Access(Pasid pasid, ulong address, bool write) =>
        _model.Translate(new DmaAccess(s_nic, pasid, address, write));
}
