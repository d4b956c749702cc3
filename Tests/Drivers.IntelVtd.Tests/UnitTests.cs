// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Tests;

public sealed class UnitTests
{
    private const ulong GCMD = 0x18;
    private const uint TE = 1u << 31;
    private const uint SRTP = 1u << 30;
    private const uint QIE = 1u << 26;

    [Fact]
    public void A_unit_starts_queue_then_root_table_then_invalidates_everything_and_only_then_translates()
    {
        var fixture = new Fixture();

        string sequence = fixture.Sequence(() => Assert.NotNull(fixture.Unit));

        Assert.Equal("CC1 fence PC3 fence IOTLB1 wait", sequence);
        MemoryStep[] writes = [.. fixture.Recorder.Steps.Where(e => e.Kind == StepKind.Register)];
        Assert.Equal([QIE, QIE | SRTP, QIE | TE], writes.Where(e => e.Address == GCMD).Select(e => (uint)e.Value));
        Assert.Equal([0xC0, 0xC8, 0xD0, 0x88, 0x90, GCMD, 0x20, GCMD, 0x88, GCMD], writes.Select(e => e.Address));
        MemoryStep iqa = writes.Single(e => e.Address == 0x90);
        Assert.Equal(0x801UL, iqa.Value & 0xFFF); // 256-bit descriptors, two pages
        MemoryStep rtaddr = writes.Single(e => e.Address == 0x20);
        Assert.Equal(fixture.Unit.Root | 0x400, rtaddr.Value); // TTM = 01
        Assert.Equal(TE | SRTP | QIE, fixture.Registers.Read32(0x1C));
    }

    [Theory]
    [InlineData("SMTS"), InlineData("QI"), InlineData("FSTS")]
    public void Hardware_without_a_needed_capability_is_refused_by_its_name(string bit)
    {
        var fixture = new Fixture(Fixture.With(("without", bit)));

        Refused(Errno.ENODEV, $"ECAP.{bit} ", new VtdDriver().CreateUnit(fixture.UnitSetup));
        Assert.Equal(0, fixture.Recorder.AllocatedBytes);
    }

    [Fact]
    public void Hardware_without_PASIDs_is_refused_by_that_name()
    {
        var fixture = new Fixture(new HardwareSetup { PasidBits = 0 });

        Refused(Errno.ENODEV, "ECAP.PASID ", new VtdDriver().CreateUnit(fixture.UnitSetup));
    }

    [Theory]
    [InlineData(20, 20, 20), InlineData(8, 20, 8), InlineData(20, 16, 16), InlineData(1, 20, 1)]
    public void The_width_is_the_smaller_of_hardware_and_setup(int hardware, int setup, int expected)
    {
        var fixture = new Fixture(new HardwareSetup { PasidBits = hardware });

        using IIommuUnit unit = Fixture.Ok(new VtdDriver().CreateUnit(fixture.UnitSetup with { PasidBits = setup }));

        Assert.Equal(expected, unit.PasidBits);
        Assert.Equal("dmar0", unit.Name);
        Assert.Equal(PasidScope.System, unit.VendorScope);
        Assert.Equal([new Pasid(0)], unit.ReservedPasids);
        Assert.Equal("lowest", unit.CreateAllocator(PasidRange.Full)!.Name);
        Assert.Equal(PasidRange.Full, unit.CreateAllocator(PasidRange.Full)!.Range);
    }

    [Theory]
    [InlineData("queue-size", "1", "queue-pages-log2, rid-pasid, timeout-ms")]
    [InlineData("queue-pages-log2", "8", "from 0 to 7"), InlineData("timeout-ms", "0", "from 1 to 60000")]
    [InlineData("rid-pasid", "-1", "from 0 to 1048575"), InlineData("rid-pasid", "0x10", "from 0 to 1048575")]
    public void An_unknown_option_or_value_of_a_unit_is_EINVAL_and_names_what_is_allowed(
        string name, string value, string allowed)
    {
        OpResult<IIommuUnit> result = new VtdDriver().CreateUnit(new Fixture(options: (name, value)).UnitSetup);

        Refused(Errno.EINVAL, name, result);
        Assert.Contains(name == "queue-size" ? name : value, result.Reason);
        Assert.Contains(allowed, result.Reason);
    }

    [Theory]
    [InlineData("coherency", "1", "caching-mode, haw, mamv, rwbf, second-stage, without")]
    [InlineData("caching-mode", "yes", "0 or 1"), InlineData("mamv", "53", "from 0 to 52")]
    [InlineData("haw", "31", "from 32 to 52")]
    [InlineData("without", "NEST", "DT, FSTS, PDS, PRS, QI, RPS, SMPWCS, SMTS, SRS")]
    public void An_unknown_option_or_value_of_hardware_throws_and_names_what_is_allowed(
        string name, string value, string allowed)
    {
        var thrown = Assert.Throws<ArgumentException>(
            () => new VtdDriver().CreateHardware(new SystemMemory(), Fixture.With((name, value))));

        Assert.Contains(name, thrown.Message);
        Assert.Contains(name == "coherency" ? name : value, thrown.Message);
        Assert.Contains(allowed, thrown.Message);
    }

    [Fact]
    public void RID_PASID_needs_its_capability_and_must_lie_in_the_directory()
    {
        var fixture = new Fixture(Fixture.With(("without", "RPS")), options: ("rid-pasid", "5"));
        Refused(Errno.EINVAL, "ECAP.RPS", new VtdDriver().CreateUnit(fixture.UnitSetup));

        fixture = new Fixture(options: ("rid-pasid", "8192"));
        Assert.Equal(new Pasid(8192), fixture.Unit.RidPasid);
        Assert.Equal(Errno.EINVAL, fixture.Unit.AddDomain(13).Errno);
        VtdDomain domain = Fixture.Ok(fixture.Unit.AddDomain(14));
        Fixture.Ok(fixture.Unit.AddDevice(Fixture.Nic, DeviceFeatures.None, domain));
        Fixture.Ok(domain.Table.Set(new Pasid(8192), new PasidTableEntry(0x5000, 1)));
        Assert.Equal(0x5000UL, fixture.Read(Fixture.Nic, null).PageTableRoot);
    }

    [Fact]
    public void A_domain_wider_than_the_unit_is_refused()
    {
        var fixture = new Fixture(new HardwareSetup { PasidBits = 16 });

        Fixture.Ok(fixture.Unit.AddDomain(16));
        Refused(Errno.EINVAL, "17 bits", fixture.Unit.AddDomain(17));
    }

    [Fact]
    public void A_context_entry_has_the_worked_examples_form()
    {
        var fixture = new Fixture();
        (VtdDomain domain, _) = fixture.AddDevice(Fixture.Gpu, DeviceFeatures.Ats | DeviceFeatures.Pri);

        ulong upper = fixture.Memory.ReadQword(fixture.Unit.Root + (2 * 16) + 8);
        Assert.Equal(1UL, upper & 0xFFF);
        ulong entry = (upper & ~0xFFFUL) + (0x20 * 32);
        Assert.Equal(domain.Table.Root | 0xE1D, fixture.Memory.ReadQword(entry));
        Assert.Equal(0UL, fixture.Memory.ReadQword(entry + 8));
        Assert.Equal(0UL, fixture.Memory.ReadQword(fixture.Unit.Root + (2 * 16)));
    }

    [Theory]
    [InlineData(DeviceFeatures.None, "", 0x8), InlineData(DeviceFeatures.Ats, "", 0xC)]
    [InlineData(DeviceFeatures.Ats | DeviceFeatures.Pri, "", 0x1C)]
    [InlineData(DeviceFeatures.Ats | DeviceFeatures.Pri, "PRS", 0xC)]
    [InlineData(DeviceFeatures.Ats | DeviceFeatures.Pri, "DT", 0x8)]
    public void A_context_entry_enables_what_device_and_hardware_can_do(
        DeviceFeatures features, string without, ulong expected)
    {
        var fixture = new Fixture(Fixture.With(("without", without)));
        fixture.AddDevice(Fixture.Nic, features);

        ulong entry = (fixture.Memory.ReadQword(fixture.Unit.Root + 16) & ~0xFFFUL) + (0x18 * 32);

        Assert.Equal(expected, fixture.Memory.ReadQword(entry) & 0x1FE);
        Assert.Equal(TranslationStatus.Faulted, fixture.Read(Fixture.Nic, 1).Status);
        Assert.Equal(0x51, fixture.Read(Fixture.Nic, 1).FaultCode); // the context entry is a valid one
    }

    [Fact]
    public void D2_D3_a_context_entry_becomes_present_last_in_a_table_that_was_flushed_first()
    {
        var fixture = new Fixture();
        VtdDomain domain = Fixture.Ok(fixture.Unit.AddDomain(20));

        List<MemoryStep> events =
            fixture.Did(() => Fixture.Ok(fixture.Unit.AddDevice(Fixture.Nic, DeviceFeatures.None, domain)));

        ulong table = events[0].Address;
        ulong half = fixture.Unit.Root + 16;
        ulong entry = table + (0x18 * 32);
        Assert.Equal(
            [
                new(StepKind.Allocate, table, 4096),
                new(StepKind.Store, entry, domain.Table.Root | 0xE09),
                new(StepKind.Flush, table, 4096),
                new(StepKind.Barrier, 0, 0),
                new(StepKind.Store, half, table | 1),
                new(StepKind.Flush, half, 8),
                new(StepKind.Barrier, 0, 0),
            ],
            events);
    }

    [Fact]
    public void Removing_a_device_invalidates_context_PASIDs_translations_and_device_TLB_in_that_order()
    {
        var fixture = new Fixture();
        (VtdDomain domain, VtdDevice device) = fixture.AddDevice(Fixture.Nic, DeviceFeatures.Ats);
        VtdDevice other = Fixture.Ok(fixture.Unit.AddDevice(Fixture.Gpu, DeviceFeatures.None, domain));
        UnitLink? link = null;
        Fixture.Ok(domain.Attach(new Pasid(3), 0x5000, other, true, ref link));

        Assert.Equal(
            "CC3 fence PC0 fence IOTLB2 fence DEV:0118 PDEV:0118 wait",
            fixture.Sequence(() => Fixture.Ok(fixture.Unit.RemoveDevice(device, domain))));
        Assert.Equal(0x41, fixture.Read(Fixture.Nic, 3).FaultCode);
        Assert.Equal(TranslationStatus.ReachedPageTable, fixture.Read(Fixture.Gpu, 3).Status);

        Fixture.Ok(domain.Detach(new Pasid(3), other, true, ref link));
        Assert.Equal("CC3 fence IOTLB2 wait",
            fixture.Sequence(() => Fixture.Ok(fixture.Unit.RemoveDevice(other, domain))));
        Assert.Equal(Errno.ESRCH, fixture.Unit.RemoveDevice(other, domain).Errno);
        Fixture.Ok(fixture.Unit.AddDevice(Fixture.Nic, DeviceFeatures.None, domain));
    }

    [Fact]
    public void In_caching_mode_a_new_context_entry_is_announced()
    {
        var fixture = new Fixture(Fixture.With(("caching-mode", "1")));
        VtdDomain domain = Fixture.Ok(fixture.Unit.AddDomain(20));

        Assert.Equal(
            "CC1 fence PC3 fence IOTLB1 wait",
            fixture.Sequence(() => Fixture.Ok(fixture.Unit.AddDevice(Fixture.Nic, DeviceFeatures.Ats, domain))));
        Assert.Equal(
            "CC3 fence PC0 fence IOTLB2 wait",
            fixture.Sequence(() =>
                Fixture.Ok(fixture.Unit.AddDevice(new RequesterId(0x0119), DeviceFeatures.None, domain))));
    }

    [Fact]
    public void Devices_that_cannot_be_are_refused()
    {
        var fixture = new Fixture();
        (VtdDomain domain, _) = fixture.AddDevice(Fixture.Nic);

        Assert.Equal(Errno.EEXIST, fixture.Unit.AddDevice(Fixture.Nic, DeviceFeatures.None, domain).Errno);
        Assert.Equal(Errno.EINVAL, fixture.Unit.AddDevice(new RequesterId(0x10000), DeviceFeatures.None, domain).Errno);
        Refused(Errno.EINVAL, "PRE = 1 with DTE = 0", fixture.Unit.AddDevice(Fixture.Gpu, DeviceFeatures.Pri, domain));
    }

    [Fact]
    public void D8_D13_every_allocation_may_fail_and_nothing_leaks()
    {
        int succeeded = 0;
        int refused = 0;
        for (int allowed = 0; succeeded == 0; allowed++)
        {
            Assert.True(allowed < 50, "the sweep does not end");
            var fixture = new Fixture();
            fixture.Recorder.AllocationsLeft = allowed;
            OpResult result = Run(fixture);
            if (result.IsOk)
            {
                succeeded++;
            }
            else
            {
                Assert.Equal(Errno.ENOMEM, result.Errno);
                refused++;
            }

            Assert.Equal(0, fixture.Recorder.AllocatedBytes);
        }

        // Root, queue, status, page requests, directory, two context tables, three leaves.
        Assert.Equal(10, refused);

        static OpResult Run(Fixture fixture)
        {
            OpResult<VtdUnit> started = VtdUnit.Start(fixture.UnitSetup);
            if (!started.IsOk)
            {
                return started.Outcome;
            }

            using VtdUnit unit = started.Value;
            OpResult<VtdDomain> domain = unit.AddDomain(20);
            if (!domain.IsOk)
            {
                return domain.Outcome;
            }

            var devices = new List<VtdDevice>();
            foreach (RequesterId requester in new[] { Fixture.Nic, Fixture.Gpu })
            {
                OpResult<VtdDevice> device = unit.AddDevice(requester, DeviceFeatures.Ats, domain.Value);
                if (!device.IsOk)
                {
                    Assert.Equal(0x39, fixture.Read(requester, 1).FaultCode);
                    return device.Outcome;
                }

                devices.Add(device.Value);
                for (uint pasid = 1; pasid < 4 && requester == Fixture.Gpu; pasid++)
                {
                    UnitLink? link = null;
                    OpResult attached = domain.Value.Attach(
                        new Pasid(pasid << 10), 0x5000, device.Value, true, ref link);
                    if (!attached.IsOk)
                    {
                        Assert.Null(link);
                        Assert.Equal(0x51, fixture.Read(requester, pasid << 10).FaultCode);
                        return attached;
                    }
                }
            }

            devices.ForEach(d => Fixture.Ok(unit.RemoveDevice(domain.Value, d)));
            unit.RemoveDomain(domain.Value);
            return OpResult.Ok;
        }
    }

    [Fact]
    public void D13_a_removed_domain_gives_its_memory_back_and_statistics_follow()
    {
        var fixture = new Fixture();
        Assert.NotEqual(0UL, fixture.Unit.Root);
        long started = fixture.Recorder.AllocatedBytes;
        VtdDomain one = Fixture.Ok(fixture.Unit.AddDomain(20));
        VtdDomain two = Fixture.Ok(fixture.Unit.AddDomain(8));
        Fixture.Ok(one.Table.Set(new Pasid(64), new PasidTableEntry(0x5000, 1)));
        Fixture.Ok(two.Table.Set(new Pasid(1), new PasidTableEntry(0x5000, 1)));

        Assert.Equal(
            (131072 + (3L * 4096), 2),
            (fixture.Unit.Statistics.PasidTableBytes, fixture.Unit.Statistics.PasidTableLeaves));
        fixture.Unit.RemoveDomain(one);
        fixture.Unit.RemoveDomain(one);
        Assert.Equal((8192, 1), (fixture.Unit.Statistics.PasidTableBytes, fixture.Unit.Statistics.PasidTableLeaves));
        fixture.Unit.RemoveDomain(two);
        Assert.Equal((0, 0), (fixture.Unit.Statistics.PasidTableBytes, fixture.Unit.Statistics.PasidTableLeaves));
        Assert.Equal(started, fixture.Recorder.AllocatedBytes);
    }

    [Fact]
    public void Statistics_count_every_descriptor()
    {
        var fixture = new Fixture();
        Assert.Equal(6, fixture.Unit.Statistics.Commands);
        (VtdDomain domain, VtdDevice device) = fixture.AddDevice(Fixture.Nic, DeviceFeatures.Ats);
        UnitLink? link = null;
        Fixture.Ok(domain.Attach(new Pasid(1), 0x5000, device, true, ref link));
        Fixture.Ok(domain.Detach(new Pasid(1), device, true, ref link));

        Assert.Equal(12, fixture.Unit.Statistics.Commands);
        Assert.Equal(12, fixture.Model.Log.Total);
    }

    [Fact]
    public void Dispose_switches_off_frees_everything_and_the_hardware_can_be_started_again()
    {
        var fixture = new Fixture();
        (VtdDomain domain, _) = fixture.AddDevice(Fixture.Nic);
        Fixture.Ok(domain.Table.Set(new Pasid(1), new PasidTableEntry(0x5000, 1)));

        fixture.Unit.Dispose();
        fixture.Unit.Dispose();

        Assert.Equal(0u, fixture.Registers.Read32(0x1C) & (TE | QIE));
        Assert.Equal(0, fixture.Recorder.AllocatedBytes);
        Assert.Equal(TranslationStatus.Bypassed, fixture.Read(Fixture.Nic, 1).Status);

        using IIommuUnit again = Fixture.Ok(new VtdDriver().CreateUnit(fixture.UnitSetup));
        Assert.Equal(0x39, fixture.Read(Fixture.Nic, 1).FaultCode);
    }

    [Fact]
    public void A_unit_that_was_left_on_is_switched_off_first()
    {
        var fixture = new Fixture();
        Assert.NotEqual(0UL, fixture.Unit.Root);
        fixture.Recorder.Steps.Clear();

        using IIommuUnit second = Fixture.Ok(new VtdDriver().CreateUnit(fixture.UnitSetup));

        Assert.Equal(
            [QIE, 0, QIE, QIE | SRTP, QIE | TE],
            fixture.Recorder.Steps.Where(e => e.Kind == StepKind.Register && e.Address == GCMD)
                .Select(e => (uint)e.Value));
    }

    [Fact]
    public void Hardware_that_does_not_answer_a_command_is_ETIMEDOUT_and_keeps_no_memory()
    {
        var fixture = new Fixture(time: new SteppingClock());
        fixture.TestRegisters.Reads[Fixture.GSTS] = _ => 0;

        Refused(Errno.ETIMEDOUT, "GCMD.QIE", new VtdDriver().CreateUnit(fixture.UnitSetup));
        Assert.Equal(0, fixture.Recorder.AllocatedBytes);
    }

    [Fact]
    public void Hardware_that_cannot_be_switched_off_keeps_its_tables()
    {
        var fixture = new Fixture(time: new SteppingClock());
        Assert.NotEqual(0UL, fixture.Unit.Root);
        long bytes = fixture.Recorder.AllocatedBytes;
        fixture.TestRegisters.Reads[Fixture.GSTS] = _ => TE | QIE;

        fixture.Unit.Dispose();
        Assert.Equal(bytes, fixture.Recorder.AllocatedBytes);
    }
}
