// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Tests;

/// <summary>What the driver makes of the fault records that the model and the stand-in hardware leave.</summary>
public sealed class FaultTests : IDisposable
{
    private const int FSTS = 0x34;
    private const int FRCD = 0x220;
    private const int Records = 8;
    private const ulong Page = 0x7f00_1234_5000;
    private const ulong Target = 0x5_0000;
    private static readonly Pasid s_pasid = new(0x12345);
    private readonly List<IommuFault> _faults = [];
    private ModelMemory _memory = null!;
    private IIommuModel _model = null!;
    private IIommuUnit _unit = null!;
    private VtdUnit _inner = null!;
    private VtdDomain _domain = null!;
    private VtdDevice _device = null!;
    private IPageTable _table = null!;
    private UnitLink? _link;
    public void Dispose() => _model?.Dispose();

    [Theory]
    [InlineData(true), InlineData(false)]
    public void A_fault_of_a_page_table_names_requester_PASID_page_direction_and_reason(bool coherent)
    {
        Start(coherent);

        Assert.Equal(0x85, Access(s_pasid, Page + 0x678, write: true).FaultCode);
        Assert.Equal(0x71, Access(s_pasid, Page + 0x1abc, write: false).FaultCode);
        Assert.Equal(0x80, Access(s_pasid, 1UL << 52, write: true).FaultCode);

        Assert.Equal(OpResult.Ok, _unit.TakeFaults(_faults));
        Assert.Equal(
            [
                (Fixture.Nic, s_pasid, Page, true, 0x85, "no write permission"),
                (Fixture.Nic, s_pasid, Page + 0x1000, false, 0x71, "first stage: not present"),
                (Fixture.Nic, s_pasid, 1UL << 52, true, 0x80, "address not canonical"),
            ],
            _faults.Select(
                f => (f.Requester!.Value, f.Pasid!.Value, f.Address!.Value, f.IsWrite!.Value, f.Code, f.Reason)));
    }

    [Theory]
    [InlineData(true), InlineData(false)]
    public void A_fault_of_the_tables_that_lead_there_names_its_reason(bool coherent)
    {
        Start(coherent);
        var other = new RequesterId(0x0300);

        Assert.Equal(0x39, _model.Translate(new DmaAccess(other, s_pasid, Page, false)).FaultCode);
        Assert.Equal(0x41, _model.Translate(new DmaAccess(new RequesterId(0x0119), s_pasid, Page, true)).FaultCode);
        Assert.Equal(0x51, Access(new Pasid(5), Page, false).FaultCode);
        Assert.Equal(0x59, Access(new Pasid(0x12346), Page, false).FaultCode);
        Assert.Equal(0x48, Access(new Pasid(0), Page, false).FaultCode);
        int bare = _model.Translate(new DmaAccess(Fixture.Nic, null, Page, false)).FaultCode;

        Fixture.Ok(_unit.TakeFaults(_faults));
        Assert.Equal([0x39, 0x41, 0x51, 0x59, 0x48, bare], _faults.Select(f => f.Code));
        Assert.Equal(
            [0x0300u, 0x0119u, 0x0118u, 0x0118u, 0x0118u, 0x0118u], _faults.Select(f => f.Requester!.Value.Value));
        Assert.Equal("root entry: not present", _faults[0].Reason);
        Assert.True(_faults[1].IsWrite);
        Assert.Equal(new Pasid(0), _faults[4].Pasid);
        Assert.Null(_faults[5].Pasid); // PP = 0: the request had none
    }

    [Fact]
    public void A_fault_is_taken_once_and_its_record_is_free_again()
    {
        Start();
        Access(s_pasid, Page, write: true);

        Fixture.Ok(_unit.TakeFaults(_faults));
        Fixture.Ok(_unit.TakeFaults(_faults));

        Assert.Single(_faults);
        Assert.Equal([Page, 0x8123_4585_8000_0118UL], _faults[0].Words);
        Assert.Equal(0u, _model.Registers.Read32(FSTS));
    }

    [Fact]
    public void D12_an_exited_process_leaves_no_record()
    {
        Start();
        Fixture.Ok(_domain.Exit(s_pasid, _link));

        Assert.Equal(TranslationStatus.AbortedQuietly, Access(s_pasid, Page, false).Status);

        Fixture.Ok(_unit.TakeFaults(_faults));
        Assert.Empty(_faults);
    }

    [Fact]
    public void Faults_come_oldest_first_through_many_rounds_of_the_records()
    {
        Start();
        var expected = new List<ulong>();
        for (int round = 1; round < 40; round++)
        {
            for (int i = 0; i < (round % Records) + 1; i++)
            {
                ulong address = (ulong)(expected.Count + 1) << 12;
                expected.Add(address);
                Access(s_pasid, address, false);
            }

            Fixture.Ok(_unit.TakeFaults(_faults));
        }

        Assert.True(expected.Count > 10 * Records);
        Assert.Equal(expected, _faults.Select(f => f.Address!.Value));
    }

    [Fact]
    public void Lost_faults_are_reported_once_and_the_kept_ones_are_taken()
    {
        Start();
        for (ulong i = 1; i <= Records + 3; i++)
        {
            Access(s_pasid, i << 12, false);
        }

        OpResult lost = _unit.TakeFaults(_faults);

        Refused(Errno.EOVERFLOW, "PFO", lost);
        Assert.Contains("8 records", lost.Reason);
        Assert.Equal(Enumerable.Range(1, Records).Select(i => (ulong)i << 12), _faults.Select(f => f.Address!.Value));
        Assert.Equal(0u, _model.Registers.Read32(FSTS));

        _faults.Clear();
        Access(s_pasid, 0xF_F000, false);
        Fixture.Ok(_unit.TakeFaults(_faults));
        Assert.Equal([0xF_F000UL], _faults.Select(f => f.Address!.Value));
    }

    [Fact]
    public void Taking_faults_leaves_the_invalidation_queues_errors_alone()
    {
        Start();
        Access(s_pasid, Page, write: true);
        ulong queue = _model.Registers.Read64(0x90) & ~0xFFFUL;
        ulong tail = _model.Registers.Read64(0x88);
        _memory.WriteQword(queue + tail, 0xF); // no such type
        _memory.Flush(queue + tail, 8);
        _memory.StoreBarrier();
        _model.Registers.Write64(0x88, tail + 32);
        Assert.Equal(0x10u, _model.Registers.Read32(FSTS) & 0x70);

        Fixture.Ok(_unit.TakeFaults(_faults));

        Assert.Single(_faults);
        Assert.Equal(0x10u, _model.Registers.Read32(FSTS));
    }

    [Fact]
    public void What_an_earlier_owner_left_is_not_reported()
    {
        Start();
        for (ulong i = 1; i <= Records + 1; i++)
        {
            Access(s_pasid, i << 12, false);
        }

        OpResult<IIommuUnit> next = new VtdDriver().CreateUnit(new UnitSetup { Name = "dmar1", Hardware = _model });

        Assert.True(next.IsOk, next.ToString());
        Fixture.Ok(next.Value!.TakeFaults(_faults));
        Assert.Empty(_faults);
        Assert.Equal(0u, _model.Registers.Read32(FSTS));
    }

    [Theory]
    [InlineData(0UL, true)] // {T1,T2} = 00
    [InlineData(1UL << 62, false)] // 10
    [InlineData((1UL << 62) | (1UL << 28), true)] // 11, an atomic operation
    [InlineData(1UL << 28, null)] // 01, a page request
    public void The_types_of_a_request_become_directions(ulong type, bool? isWrite)
    {
        ulong high = (1UL << 63) | type | (0x25UL << 32) | 0x0118;
        var fixture = new Fixture();
        var unit =
            Fixture.Ok(VtdUnit.Start(fixture.UnitSetup with { Hardware = new OneRecord(fixture, 0x7000, high) }));

        Fixture.Ok(unit.Faults.Take(_faults));

        IommuFault fault = Assert.Single(_faults);
        Assert.Equal(isWrite, fault.IsWrite);
        Assert.Null(fault.Pasid);
        Assert.Equal("reason 25h, which revision 5.10 does not define", fault.Reason);
        Assert.Equal([0x7000UL, high], fault.Words);
    }

    [Fact]
    public void Faults_are_taken_beside_devices_and_the_driver_and_none_is_seen_twice()
    {
        const int Rounds = 300;
        const int Burst = Records / 2;
        Start();
        using var barrier = new Barrier(3);
        var expected = new List<ulong>();
        int lost = 0;
        var devices = new Thread(() =>
        {
            for (int round = 0; round < Rounds; round++)
            {
                barrier.SignalAndWait();
                for (int i = 0; i < Burst; i++)
                {
                    ulong address = (ulong)(expected.Count + 1) << 12;
                    expected.Add(address);
                    Access(s_pasid, address, false);
                }

                barrier.SignalAndWait();
            }
        });
        var driver = new Thread(() =>
        {
            var pasid = new Pasid(9);
            for (int round = 0; round < Rounds; round++)
            {
                barrier.SignalAndWait();
                UnitLink? link = null;
                Fixture.Ok(_domain.Attach(pasid, _table.Root, _device, true, ref link));
                Fixture.Ok(_domain.Detach(pasid, _device, true, ref link));
                barrier.SignalAndWait();
            }
        });
        devices.Start();
        driver.Start();
        for (int round = 0; round < Rounds; round++)
        {
            barrier.SignalAndWait();
            lost += _unit.TakeFaults(_faults).IsOk ? 0 : 1;
            barrier.SignalAndWait();
            lost += _unit.TakeFaults(_faults).IsOk ? 0 : 1;
        }

        devices.Join();
        driver.Join();
        Assert.Equal(0, lost);
        Assert.Equal(expected, _faults.Select(f => f.Address!.Value));
        Assert.Empty(_model.Violations);
    }

    [Fact]
    public void What_the_driver_declares_is_what_it_does()
    {
        var attribute = (PasidDriverAttribute)Attribute.GetCustomAttribute(
            typeof(VtdDriver), typeof(PasidDriverAttribute))!;
        Start();

        Assert.Equal(
            DriverCapabilities.Ats | DriverCapabilities.NonCoherent | DriverCapabilities.FaultRecords
                | DriverCapabilities.OwnAllocator,
            attribute.Capabilities);
        Assert.NotNull(_unit.CreateAllocator(new PasidRange(1, 9)));
        Assert.Equal(X86PageTables.FourLevel.Name, ((IIommuModelFactory)new VtdModelFactory()).PageTables);
    }

    private void Start(bool coherent = true)
    {
        _memory = new ModelMemory(coherent, coherent ? StoreOrder.Immediate : StoreOrder.Weak);
        _model = new VtdModel(_memory, new HardwareSetup { Coherent = coherent });
        var setup = new UnitSetup { Name = "dmar0", Hardware = _model };
        _inner = Fixture.Ok(VtdUnit.Start(setup));
        _unit = _inner;
        _domain = Fixture.Ok(_inner.AddDomain(20));
        _device = Fixture.Ok(_inner.AddDevice(Fixture.Nic, DeviceFeatures.None, _domain));
        _table = Fixture.Ok(X86PageTables.FourLevel.Create(_memory));
        Fixture.Ok(_table.Map(Page, Target, false));
        Fixture.Ok(_domain.Attach(s_pasid, _table.Root, _device, true, ref _link));
        Assert.Equal(Target, Access(s_pasid, Page, false).Address);
    }

    private TranslationResult Access(Pasid pasid, ulong address, bool write) =>
        _model.Translate(new DmaAccess(Fixture.Nic, pasid, address, write));

    /// <summary>Hardware that has one record of a test's making from the time on when it translates.</summary>
    private sealed class OneRecord(Fixture fixture, ulong low, ulong high) : IIommuHardware, IRegisterFile
    {
        private bool _isTaken;
        public IPhysicalMemory Memory => fixture.Memory;
        public IRegisterFile Registers => this;
        public bool IsCoherent => true;
        private bool IsThere => !_isTaken && (fixture.Registers.Read32(0x1C) & (1u << 31)) != 0;
        public TranslationResult Translate(in DmaAccess access) => fixture.Translate(access);
        public uint Read32(int offset) => offset == FSTS && IsThere ? 2 : fixture.Registers.Read32(offset);

        public ulong Read64(int offset) => (offset, IsThere) switch
        {
            (FRCD, true) => low,
            (FRCD + 8, true) => high,
            _ => fixture.Registers.Read64(offset),
        };

        public void Write32(int offset, uint value)
        {
            _isTaken |= offset == FRCD + 12 && value == 1u << 31;
            fixture.Registers.Write32(offset, value);
        }

        public void Write64(int offset, ulong value) => fixture.Registers.Write64(offset, value);

        public void Dispose()
        {
        }
    }
}
