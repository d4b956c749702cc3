// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Tests;

/// <summary>Dialect map: the standard's MAP and UNMAP, a process a domain.</summary>
public sealed class MapTests : IDisposable
{
    private const uint Nic = 0x18;
    private const uint Gpu = 0x20;
    private const ulong Page = 0x7F00_1234_5000;
    private const ulong Target = 0x5_6789_A000;
    private static readonly Pasid s_pasid = new(0x12345);
    private readonly List<IPageTable> _tables = [];
    private ModelMemory _memory = null!;
    private VirtioIommuModel _model = null!;
    private IPageTableFormat _format = null!;
    private MapUnit? _unit;

    public void Dispose()
    {
        _unit?.Dispose();
        _tables.ForEach(table => table.Dispose());
        _model?.Dispose();
        Assert.Equal(0, _memory?.AllocatedBytes ?? 0);
        Assert.Empty(_model?.Violations ?? []);
    }

    [Theory]
    [InlineData(true), InlineData(false)]
    public void D1_every_page_of_a_process_is_reached_without_a_PASID_and_nothing_else(bool coherent)
    {
        Start(coherent);
        MappedDomain domain = Domain(1, Nic, Gpu);
        IPageTable table = Table((Page, Target, true), (Page + 0x1000, Target + 0x8000, false), (0x1000, 0x9000, true));

        Assert.Equal(TranslationStatus.Faulted, Access(Nic, Page).Status); // an empty domain
        Assert.Equal(OpResult.Ok, domain.Attach(s_pasid, table.Root));

        foreach (uint endpoint in new[] { Nic, Gpu })
        {
            Assert.Equal(Target + 0x678, Access(endpoint, Page + 0x678, write: true).Address);
            Assert.Equal(Target + 0x8000, Access(endpoint, Page + 0x1000).Address);
            Assert.Equal(2, Access(endpoint, Page + 0x1000, write: true).FaultCode);
            Assert.Equal(0x9FFFUL, Access(endpoint, 0x1FFF).Address);
            Assert.Equal(2, Access(endpoint, Page - 1).FaultCode);
            Assert.Equal(2, Access(endpoint, Page + 0x2000).FaultCode);
        }

        Assert.Equal(3, domain.MappedPages);
        Leave(domain);
    }

    [Fact]
    public void D5_after_detach_nothing_is_reached_and_the_next_process_sees_only_its_own()
    {
        Start();
        MappedDomain domain = Domain(1, Nic);
        IPageTable old = Table((Page, Target, true), (Page + 0x5000, Target, true));
        IPageTable next = Table((Page, Target + 0x1000, true));
        Assert.Equal(OpResult.Ok, domain.Attach(s_pasid, old.Root));
        Assert.Equal(Target, Access(Nic, Page).Address);
        Assert.Equal(Target, Access(Nic, Page + 0x5000).Address);

        Assert.Equal(OpResult.Ok, domain.Detach());
        Assert.Equal(2, Access(Nic, Page).FaultCode);
        Assert.Equal(2, Access(Nic, Page + 0x5000).FaultCode);

        Assert.Equal(OpResult.Ok, domain.Attach(s_pasid, next.Root));
        Assert.Equal(Target + 0x1000, Access(Nic, Page).Address);
        Assert.Equal(2, Access(Nic, Page + 0x5000).FaultCode);
        Leave(domain);
    }

    [Fact]
    public void D12_after_exit_nothing_is_reached_no_configuration_is_at_fault_and_nothing_comes_back()
    {
        Start();
        MappedDomain domain = Domain(1, Nic);
        IPageTable table = Table((Page, Target, true));
        Assert.Equal(OpResult.Ok, domain.Attach(s_pasid, table.Root));
        Assert.Equal(Target, Access(Nic, Page).Address);

        Assert.Equal(OpResult.Ok, domain.Exit());

        Assert.Equal((int)FaultReason.Mapping, Access(Nic, Page).FaultCode);
        Assert.Equal(OpResult.Ok, domain.Invalidate(0, 0));
        Assert.Equal((int)FaultReason.Mapping, Access(Nic, Page).FaultCode);
        _model.Device.TakeLog();
        Assert.Equal(OpResult.Ok, domain.Detach());
        Assert.Empty(_model.Device.TakeLog()); // everything went with the exit
        Leave(domain);
    }

    [Fact]
    public void D6_an_invalidation_brings_what_changed_and_touches_nothing_else()
    {
        Start();
        MappedDomain domain = Domain(1, Nic);
        IPageTable table = Table(
            (Page, Target, true), (Page + 0x1000, Target + 0x1000, true), (Page + 0x2000, Target + 0x2000, true),
            (Page + 0x3000, Target + 0x3000, true), (Page + 0x10000, Target + 0x4000, true));
        Assert.Equal(OpResult.Ok, domain.Attach(s_pasid, table.Root));
        for (ulong offset = 0; offset < 0x4000; offset += 0x1000)
        {
            Assert.Equal(Target + offset, Access(Nic, Page + offset).Address);
        }

        _model.Device.TakeLog();
        table.Unmap(Page);
        table.Unmap(Page + 0x1000);
        table.Map(Page + 0x3000, 0x7_0000, true); // elsewhere now
        table.Map(Page + 0x4000, 0x8_0000, false); // new
        table.Unmap(Page + 0x10000); // not in the range

        Assert.Equal(OpResult.Ok, domain.Invalidate(Page + 1, Page + 0x4001));

        Assert.Equal(2, Access(Nic, Page).FaultCode);
        Assert.Equal(2, Access(Nic, Page + 0x1000).FaultCode);
        Assert.Equal(Target + 0x2000, Access(Nic, Page + 0x2000).Address);
        Assert.Equal(0x7_0000UL, Access(Nic, Page + 0x3000).Address);
        Assert.Equal(0x8_0000UL, Access(Nic, Page + 0x4000).Address);
        Assert.Equal(2, Access(Nic, Page + 0x4000, write: true).FaultCode);
        Assert.Equal(Target + 0x4000, Access(Nic, Page + 0x10000).Address);

        // UNMAP of the two that are gone, UNMAP of the one that moved, MAP of two: the page between is never away.
        Assert.Equal(
            [(4, Page, Page + 0x1FFF), (4, Page + 0x3000, Page + 0x3FFF), (3, Page + 0x3000, Page + 0x3FFF),
                (3, Page + 0x4000, Page + 0x4FFF)],
            _model.Device.TakeLog().Select(
                r => ((int)r.Bytes[0], WireReader.U64(r.Bytes, 8), WireReader.U64(r.Bytes, 16))));

        Assert.Equal(OpResult.Ok, domain.Invalidate(0x5000, 0x5000)); // empty
        Assert.Empty(_model.Device.TakeLog());
        Assert.Equal(OpResult.Ok, domain.Invalidate(0, 0)); // everything
        Assert.Equal(2, Access(Nic, Page + 0x10000).FaultCode);
        Leave(domain);
    }

    [Fact]
    public void A_permission_that_changes_is_brought_by_an_invalidation()
    {
        Start();
        MappedDomain domain = Domain(1, Nic);
        IPageTable table = Table((Page, Target, true));
        Assert.Equal(OpResult.Ok, domain.Attach(s_pasid, table.Root));
        Assert.Equal(Target, Access(Nic, Page, write: true).Address);
        table.Map(Page, Target, false);

        Assert.Equal(OpResult.Ok, domain.Invalidate(Page, 0)); // to the top of memory

        Assert.Equal(2, Access(Nic, Page, write: true).FaultCode);
        Assert.Equal(Target, Access(Nic, Page).Address);
        Leave(domain);
    }

    [Fact]
    public void A_second_process_in_a_domain_is_refused_and_the_first_keeps_its_pages()
    {
        Start();
        MappedDomain domain = Domain(1, Nic);
        Assert.Equal(OpResult.Ok, domain.Attach(s_pasid, Table((Page, Target, true)).Root));

        Refused(Errno.EOPNOTSUPP, "PASID 0x7", domain.Attach(new Pasid(7), Table((Page, 0x9000, true)).Root));
        Assert.Equal(Target, Access(Nic, Page).Address);
        Leave(domain);
    }

    [Fact]
    public void Domains_of_two_processes_do_not_meet()
    {
        Start();
        MappedDomain one = Domain(1, Nic);
        MappedDomain two = Domain(2, Gpu);
        Assert.Equal(OpResult.Ok, one.Attach(s_pasid, Table((Page, Target, true)).Root));
        Assert.Equal(OpResult.Ok, two.Attach(s_pasid, Table((Page, 0x9000, true)).Root));

        Assert.Equal(Target, Access(Nic, Page).Address);
        Assert.Equal(0x9000UL, Access(Gpu, Page).Address);
        Assert.Equal(OpResult.Ok, one.Detach());
        Assert.Equal(2, Access(Nic, Page).FaultCode);
        Assert.Equal(0x9000UL, Access(Gpu, Page).Address);
        Leave(one);
        Leave(two, Gpu);
    }

    [Fact]
    public void A_request_with_a_PASID_faults()
    {
        Start();
        MappedDomain domain = Domain(1, Nic);
        Assert.Equal(OpResult.Ok, domain.Attach(s_pasid, Table((Page, Target, true)).Root));

        Assert.Equal(
            TranslationStatus.Faulted,
            _model.Translate(new DmaAccess(new RequesterId(Nic), s_pasid, Page, false)).Status);

        var faults = new List<IommuFault>();
        Assert.Equal(OpResult.Ok, _unit!.TakeFaults(faults));
        Assert.Equal(
            (new RequesterId(Nic), null, Page), (faults[0].Requester, faults[0].Pasid, faults[0].Address!.Value));
        Leave(domain);
    }

    [Fact]
    public void Pages_beyond_the_input_range_are_refused_before_anything_is_mapped()
    {
        Start(options: ("input-bits", "39"));
        MappedDomain domain = Domain(1, Nic);
        const ulong Last = (1UL << 39) - 0x1000;
        IPageTable table = Table((0x1000, Target, true), (Last, Target, true), (Last + 0x1000, Target, true));
        _model.Device.TakeLog();

        OpResult refused = domain.Attach(s_pasid, table.Root);

        Refused(Errno.EINVAL, "page 0x8000000000 is beyond the device's input_range 0x0 to 0x7fffffffff", refused);
        Assert.Empty(_model.Device.TakeLog());
        table.Unmap(Last + 0x1000);
        Assert.Equal(OpResult.Ok, domain.Attach(s_pasid, table.Root));
        Assert.Equal(Target + 0xFFF, Access(Nic, Last + 0xFFF).Address);

        table.Map(Last + 0x1000, Target, true);
        table.Map(0x2000, Target, true);
        Assert.Equal(OpResult.Ok, domain.Invalidate(0, 0)); // the one that cannot be mapped faults, the other is there
        Assert.Equal(2, Access(Nic, Last + 0x1000).FaultCode);
        Assert.Equal(Target, Access(Nic, 0x2000).Address);
        Leave(domain);
    }

    [Fact]
    public void Pages_in_a_reserved_region_are_refused_and_named()
    {
        Start();
        MappedDomain domain = Domain(1, Nic);
        IPageTable table = Table((0x1000, Target, true), (DeviceRequests.MsiLast - 0xFFF, Target, true));

        OpResult refused = domain.Attach(s_pasid, table.Root);

        Assert.Equal(Errno.EINVAL, refused.Errno);
        Assert.Contains(
            "page 0x80ff000 lies in the MSI region 0x8000000 to 0x80fffff (RESV_MEM) of endpoint 0x18", refused.Reason);
        Assert.Equal(2, Access(Nic, 0x1000).FaultCode);

        table.Unmap(DeviceRequests.MsiLast - 0xFFF);
        Assert.Equal(OpResult.Ok, domain.Attach(s_pasid, table.Root));
        table.Map(DeviceRequests.MsiFirst, Target, true);
        Assert.Equal(OpResult.Ok, domain.Invalidate(0, 0));
        Assert.Equal(2, Access(Nic, DeviceRequests.MsiFirst).FaultCode);
        Leave(domain);
    }

    [Fact]
    public void Endpoints_without_a_domain_fault_although_firmware_left_bypass_on()
    {
        Start(options: ("bypass", "on"));

        Assert.Equal((int)FaultReason.Domain, Access(Nic, 0x1000).FaultCode);
    }

    [Fact]
    public void The_nth_failure_of_an_attach_leaves_nothing_mapped_and_the_next_one_works()
    {
        const int Pages = 6;
        for (int n = 0; n < Pages; n++)
        {
            foreach (uint bad in new uint[] { 1, 4, 8 }) // IOERR, INVAL, NOMEM
            {
                using var fixture = new SteppedFixture();
                MappedDomain domain = fixture.Domain();
                fixture.Answer(requestsBefore: n, status: bad);

                OpResult result = domain.Attach(s_pasid, fixture.Table(Pages));

                Assert.Equal(bad switch { 1 => Errno.EIO, 4 => Errno.EINVAL, _ => Errno.ENOMEM }, result.Errno);
                Assert.Equal(0, domain.MappedPages);
                Assert.All(Enumerable.Range(0, Pages), i => Assert.False(fixture.Reaches(Page + ((ulong)i << 12))));
                Assert.Equal(OpResult.Ok, domain.Attach(s_pasid, fixture.Table(Pages)));
                Assert.All(Enumerable.Range(0, Pages), i => Assert.True(fixture.Reaches(Page + ((ulong)i << 12))));
            }
        }
    }

    [Fact]
    public void What_an_UNMAP_did_not_take_away_goes_before_the_next_process_comes()
    {
        using var fixture = new SteppedFixture();
        MappedDomain domain = fixture.Domain();
        Assert.Equal(OpResult.Ok, domain.Attach(s_pasid, fixture.Table(3)));
        fixture.Answer(requestsBefore: 0, status: 3); // DEVERR

        Assert.Equal(Errno.EIO, domain.Detach().Errno);
        Assert.True(fixture.Reaches(Page)); // this device did not do it
        fixture.Answer(requestsBefore: 0, status: 3);
        Assert.Equal(Errno.EIO, domain.Attach(s_pasid, fixture.Table(0)).Errno);
        fixture.Answer(requestsBefore: 0, status: 3);
        Assert.Equal(Errno.EIO, domain.AddEndpoint(Gpu).Errno);

        Assert.Equal(OpResult.Ok, domain.Attach(s_pasid, fixture.Table(0)));
        Assert.False(fixture.Reaches(Page));
    }

    [Fact]
    public void After_a_DETACH_that_was_not_confirmed_a_domain_gets_no_process()
    {
        using var fixture = new SteppedFixture();
        MappedDomain domain = fixture.Domain();
        fixture.Answer(requestsBefore: 0, status: 3);
        Assert.Equal(Errno.EIO, domain.RemoveEndpoint(Nic).Errno);

        Refused(Errno.EIO, "not confirmed", domain.Attach(s_pasid, fixture.Table(1)));
        Assert.False(fixture.Reaches(Page));
    }

    [Fact]
    public void A_failed_invalidation_is_told_and_made_up_for_by_the_next_one()
    {
        using var fixture = new SteppedFixture();
        MappedDomain domain = fixture.Domain();
        Assert.Equal(OpResult.Ok, domain.Attach(s_pasid, fixture.Table(2)));
        fixture.Last!.Unmap(Page);
        fixture.Answer(requestsBefore: 0, status: 3);

        Assert.Equal(Errno.EIO, domain.Invalidate(Page, Page + 0x1000).Errno);
        Assert.True(fixture.Reaches(Page));
        Assert.Equal(OpResult.Ok, domain.Invalidate(Page, Page + 0x1000));
        Assert.False(fixture.Reaches(Page));
        Assert.True(fixture.Reaches(Page + 0x1000));
    }

    [Fact]
    public void A_device_that_comes_later_reaches_the_process_and_its_reserved_regions_count()
    {
        Start();
        MappedDomain domain = _unit!.AddDomain(1, 20).Value!;
        Assert.Equal(OpResult.Ok, domain.AddEndpoint(Nic));
        Assert.Equal(OpResult.Ok, domain.Attach(s_pasid, Table((Page, Target, true)).Root));

        Assert.Equal(OpResult.Ok, domain.AddEndpoint(Gpu));

        Assert.Equal(Target, Access(Gpu, Page).Address);
        Assert.Equal(OpResult.Ok, domain.RemoveEndpoint(Gpu));
        Assert.Equal((int)FaultReason.Domain, Access(Gpu, Page).FaultCode);
        Leave(domain);
    }

    [Fact]
    public void Through_the_core_processes_come_change_and_die()
    {
        Start();
        using var core = new IommuCore(new OptionsWrapper<PasidOptions>(new PasidOptions()));
        IommuInstance instance = core.AddInstance("virtio-iommu", _unit!);
        Domain shared = core.CreateDomain(instance, "shared", 20).Value!;
        Domain alone = core.CreateDomain(instance, "alone", 20).Value!;
        var numbers = new PasidRange(1, Pasid.MaxValue);
        Device nic = core.AddDevice(shared, "nic", new RequesterId(Nic), numbers, DeviceFeatures.Ats).Value!;
        Device gpu = core.AddDevice(shared, "gpu", new RequesterId(Gpu), numbers).Value!;
        Device disk = core.AddDevice(alone, "disk", new RequesterId(0x28), numbers).Value!;
        IPageTable one = Table((Page, Target, true));
        IPageTable two = Table((Page, 0x9000, true));
        var first = new Process(1, one.Root);
        var second = new Process(2, two.Root);

        Pasid number = core.Bind(nic, first).Value;
        Assert.Equal(Errno.EOPNOTSUPP, core.Bind(nic, second).Errno);
        Assert.True(core.Bind(gpu, first).IsOk);
        Assert.True(core.Bind(disk, second).IsOk);
        Assert.Equal(Target, Access(Nic, Page).Address);
        Assert.Equal(Target, Access(Gpu, Page).Address);
        Assert.Equal(0x9000UL, Access(0x28, Page).Address);

        one.Map(Page + 0x1000, Target + 0x3000, false);
        Assert.True(core.Invalidate(first, Page, Page + 0x2000).IsOk);
        Assert.Equal(Target + 0x3000, Access(Gpu, Page + 0x1000).Address);
        Assert.True(core.Unbind(nic, number).IsOk);
        Assert.Equal(Target, Access(Nic, Page).Address); // the domain still maps it, for the other device

        first.IsAlive = false;
        core.ProcessEnded(first);
        Assert.Equal(2, Access(Gpu, Page).FaultCode);
        Assert.Equal(0x9000UL, Access(0x28, Page).Address);
        Assert.True(core.Bind(gpu, second).IsOk);
        Assert.Equal(0x9000UL, Access(Nic, Page).Address);
        Assert.True(core.RemoveDevice(gpu).IsOk);
        Assert.Equal(2, Access(Nic, Page).FaultCode);
        Assert.Equal((int)FaultReason.Domain, Access(Gpu, Page).FaultCode);
        Assert.Equal(0, core.DriverFailures);
        _unit = null; // the core disposes it
    }

    [Fact]
    public void Page_tables_of_either_architecture_serve()
    {
        foreach (string pages in new[] { "x86-64", "arm-lpae-4k" })
        {
            var driver = new VirtioIommuDriver();
            using IIommuHardware hardware = driver.CreateHardware(new SystemMemory(), Fixture.Setup("none"));

            OpResult<IIommuUnit> unit = driver.CreateUnit(Setup(hardware, ("dialect", "map"), ("pages", pages)));

            Assert.True(unit.IsOk, unit.ToString());
            Assert.Equal((20, PasidScope.Domain), (unit.Value!.PasidBits, unit.Value.VendorScope));
            Assert.Empty(unit.Value.ReservedPasids);
            unit.Value.Dispose();
        }
    }

    [Theory]
    [InlineData("pages", "sv39", "it must be one of x86-64, arm-lpae-4k")]
    [InlineData("pages", "x86-64", "belongs to dialect = map")]
    [InlineData("dialect", "mapp", "it must be one of none, v0.9-devel, vsmmu, map, B, E")]
    public void Options_that_mean_nothing_are_refused(string name, string value, string why)
    {
        var driver = new VirtioIommuDriver();
        using IIommuHardware hardware = driver.CreateHardware(new SystemMemory(), Fixture.Setup("none"));

        Refused(Errno.EINVAL, why, driver.CreateUnit(Setup(hardware, (name, value))));
    }

    [Fact]
    public void Random_sequences_end_as_the_page_table_says_and_leak_nothing()
    {
        var random = new Random(20261122);
        Start();
        MappedDomain domain = Domain(1, Nic);
        for (int round = 0; round < 40; round++)
        {
            var pages = new Dictionary<ulong, (ulong Target, bool Writable)>();
            IPageTable table = _format.Create(_memory).Value!;
            Change(16);
            Assert.Equal(OpResult.Ok, domain.Attach(s_pasid, table.Root));
            for (int step = 0; step < 8; step++)
            {
                Check();
                Change(4);
                Assert.Equal(OpResult.Ok, domain.Invalidate(0x10_0000, 0x14_0000));
            }

            Check();
            Assert.Equal(OpResult.Ok, round % 2 == 0 ? domain.Exit() : OpResult.Ok);
            Assert.Equal(OpResult.Ok, domain.Detach());
            pages.Clear();
            Check();
            table.Dispose();

            void Change(int count)
            {
                for (int i = 0; i < count; i++)
                {
                    ulong page = 0x10_0000 + ((ulong)random.Next(64) << 12);
                    if (random.Next(3) == 0)
                    {
                        Assert.True(!pages.Remove(page) || table.Unmap(page).IsOk);
                    }
                    else
                    {
                        pages[page] = ((ulong)random.Next(1, 1 << 20) << 12, random.Next(2) == 0);
                        Assert.True(table.Map(page, pages[page].Target, pages[page].Writable).IsOk);
                    }
                }
            }

            void Check()
            {
                Assert.Equal(pages.Count, domain.MappedPages);
                for (ulong page = 0x10_0000; page < 0x14_0000; page += 0x1000)
                {
                    bool isMapped = pages.TryGetValue(page, out (ulong Target, bool Writable) expected);
                    Assert.Equal(isMapped ? expected.Target : 0, Access(Nic, page).Address);
                    Assert.Equal(
                        isMapped && expected.Writable ? expected.Target : 0, Access(Nic, page, write: true).Address);
                }
            }
        }

        Leave(domain);
    }

    private static UnitSetup Setup(IIommuHardware hardware, params (string Name, string Value)[] options) => new()
    {
        Name = "viommu0",
        Hardware = hardware,
        Options = options.ToDictionary(o => o.Name, o => o.Value),
    };

    private void Start(bool coherent = true, params (string Name, string Value)[] options)
    {
        _memory = new ModelMemory(coherent, coherent ? StoreOrder.Immediate : StoreOrder.Weak);
        var all = new Dictionary<string, string> { ["dialect"] = "none" };
        foreach ((string name, string value) in options)
        {
            all[name] = value;
        }

        _model = new VirtioIommuModel(_memory, new HardwareSetup { Coherent = coherent, Options = all });
        _model.Device.LogCapacity = 4096;
        _format = new TestPageTables();
        OpResult<IIommuUnit> unit = MapUnit.Start(Setup(_model), _format, Fixture.Short);
        Assert.True(unit.IsOk, unit.ToString());
        _unit = (MapUnit)unit.Value!;
    }

    private MappedDomain Domain(int id, params uint[] endpoints)
    {
        MappedDomain domain = _unit!.AddDomain(id, 20).Value!;
        Assert.All(endpoints, endpoint => Assert.Equal(OpResult.Ok, domain.AddEndpoint(endpoint)));
        return domain;
    }

    private IPageTable Table(params (ulong Address, ulong Target, bool Writable)[] pages)
    {
        IPageTable table = _format.Create(_memory).Value!;
        _tables.Add(table);
        Assert.All(pages, page => Assert.True(table.Map(page.Address, page.Target, page.Writable).IsOk));
        return table;
    }

    private TranslationResult Access(uint endpoint, ulong address, bool write = false) =>
        _model.Translate(new DmaAccess(new RequesterId(endpoint), null, address, write));

    private void Leave(MappedDomain domain, uint endpoint = Nic)
    {
        Assert.Equal(OpResult.Ok, domain.Detach());
        Assert.Equal(0, domain.MappedPages);
        Assert.Equal(OpResult.Ok, domain.RemoveEndpoint(endpoint));
        Assert.Null(_model.FindStale());
    }

    private sealed class Process(int pid, ulong root) : IAddressSpace
    {
        public AddressSpaceId Id { get; } = new((ulong)pid);
        public int Pid => pid;

        public string Name => $"process {pid}";

        public ulong PageTableRoot => root;
        public bool IsAlive { get; set; } = true;
    }

    /// <summary>A unit on stand-in hardware that can answer one request with an error.</summary>
    private sealed class SteppedFixture : IDisposable
    {
        private readonly SystemMemory _memory = new();
        private readonly VirtioIommuHardware _device;
        private readonly MapUnit _unit;
        private readonly TestPageTables _format = new();

        public SteppedFixture()
        {
            _device = new VirtioIommuHardware(_memory, Fixture.Setup("none"), new ArmSmmu.Reader.SmmuTableReader());
            OpResult<IIommuUnit> unit = MapUnit.Start(
                Setup(_device) with { Logger = NullLogger.Instance }, _format, Fixture.Short);
            Assert.True(unit.IsOk, unit.ToString());
            _unit = (MapUnit)unit.Value!;
        }

        public IPageTable? Last { get; private set; }

        public MappedDomain Domain()
        {
            MappedDomain domain = _unit.AddDomain(1, 20).Value!;
            Assert.Equal(OpResult.Ok, domain.AddEndpoint(Nic));
            return domain;
        }

        public ulong Table(int pages)
        {
            Last = _format.Create(_memory).Value!;
            for (int i = 0; i < pages; i++)
            {
                Assert.True(Last.Map(Page + ((ulong)i << 12), Target + ((ulong)i << 12), true).IsOk);
            }

            return Last.Root;
        }

        public void Answer(int requestsBefore, uint status) =>
            _device.FailLater(requestsBefore, (Formats.RequestStatus)status);

        public bool Reaches(ulong address) => _device.Translate(
            new DmaAccess(new RequesterId(Nic), null, address, false)).Status == TranslationStatus.Translated;

        public void Dispose()
        {
            _unit.Dispose();
            _device.Dispose();
        }
    }
}
