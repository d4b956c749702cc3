// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.Reference.Tests;

public sealed class UnitTests
{
    private const ulong NeverDone = 0;
    private const ulong Denied = 3;

    [Theory]
    [InlineData("requester-bits", "0", "it must be a number from 1 to 16")]
    [InlineData("requester-bits", "17", "it must be a number from 1 to 16")]
    [InlineData("requester-bits", "0x4", "it must be a number from 1 to 16")]
    [InlineData("timeout-ms", "0", "it must be a number from 1 to 60000")]
    [InlineData("timeout-ms", "60001", "it must be a number from 1 to 60000")]
    [InlineData("timeout", "1", "it has requester-bits, timeout-ms")]
    public void An_option_that_is_unknown_or_out_of_range_is_EINVAL_and_names_what_is_allowed(
        string name, string value, string allowed)
    {
        var fixture = new Fixture(options: (name, value));

        OpResult<IIommuUnit> unit = fixture.Start();

        Refused(Errno.EINVAL, name, unit);
        Assert.Contains(allowed, unit.Reason, StringComparison.Ordinal);
        Assert.Equal(0, fixture.Ram.AllocatedBytes);
    }

    [Theory]
    [InlineData(0UL), InlineData(ulong.MaxValue)]
    [InlineData(0x10_2142UL)] // version 2
    [InlineData(0x10_2151UL)] // PASIDs of 21 bits
    [InlineData(0x10_0141UL)] // no ASIDs
    [InlineData(0x10_2341UL)] // ASIDs of 17 bits
    [InlineData(0x00_2141UL)] // no fault records
    public void Hardware_whose_ID_is_not_that_of_a_reference_IOMMU_is_ENODEV(ulong id)
    {
        var fixture = new Fixture();
        fixture.Faulty.Stuck[Registers.ID] = id;

        OpResult<IIommuUnit> unit = fixture.Start();

        Assert.Equal(Errno.ENODEV, unit.Errno);
        Assert.Equal(0, fixture.Ram.AllocatedBytes);
    }

    [Fact]
    public void Hardware_without_PASIDs_starts_and_refuses_every_domain()
    {
        var fixture = new Fixture(new HardwareSetup { PasidBits = 0 });

        Assert.Equal(0, fixture.Unit.PasidBits);
        Assert.Equal(Errno.EINVAL, fixture.Core.CreateDomain(fixture.Instance, "domain", 1).Errno);
    }

    [Theory]
    [InlineData(false), InlineData(true)]
    public void Hardware_that_does_not_switch_is_ETIMEDOUT_whatever_the_clock_does(bool isClockStopped)
    {
        var fixture = new Fixture(time: isClockStopped ? new StoppedClock() : new SteppingClock());
        fixture.Faulty.Stuck[Registers.CONTROL] = 0;

        OpResult<IIommuUnit> unit = fixture.Start();

        Assert.Equal(Errno.ETIMEDOUT, unit.Errno);
        Assert.Equal(0, fixture.Ram.AllocatedBytes);
    }

    [Fact]
    public void Hardware_that_does_not_go_off_keeps_its_tables_from_being_freed()
    {
        var fixture = new Fixture(time: new SteppingClock());
        IIommuUnit unit = fixture.Unit;
        fixture.Faulty.Stuck[Registers.CONTROL] = Control.ENABLED.WordMask;
        long before = fixture.Ram.AllocatedBytes;

        unit.Dispose();

        Assert.True(before > 0);
        Assert.Equal(before, fixture.Ram.AllocatedBytes);
    }

    [Fact]
    public void A_unit_that_was_left_on_is_switched_off_first()
    {
        var fixture = new Fixture();
        _ = fixture.Unit;

        Fixture.Ok(fixture.Start());

        Assert.Empty(fixture.Model.Violations);
    }

    [Fact]
    public void Dispose_gives_everything_back_with_domains_and_bindings_alive()
    {
        var fixture = new Fixture();
        Domain domain = fixture.Domain();
        Fixture.Ok(fixture.Core.Bind(fixture.Device(domain, Fixture.Nic), fixture.Process()));
        long tables = fixture.Ram.AllocatedBytes;

        fixture.Unit.Dispose();
        fixture.Unit.Dispose();

        Assert.Equal(4 * 4096, fixture.Ram.AllocatedBytes); // the process's page tables
        Assert.True(tables > fixture.Ram.AllocatedBytes);
        Assert.Equal(default(UnitStatistics) with { Commands = fixture.Unit.Statistics.Commands },
            fixture.Unit.Statistics);
    }

    [Theory]
    [InlineData(1, 1u, 1), InlineData(8, 255u, 1), InlineData(9, 256u, 1), InlineData(9, 511u, 1)]
    [InlineData(20, 0x12345u, 8), InlineData(20, 0xFFFFFu, 8)]
    public void D7_D8_the_last_PASID_of_a_width_works_and_takes_one_leaf(int bits, uint pasid, int directoryPages)
    {
        var fixture = new Fixture();
        Domain domain = fixture.Domain(bits);
        Device device = fixture.Device(domain, Fixture.Nic, first: pasid);
        TestProcess process = fixture.Process();

        Assert.Equal(pasid, Fixture.Ok(fixture.Core.Bind(device, process)).Value);

        Assert.Equal(process.Target, fixture.Read(Fixture.Nic, pasid).Address);
        Assert.Equal((directoryPages + 1) * 4096, fixture.Unit.Statistics.PasidTableBytes);
        Assert.Equal(1, fixture.Unit.Statistics.PasidTableLeaves);
        if (pasid < Pasid.MaxValue)
        {
            Assert.NotEqual(TranslationStatus.Translated, fixture.Read(Fixture.Nic, pasid + 1).Status);
        }

        Assert.Empty(fixture.Model.Violations);
    }

    [Fact]
    public void D3_D8_a_second_leaf_is_seen_although_its_absence_was_kept_and_disturbs_nothing()
    {
        foreach (StoreOrder order in Enum.GetValues<StoreOrder>())
        {
            var fixture = new Fixture(new HardwareSetup { Coherent = false }, order: order);
            Domain domain = fixture.Domain();
            Device low = fixture.Device(domain, Fixture.Nic, first: 255);
            Device high = fixture.Device(domain, Fixture.Gpu, first: 256);
            TestProcess one = fixture.Process();
            TestProcess two = fixture.Process();
            Fixture.Ok(fixture.Core.Bind(low, one));
            Assert.Equal((int)FaultCode.DirectoryNotValid, fixture.Read(Fixture.Nic, 256).FaultCode);

            Assert.Equal(256u, Fixture.Ok(fixture.Core.Bind(high, two)).Value);

            Assert.Equal(one.Target, fixture.Read(Fixture.Nic, 255).Address);
            Assert.Equal(two.Target, fixture.Read(Fixture.Gpu, 256).Address);
            Assert.Equal(two.Target, fixture.Read(Fixture.Nic, 256).Address);
            Assert.Equal(2, fixture.Unit.Statistics.PasidTableLeaves);
        }
    }

    [Fact]
    public void A_requester_beyond_the_device_table_is_EINVAL_and_one_that_is_there_already_EEXIST()
    {
        var fixture = new Fixture(options: ("requester-bits", "9"));
        Domain domain = fixture.Domain();
        _ = fixture.Device(domain, new RequesterId(0x1FF));

        Assert.Equal(Errno.EINVAL, fixture.TryDevice(domain, new RequesterId(0x200)).Errno);
        Assert.Equal(Errno.EINVAL, fixture.TryDevice(domain, new RequesterId(0x1_0000_000)).Errno);
        Assert.Equal(Errno.EEXIST, fixture.TryDevice(domain, new RequesterId(0x1FF)).Errno);
    }

    [Fact]
    public void A_device_that_keeps_translations_is_EOPNOTSUPP_on_hardware_without_ATS()
    {
        var fixture = new Fixture(Fixture.With(("ats", "0")));
        Domain domain = fixture.Domain();

        Assert.Equal(Errno.EOPNOTSUPP, fixture.TryDevice(domain, Fixture.Nic).Errno);
        Fixture.Ok(fixture.TryDevice(domain, Fixture.Nic, DeviceFeatures.None).Outcome);
    }

    [Fact]
    public void ASIDs_run_out_with_ENOSPC_and_come_back_with_the_process()
    {
        var fixture = new Fixture(Fixture.With(("asid-bits", "1")));
        Device device = fixture.Device(fixture.Domain(), Fixture.Nic);
        TestProcess one = fixture.Process();
        Fixture.Ok(fixture.Core.Bind(device, one));
        Pasid second = Fixture.Ok(fixture.Core.Bind(device, fixture.Process()));

        Assert.Equal(Errno.ENOSPC, fixture.Core.Bind(device, fixture.Process()).Errno);

        Fixture.Ok(fixture.Core.Unbind(device, second));
        Fixture.Ok(fixture.Core.Bind(device, fixture.Process()).Outcome);
        one.End(fixture.Core);
        Fixture.Ok(fixture.Core.Bind(device, fixture.Process()).Outcome);
    }

    [Theory]
    [InlineData(NeverDone, Errno.ETIMEDOUT), InlineData(Denied, Errno.EIO)]
    public void An_attach_that_is_not_confirmed_is_rolled_back_and_its_PASID_and_ASID_are_not_used_again(
        ulong status, Errno expected)
    {
        var fixture = new Fixture(time: new SteppingClock());
        Device device = fixture.Device(fixture.Domain(), Fixture.Nic);
        TestProcess one = fixture.Process();
        fixture.Faulty.Break(0, status);

        Refused(expected, "ref0", fixture.Core.Bind(device, one));
        fixture.Faulty.Mend();
        Assert.NotEqual(TranslationStatus.Translated, fixture.Read(Fixture.Nic, 1).Status);
        TestProcess two = fixture.Process();
        Assert.Equal(2u, Fixture.Ok(fixture.Core.Bind(device, two)).Value);
        Assert.Equal(two.Target, fixture.Read(Fixture.Nic, 2).Address);
        Assert.Contains(fixture.Model.Cached, c => c.Key.Contains("ASID 0x1 ", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(0, NeverDone, Errno.ETIMEDOUT), InlineData(1, NeverDone, Errno.ETIMEDOUT)]
    [InlineData(2, NeverDone, Errno.ETIMEDOUT), InlineData(0, Denied, Errno.EIO), InlineData(1, Denied, Errno.EIO)]
    [InlineData(2, Denied, Errno.EIO)]
    public void A_detach_that_is_not_confirmed_counts_and_its_PASID_and_ASID_are_not_used_again(
        int command, ulong status, Errno expected)
    {
        var fixture = new Fixture(time: new SteppingClock());
        Device device = fixture.Device(fixture.Domain(), Fixture.Nic);
        TestProcess one = fixture.Process();
        Pasid pasid = Fixture.Ok(fixture.Core.Bind(device, one));
        Assert.Equal(one.Target, fixture.Read(Fixture.Nic, pasid.Value).Address);
        fixture.Faulty.Break(command, status);

        Assert.Equal(expected, fixture.Core.Unbind(device, pasid).Errno);

        fixture.Faulty.Mend();
        TestProcess two = fixture.Process();
        Assert.Equal(2u, Fixture.Ok(fixture.Core.Bind(device, two)).Value);
        Assert.Equal(two.Target, fixture.Read(Fixture.Nic, 2).Address);
        Assert.Contains(fixture.Model.Cached, c => c.Key.Contains("ASID 0x1 ", StringComparison.Ordinal));
        fixture.Model.DropCaches();
        Assert.Equal((int)FaultCode.EntryNotValid, fixture.Read(Fixture.Nic, pasid.Value).FaultCode);
    }

    [Fact]
    public void D12_an_exit_that_is_not_confirmed_is_made_up_for_by_the_detach()
    {
        var fixture = new Fixture();
        Device device = fixture.Device(fixture.Domain(), Fixture.Nic);
        TestProcess process = fixture.Process();
        Pasid pasid = Fixture.Ok(fixture.Core.Bind(device, process));
        Assert.Equal(process.Target, fixture.Read(Fixture.Nic, pasid.Value).Address);
        fixture.Faulty.Break(1, Denied); // the translations of the exit

        process.End(fixture.Core);

        Assert.DoesNotContain(fixture.Model.Cached, c => c.Cache is "translation" or "device TLB");
        Assert.Equal((int)FaultCode.EntryNotValid, fixture.Read(Fixture.Nic, pasid.Value).FaultCode);
    }

    [Fact]
    public void D5_a_detach_that_is_not_the_last_invalidates_that_device_and_no_other()
    {
        var fixture = new Fixture();
        Domain domain = fixture.Domain();
        Device nic = fixture.Device(domain, Fixture.Nic);
        Device gpu = fixture.Device(domain, Fixture.Gpu);
        Device plain = fixture.Device(domain, new RequesterId(1), DeviceFeatures.None);
        TestProcess process = fixture.Process();
        Pasid pasid = Fixture.Ok(fixture.Core.Bind(nic, process));
        Fixture.Ok(fixture.Core.Bind(gpu, process).Outcome);
        Fixture.Ok(fixture.Core.Bind(plain, process).Outcome);
        fixture.Faulty.Sent.Clear();

        Fixture.Ok(fixture.Core.Unbind(plain, pasid));
        Fixture.Ok(fixture.Core.Unbind(nic, pasid));

        // The table is the domain's: what the device has is gone, and what it asks for it gets again.
        Assert.Equal([Command.InvalidateDeviceTlb(Fixture.Nic, pasid, PageRange.All)], fixture.Faulty.Sent);
        Assert.Equal(process.Target, fixture.Read(Fixture.Gpu, pasid.Value).Address);
    }

    [Fact]
    public void D5_after_an_exit_that_was_confirmed_a_detach_repeats_nothing()
    {
        var fixture = new Fixture();
        Domain domain = fixture.Domain();
        Device nic = fixture.Device(domain, Fixture.Nic);
        Device gpu = fixture.Device(domain, Fixture.Gpu);
        TestProcess process = fixture.Process();
        Pasid pasid = Fixture.Ok(fixture.Core.Bind(nic, process));
        Fixture.Ok(fixture.Core.Bind(gpu, process).Outcome);
        ulong table = fixture.Ram.ReadQword(
            (fixture.Registers.Read64(Registers.DEVICE_TABLE) & ~0xFFFUL) + (Fixture.Nic.Value * 8)) & ~0xFFFUL;
        fixture.Faulty.Sent.Clear();

        process.End(fixture.Core);

        Command entry = Command.InvalidatePasid(table, pasid, leafOnly: true);
        Assert.Equal(
            [
                entry,
                Command.InvalidateTranslations(0, PageRange.All),
                Command.InvalidateDeviceTlb(Fixture.Nic, pasid, PageRange.All),
                Command.InvalidateDeviceTlb(Fixture.Gpu, pasid, PageRange.All),
                entry,
            ],
            fixture.Faulty.Sent);
    }

    [Fact]
    public void D5_a_device_that_moves_to_another_domain_brings_nothing_along()
    {
        var fixture = new Fixture();
        Domain shared = fixture.Domain(name: "shared");
        Device nic = fixture.Device(shared, Fixture.Nic);
        Device gpu = fixture.Device(shared, Fixture.Gpu);
        TestProcess one = fixture.Process();
        Pasid pasid = Fixture.Ok(fixture.Core.Bind(gpu, one));
        Assert.Equal(one.Target, fixture.Read(Fixture.Nic, pasid.Value).Address); // by the shared table, and kept

        Fixture.Ok(fixture.Core.RemoveDevice(nic));
        Device moved = fixture.Device(fixture.Domain(name: "other"), Fixture.Nic);
        TestProcess two = fixture.Process();

        Assert.Equal(pasid, Fixture.Ok(fixture.Core.Bind(moved, two)));
        Assert.Equal(two.Target, fixture.Read(Fixture.Nic, pasid.Value).Address);
        Assert.Equal(one.Target, fixture.Read(Fixture.Gpu, pasid.Value).Address);
        Assert.Empty(fixture.Model.Violations);
    }

    [Theory]
    [InlineData(0), InlineData(1)]
    public void A_device_whose_removal_is_not_confirmed_keeps_the_table_until_Dispose_and_comes_back_clean(int command)
    {
        var fixture = new Fixture();
        Domain shared = fixture.Domain(name: "shared");
        Device nic = fixture.Device(shared, Fixture.Nic);
        Device gpu = fixture.Device(shared, Fixture.Gpu);
        TestProcess one = fixture.Process();
        Pasid pasid = Fixture.Ok(fixture.Core.Bind(gpu, one));
        Assert.Equal(one.Target, fixture.Read(Fixture.Nic, pasid.Value).Address);
        fixture.Faulty.Break(command, Denied);
        _ = fixture.Core.RemoveDevice(nic);
        fixture.Faulty.Mend();

        Device moved = fixture.Device(fixture.Domain(name: "other"), Fixture.Nic);
        TestProcess two = fixture.Process();
        Assert.Equal(pasid, Fixture.Ok(fixture.Core.Bind(moved, two)));

        Assert.Equal(two.Target, fixture.Read(Fixture.Nic, pasid.Value).Address);
        Fixture.Ok(fixture.Core.Unbind(gpu, pasid));
        Fixture.Ok(fixture.Core.RemoveDevice(gpu));
        long before = fixture.Ram.AllocatedBytes;
        Fixture.Ok(fixture.Core.RemoveDomain(shared));
        Assert.Equal(before, fixture.Ram.AllocatedBytes);
        fixture.Unit.Dispose();
        Assert.Equal(8 * 4096, fixture.Ram.AllocatedBytes); // two processes' page tables
    }

    [Fact]
    public void A_domain_whose_removal_is_not_confirmed_keeps_its_table_until_Dispose()
    {
        var fixture = new Fixture();
        Domain domain = fixture.Domain();
        long before = fixture.Ram.AllocatedBytes;
        fixture.Faulty.Break(0, Denied);

        Fixture.Ok(fixture.Core.RemoveDomain(domain));

        Assert.Equal(before, fixture.Ram.AllocatedBytes);
        fixture.Unit.Dispose();
        Assert.Equal(0, fixture.Ram.AllocatedBytes);
    }

    [Theory]
    [InlineData(0), InlineData(1)]
    public void A_device_that_is_not_confirmed_is_not_added(int command)
    {
        var fixture = new Fixture();
        Domain domain = fixture.Domain();
        fixture.Faulty.Break(command, Denied);

        Assert.Equal(Errno.EIO, fixture.TryDevice(domain, Fixture.Nic).Errno);

        fixture.Faulty.Mend();
        Assert.Equal((int)FaultCode.DeviceNotValid, fixture.Read(Fixture.Nic, 1).FaultCode);
        _ = fixture.Device(domain, Fixture.Nic);
    }

    [Fact]
    public void A_command_that_was_given_up_keeps_the_next_one_from_being_written()
    {
        var fixture = new Fixture(time: new SteppingClock());
        Device device = fixture.Device(fixture.Domain(), Fixture.Nic);
        Pasid pasid = Fixture.Ok(fixture.Core.Bind(device, fixture.Process()));
        fixture.Faulty.Break(0, NeverDone);
        Assert.Equal(Errno.ETIMEDOUT, fixture.Core.Unbind(device, pasid).Errno);

        Refused(Errno.ETIMEDOUT, "earlier command", fixture.Core.Bind(device, fixture.Process()));
        Assert.Equal(1, fixture.Faulty.Commands);
    }

    [Fact]
    public void D2_every_mixture_of_words_that_a_walk_may_have_read_is_the_old_entry_or_not_valid()
    {
        var ram = new ModelMemory(isCoherent: false, StoreOrder.Weak);
        using ReferenceTable table = Fixture.Ok(ReferenceTable.Create(ram, 20, new OrderingSync(ram)));
        var pasid = new Pasid(3);
        Fixture.Ok(table.Set(pasid, new PasidTableEntry(0x5000, 7)));
        ulong entry = (ram.ReadQword(table.Root) & ~0xFFFUL) + (3 * 16);
        ulong[] whole = [ram.ReadQword(entry), ram.ReadQword(entry + 8)];
        int live = 0;
        int dead = 0;
        ram.Settle();
        ram.Changed += _ => ram.ForEachTornRead(entry, 2, mix =>
        {
            if ((mix[0] & 1) == 1 && (mix[0] & 2) == 0)
            {
                live++;
                Assert.Equal(whole, mix.ToArray());
            }
            else
            {
                dead++;
            }
        });

        Fixture.Ok(table.Quiet(pasid));
        Fixture.Ok(table.Clear(pasid));

        Assert.True(live > 2 && dead > 2, $"{live} live, {dead} not");
    }

    [Fact]
    public void Different_domains_may_be_worked_on_at_once()
    {
        var fixture = new Fixture();
        const int Domains = 4;
        const int Rounds = 200;
        (Device Device, TestProcess[] Processes)[] work =
        [
            .. Enumerable.Range(0, Domains).Select(i => (
                fixture.Device(fixture.Domain(name: $"domain {i}"), new RequesterId((uint)(0x100 + i))),
                new[] { fixture.Process(), fixture.Process() })),
        ];
        Race.Run(Domains, (thread, start) =>
        {
            (Device device, TestProcess[] processes) = work[thread];
            for (int round = 0; round < Rounds; round++)
            {
                start.SignalAndWait();
                TestProcess process = processes[round % 2];
                Pasid pasid = Fixture.Ok(fixture.Core.Bind(device, process));
                Assert.Equal(process.Target, fixture.Read(device.Requester, pasid.Value).Address);
                Fixture.Ok(fixture.Core.Invalidate(process, 0, 0));
                Fixture.Ok(fixture.Core.Unbind(device, pasid));
            }
        });

        Assert.Empty(fixture.Model.Violations);
        Assert.DoesNotContain(fixture.Model.Cached, c => c.Cache is "translation" or "device TLB");
    }
}
