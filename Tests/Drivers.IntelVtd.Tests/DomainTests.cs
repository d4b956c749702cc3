// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Tests;

public sealed class DomainTests
{
    private const ulong Root = 0x10abcd000;
    private static readonly Pasid s_pasid = new(0x12345);

    [Fact]
    public void D1_an_entry_is_there_exactly_while_a_link_is()
    {
        var fixture = new Fixture();
        (VtdDomain domain, VtdDevice device) = fixture.AddDevice(Fixture.Nic);
        UnitLink? link = null;
        Assert.Equal((TranslationStatus.Faulted, 0x51), Status(fixture.Read(Fixture.Nic, s_pasid.Value)));

        Fixture.Ok(domain.Attach(s_pasid, Root, device, true, ref link));
        TranslationResult reached = fixture.Read(Fixture.Nic, s_pasid.Value);
        Assert.Equal((TranslationStatus.ReachedPageTable, Root), (reached.Status, reached.PageTableRoot));
        Assert.Equal((TranslationStatus.Faulted, 0x59), Status(fixture.Read(Fixture.Nic, s_pasid.Value ^ 1)));

        Fixture.Ok(domain.Detach(s_pasid, device, true, ref link));
        Assert.Null(link);
        Assert.Equal((TranslationStatus.Faulted, 0x59), Status(fixture.Read(Fixture.Nic, s_pasid.Value)));
        Assert.Equal(new ulong[8], PasidTableTests.Entry(fixture.Memory, domain.Table, s_pasid.Value));
    }

    [Fact]
    public void Attach_sends_nothing_where_hardware_caches_only_what_is_present()
    {
        var fixture = new Fixture();
        (VtdDomain domain, VtdDevice device) = fixture.AddDevice(Fixture.Nic, DeviceFeatures.Ats | DeviceFeatures.Pri);
        VtdDevice second = Fixture.Ok(fixture.Unit.AddDevice(Fixture.Gpu, DeviceFeatures.Ats, domain));
        UnitLink? link = null;

        Assert.Empty(fixture.Consumed(() => Fixture.Ok(domain.Attach(s_pasid, Root, device, true, ref link))));
        Assert.Empty(fixture.Did(() => Fixture.Ok(domain.Attach(s_pasid, Root, second, false, ref link))));
    }

    [Fact]
    public void Attach_in_caching_mode_invalidates_the_entry_and_its_translations()
    {
        var fixture = new Fixture(Fixture.With(("caching-mode", "1")));
        (VtdDomain domain, VtdDevice device) = fixture.AddDevice(Fixture.Nic);
        UnitLink? link = null;

        Assert.Equal(
            "PC1 fence PIOTLB2 wait",
            fixture.Sequence(() => Fixture.Ok(domain.Attach(s_pasid, Root, device, true, ref link))));
    }

    [Fact]
    public void Attach_flushes_the_hardwares_write_buffer_where_it_must()
    {
        var fixture = new Fixture(Fixture.With(("rwbf", "1")));
        (VtdDomain domain, VtdDevice device) = fixture.AddDevice(Fixture.Nic);
        int before = fixture.Model.WriteBufferFlushes;
        UnitLink? link = null;

        Fixture.Ok(domain.Attach(s_pasid, Root, device, true, ref link));

        Assert.Equal(before + 1, fixture.Model.WriteBufferFlushes);
    }

    [Fact]
    public void D5_the_last_detach_clears_P_then_PASID_cache_then_IOTLB_then_device_TLB_then_the_rest()
    {
        var fixture = new Fixture();
        (VtdDomain domain, VtdDevice device) = fixture.AddDevice(Fixture.Nic, DeviceFeatures.Ats);
        UnitLink? link = null;
        Fixture.Ok(domain.Attach(s_pasid, Root, device, true, ref link));
        ulong entry = PasidTableTests.EntryAddress(fixture.Memory, domain.Table, s_pasid.Value);
        List<MemoryStep> events = [];

        Assert.Equal(
            "PC1 fence PIOTLB2 fence PDEV:0118 wait",
            fixture.Sequence(() =>
                events = fixture.Did(() => Fixture.Ok(domain.Detach(s_pasid, device, true, ref link)))));

        int cleared = events.FindIndex(e => e == new MemoryStep(StepKind.Store, entry, 0));
        int flushed = events.FindIndex(e => e == new MemoryStep(StepKind.Flush, entry, 8));
        int rung = events.FindIndex(e => e.Kind == StepKind.Register && e.Address == Fixture.IQT);
        int erased = events.FindIndex(e => e.Kind == StepKind.Store && e.Address == entry + 8);
        Assert.True(cleared >= 0 && cleared < flushed && flushed < rung && rung < erased,
            $"cleared {cleared}, flushed {flushed}, rung {rung}, erased {erased}");
        Assert.All([1, 2], i => Assert.Contains(new MemoryStep(StepKind.Store, entry + ((ulong)i * 8), 0), events));
    }

    [Fact]
    public void The_descriptors_of_a_detach_name_PASID_domain_and_device()
    {
        var fixture = new Fixture();
        (VtdDomain domain, VtdDevice device) = fixture.AddDevice(Fixture.Nic, DeviceFeatures.Ats);
        UnitLink? link = null;
        Fixture.Ok(domain.Attach(s_pasid, Root, device, true, ref link));

        ulong[][] descriptors = fixture.Consumed(() => Fixture.Ok(domain.Detach(s_pasid, device, true, ref link)));

        Assert.Equal([0x0001234500010017, 0, 0, 0], descriptors[0]);
        Assert.Equal([0x0001234500010026, 0, 0, 0], descriptors[2]);
        Assert.Equal([0x0001234501180018, 0x7ffffffffffff800, 0, 0], descriptors[4]);
    }

    [Fact]
    public void A_detach_that_is_not_the_last_invalidates_only_the_devices_TLB()
    {
        var fixture = new Fixture();
        (VtdDomain domain, VtdDevice device) = fixture.AddDevice(Fixture.Nic, DeviceFeatures.Ats);
        VtdDevice plain = Fixture.Ok(fixture.Unit.AddDevice(Fixture.Gpu, DeviceFeatures.None, domain));
        VtdDevice third = Fixture.Ok(fixture.Unit.AddDevice(new RequesterId(0x0300), DeviceFeatures.None, domain));
        UnitLink? link = null;
        Fixture.Ok(domain.Attach(s_pasid, Root, device, true, ref link));
        Fixture.Ok(domain.Attach(s_pasid, Root, plain, false, ref link));
        Fixture.Ok(domain.Attach(s_pasid, Root, third, false, ref link));

        Assert.Equal("PDEV:0118 wait",
            fixture.Sequence(() => Fixture.Ok(domain.Detach(s_pasid, device, false, ref link))));
        Assert.Empty(fixture.Consumed(() => Fixture.Ok(domain.Detach(s_pasid, plain, false, ref link))));
        Assert.Equal(TranslationStatus.ReachedPageTable, fixture.Read(Fixture.Gpu, s_pasid.Value).Status);
        Assert.Equal(
            "PC1 fence PIOTLB2 fence PDEV:0118 wait", // the table is the domain's: the first may have asked again
            fixture.Sequence(() => Fixture.Ok(domain.Detach(s_pasid, third, true, ref link))));
    }

    [Theory]
    [InlineData("", "PC1 fence PIOTLB2 fence PDEV:0118 wait PIOTLB2 PDEV:0118 drain")]
    [InlineData("PDS", "PC1 fence PIOTLB2 fence PDEV:0118 wait")]
    [InlineData("PRS", "PC1 fence PIOTLB2 fence PDEV:0118 wait"), InlineData("DT", "PC1 fence PIOTLB2 wait")]
    public void D5_page_requests_are_drained_last_where_device_and_hardware_have_them(string without, string expected)
    {
        var fixture = new Fixture(Fixture.With(("without", without)));
        (VtdDomain domain, VtdDevice device) = fixture.AddDevice(Fixture.Nic, DeviceFeatures.Ats | DeviceFeatures.Pri);
        UnitLink? link = null;
        Fixture.Ok(domain.Attach(s_pasid, Root, device, true, ref link));

        Assert.Equal(expected, fixture.Sequence(() => Fixture.Ok(domain.Detach(s_pasid, device, true, ref link))));
    }

    [Fact]
    public void D12_after_exit_requests_abort_quietly_until_the_detach_clears_the_entry()
    {
        var fixture = new Fixture();
        (VtdDomain domain, VtdDevice device) = fixture.AddDevice(Fixture.Nic, DeviceFeatures.Ats);
        VtdDevice other = Fixture.Ok(fixture.Unit.AddDevice(Fixture.Gpu, DeviceFeatures.Ats, domain));
        UnitLink? link = null;
        Fixture.Ok(domain.Attach(s_pasid, Root, device, true, ref link));
        Fixture.Ok(domain.Attach(s_pasid, Root, other, false, ref link));
        ulong entry = PasidTableTests.EntryAddress(fixture.Memory, domain.Table, s_pasid.Value);
        List<MemoryStep> events = [];

        Assert.Equal(
            "PC1 fence PIOTLB2 fence PDEV:0118 PDEV:02a0 wait",
            fixture.Sequence(() => events = fixture.Did(() => Fixture.Ok(domain.Exit(s_pasid, link)))));

        Assert.Equal(new MemoryStep(StepKind.Store, entry, 2), events[0]);
        Assert.Equal(new MemoryStep(StepKind.Flush, entry, 8), events[1]);
        Assert.Equal(TranslationStatus.AbortedQuietly, fixture.Read(Fixture.Nic, s_pasid.Value).Status);
        Assert.Equal(0u, fixture.Registers.Read32(0x34)); // nothing was recorded

        Assert.Empty(fixture.Consumed(() => Fixture.Ok(domain.Detach(s_pasid, device, false, ref link))));
        Assert.Equal(TranslationStatus.AbortedQuietly, fixture.Read(Fixture.Gpu, s_pasid.Value).Status);
        Assert.Empty(fixture.Consumed(() => Fixture.Ok(domain.Detach(s_pasid, other, true, ref link))));
        Assert.Equal(new ulong[8], PasidTableTests.Entry(fixture.Memory, domain.Table, s_pasid.Value));
        Assert.Equal((TranslationStatus.Faulted, 0x59), Status(fixture.Read(Fixture.Nic, s_pasid.Value)));
    }

    [Fact]
    public void An_exit_that_timed_out_is_made_up_for_by_the_detach()
    {
        var fixture = new Fixture(time: new SteppingClock());
        (VtdDomain domain, VtdDevice device) = fixture.AddDevice(Fixture.Nic);
        UnitLink? link = null;
        Fixture.Ok(domain.Attach(s_pasid, Root, device, true, ref link));
        fixture.TestRegisters.Hold(Fixture.IQT);

        Assert.Equal(Errno.ETIMEDOUT, domain.Exit(s_pasid, link).Errno);
        Assert.Equal(TranslationStatus.AbortedQuietly, fixture.Read(Fixture.Nic, s_pasid.Value).Status);

        fixture.TestRegisters.Release();
        Assert.Equal(
            "PC1 fence PIOTLB2 wait",
            fixture.Sequence(() => Fixture.Ok(domain.Detach(s_pasid, device, true, ref link))));
    }

    [Fact]
    public void A_detach_that_timed_out_says_so_and_the_entry_is_gone_all_the_same()
    {
        var fixture = new Fixture(time: new SteppingClock());
        (VtdDomain domain, VtdDevice device) = fixture.AddDevice(Fixture.Nic, DeviceFeatures.Ats | DeviceFeatures.Pri);
        UnitLink? link = null;
        Fixture.Ok(domain.Attach(s_pasid, Root, device, true, ref link));
        fixture.TestRegisters.Hold(Fixture.IQT);

        Assert.Equal(Errno.ETIMEDOUT, domain.Detach(s_pasid, device, true, ref link).Errno);

        Assert.Null(link);
        Assert.Equal(new ulong[8], PasidTableTests.Entry(fixture.Memory, domain.Table, s_pasid.Value));
        Assert.Equal(0, domain.Table.Entries);
    }

    [Fact]
    public void An_attach_whose_invalidation_fails_leaves_nothing_behind()
    {
        var fixture = new Fixture(Fixture.With(("caching-mode", "1")), time: new SteppingClock());
        (VtdDomain domain, VtdDevice device) = fixture.AddDevice(Fixture.Nic);
        UnitLink? link = null;
        fixture.TestRegisters.Hold(Fixture.IQT);

        Assert.Equal(Errno.ETIMEDOUT, domain.Attach(s_pasid, Root, device, true, ref link).Errno);

        Assert.Null(link);
        Assert.Equal(new ulong[8], PasidTableTests.Entry(fixture.Memory, domain.Table, s_pasid.Value));
    }

    [Fact]
    public void Many_devices_with_TLBs_are_all_invalidated_after_the_IOTLB()
    {
        var fixture = new Fixture();
        (VtdDomain domain, VtdDevice first) = fixture.AddDevice(new RequesterId(0x1000), DeviceFeatures.Ats);
        UnitLink? link = null;
        Fixture.Ok(domain.Attach(s_pasid, Root, first, true, ref link));
        for (uint i = 1; i < 40; i++)
        {
            VtdDevice next =
                Fixture.Ok(fixture.Unit.AddDevice(new RequesterId(0x1000 + i), DeviceFeatures.Ats, domain));
            Fixture.Ok(domain.Attach(s_pasid, Root, next, false, ref link));
        }

        string[] steps = fixture.Sequence(() => Fixture.Ok(domain.Exit(s_pasid, link))).Split(' ');

        Assert.Equal(["PC1", "fence", "PIOTLB2", "fence"], steps[..4]);
        Assert.Equal(Enumerable.Range(0, 40).Select(i => $"PDEV:{0x1000 + i:x4}"), steps[4..].Where(s => s != "wait"));
        Assert.Equal("wait", steps[^1]);
    }

    [Fact]
    public void The_PASID_of_requests_without_one_cannot_be_bound()
    {
        var fixture = new Fixture(options: ("rid-pasid", "5"));
        (VtdDomain domain, VtdDevice device) = fixture.AddDevice(Fixture.Nic);
        UnitLink? link = null;

        Refused(Errno.EINVAL, "RID_PASID", domain.Attach(new Pasid(5), Root, device, true, ref link));
        Fixture.Ok(domain.Attach(new Pasid(0), Root, device, true, ref link));
    }

    [Fact]
    public void D3_a_walker_that_does_not_snoop_finds_everything_flushed()
    {
        var fixture = new Fixture(new HardwareSetup { Coherent = false });
        (VtdDomain domain, VtdDevice device) = fixture.AddDevice(Fixture.Nic, DeviceFeatures.Ats);
        UnitLink? link = null;

        Fixture.Ok(domain.Attach(s_pasid, Root, device, true, ref link));
        Assert.Equal(Root, fixture.Read(Fixture.Nic, s_pasid.Value).PageTableRoot);
        Assert.Equal((TranslationStatus.Faulted, 0x59), Status(fixture.Read(Fixture.Nic, s_pasid.Value ^ 1)));
        Assert.Equal((TranslationStatus.Faulted, 0x51), Status(fixture.Read(Fixture.Nic, 0x54321)));
        Assert.Equal((TranslationStatus.Faulted, 0x41), Status(fixture.Read(new RequesterId(0x0119), s_pasid.Value)));
        Assert.Equal((TranslationStatus.Faulted, 0x39), Status(fixture.Read(Fixture.Gpu, s_pasid.Value)));

        Fixture.Ok(domain.Exit(s_pasid, link));
        Assert.Equal(TranslationStatus.AbortedQuietly, fixture.Read(Fixture.Nic, s_pasid.Value).Status);
        Fixture.Ok(domain.Detach(s_pasid, device, true, ref link));
        Assert.Equal((TranslationStatus.Faulted, 0x59), Status(fixture.Read(Fixture.Nic, s_pasid.Value)));
        Fixture.Ok(fixture.Unit.RemoveDevice(device, domain));
        Assert.Equal((TranslationStatus.Faulted, 0x41), Status(fixture.Read(Fixture.Nic, s_pasid.Value)));
    }

    [Fact]
    public void Attach_and_detach_allocate_nothing_once_they_have_run()
    {
        using var driver = Fixture.Ok(new VtdDriver().CreateUnit(new UnitSetup
        {
            Name = "dmar0",
            Hardware = new VtdDriver().CreateHardware(new SystemMemory(), new HardwareSetup()),
        }));
        Assert.NotNull(driver);
        var setup = new UnitSetup
        {
            Name = "dmar1",
            Hardware = new VtdDriver().CreateHardware(new SystemMemory(), new HardwareSetup()),
        };
        using VtdUnit unit = Fixture.Ok(VtdUnit.Start(setup));
        VtdDomain domain = Fixture.Ok(unit.AddDomain(20));
        VtdDevice device = Fixture.Ok(unit.AddDevice(Fixture.Nic, DeviceFeatures.Ats | DeviceFeatures.Pri, domain));
        bool good = true;
        UnitLink? link = null;
        AllocatesNothing(200, () => good &= domain.Attach(s_pasid, Root, device, true, ref link).IsOk
            && domain.Invalidate(s_pasid, link, 0x1000, 0x9000).IsOk
            && domain.Exit(s_pasid, link).IsOk
            && domain.Detach(s_pasid, device, true, ref link).IsOk);
        Assert.True(good);
    }

    [Fact]
    public void Domains_attach_and_detach_at_once_without_disturbing_each_other()
    {
        const int Rounds = 500;
        var fixture = new Fixture(options: ("queue-pages-log2", "0"));
        fixture.Recorder.IsRecording = false;
        (VtdDomain Domain, VtdDevice Device)[] all =
        [
            fixture.AddDevice(Fixture.Nic, DeviceFeatures.Ats),
            fixture.AddDevice(Fixture.Gpu, DeviceFeatures.Ats | DeviceFeatures.Pri),
        ];
        Race.Run(all.Length, (index, barrier) =>
        {
            (VtdDomain domain, VtdDevice device) = all[index];
            RequesterId requester = index == 0 ? Fixture.Nic : Fixture.Gpu;
            for (uint round = 0; round < Rounds; round++)
            {
                barrier.SignalAndWait();
                var pasid = new Pasid((round * 37) + (uint)index + 1);
                ulong root = (ulong)(round + 1) << 12;
                UnitLink? link = null;
                Fixture.Ok(domain.Attach(pasid, root, device, true, ref link));
                Assert.Equal(root, fixture.Read(requester, pasid.Value).PageTableRoot);
                Fixture.Ok(domain.Detach(pasid, device, true, ref link));
                Assert.Equal(TranslationStatus.Faulted, fixture.Read(requester, pasid.Value).Status);
            }
        });
        Assert.Equal(fixture.Model.Log.Total, fixture.Unit.Statistics.Commands);
    }

    private static (TranslationStatus Status, int Fault) Status(TranslationResult result) =>
        (result.Status, result.FaultCode);
}
