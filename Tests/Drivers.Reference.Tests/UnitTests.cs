using PasidFramework.Contracts;
using PasidFramework.Drivers.Reference.Formats;
using PasidFramework.Drivers.Reference.Tables;
using PasidFramework.Engine;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace PasidFramework.Drivers.Reference.Tests;

public sealed class UnitTests
{
    private const ulong NeverDone = 0;
    private const ulong Refused = 3;

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
        var rig = new Rig(options: (name, value));

        OpResult<IIommuUnit> unit = rig.Start();

        Assert.Equal(Errno.EINVAL, unit.Errno);
        Assert.Contains(name, unit.Reason, StringComparison.Ordinal);
        Assert.Contains(allowed, unit.Reason, StringComparison.Ordinal);
        Assert.Equal(0, rig.Ram.AllocatedBytes);
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(ulong.MaxValue)]
    [InlineData(0x10_2142UL)] // version 2
    [InlineData(0x10_2151UL)] // PASIDs of 21 bits
    [InlineData(0x10_0141UL)] // no ASIDs
    [InlineData(0x10_2341UL)] // ASIDs of 17 bits
    [InlineData(0x00_2141UL)] // no fault records
    public void Hardware_whose_ID_is_not_that_of_a_reference_IOMMU_is_ENODEV(ulong id)
    {
        var rig = new Rig();
        rig.Faulty.Stuck[Registers.ID] = id;

        OpResult<IIommuUnit> unit = rig.Start();

        Assert.Equal(Errno.ENODEV, unit.Errno);
        Assert.Equal(0, rig.Ram.AllocatedBytes);
    }

    [Fact]
    public void Hardware_without_PASIDs_starts_and_refuses_every_domain()
    {
        var rig = new Rig(new HardwareSetup { PasidBits = 0 });

        Assert.Equal(0, rig.Unit.PasidBits);
        Assert.Equal(Errno.EINVAL, rig.Core.CreateDomain(rig.Instance, "domain", 1).Errno);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Hardware_that_does_not_switch_is_ETIMEDOUT_whatever_the_clock_does(bool isClockStopped)
    {
        var rig = new Rig(time: isClockStopped ? new StoppedClock() : new SteppingClock());
        rig.Faulty.Stuck[Registers.CONTROL] = 0;

        OpResult<IIommuUnit> unit = rig.Start();

        Assert.Equal(Errno.ETIMEDOUT, unit.Errno);
        Assert.Equal(0, rig.Ram.AllocatedBytes);
    }

    [Fact]
    public void Hardware_that_does_not_go_off_keeps_its_tables_from_being_freed()
    {
        var rig = new Rig(time: new SteppingClock());
        IIommuUnit unit = rig.Unit;
        rig.Faulty.Stuck[Registers.CONTROL] = Control.ENABLED.WordMask;
        long before = rig.Ram.AllocatedBytes;

        unit.Dispose();

        Assert.True(before > 0);
        Assert.Equal(before, rig.Ram.AllocatedBytes);
    }

    [Fact]
    public void A_unit_that_was_left_on_is_switched_off_first()
    {
        var rig = new Rig();
        _ = rig.Unit;

        Rig.Ok(rig.Start());

        Assert.Empty(rig.Model.Complaints);
    }

    [Fact]
    public void Dispose_gives_everything_back_with_domains_and_bindings_alive()
    {
        var rig = new Rig();
        Domain domain = rig.Domain();
        Rig.Ok(rig.Core.Bind(rig.Device(domain, Rig.Nic), rig.Process()));
        long tables = rig.Ram.AllocatedBytes;

        rig.Unit.Dispose();
        rig.Unit.Dispose();

        Assert.Equal(4 * 4096, rig.Ram.AllocatedBytes); // the process's page tables
        Assert.True(tables > rig.Ram.AllocatedBytes);
        Assert.Equal(default(UnitStatistics) with { Commands = rig.Unit.Statistics.Commands }, rig.Unit.Statistics);
    }

    [Theory]
    [InlineData(1, 1u, 1)]
    [InlineData(8, 255u, 1)]
    [InlineData(9, 256u, 1)]
    [InlineData(9, 511u, 1)]
    [InlineData(20, 0x12345u, 8)]
    [InlineData(20, 0xFFFFFu, 8)]
    public void D7_D8_the_last_number_of_a_width_works_and_takes_one_leaf(int bits, uint pasid, int directoryPages)
    {
        var rig = new Rig();
        Domain domain = rig.Domain(bits);
        Device device = rig.Device(domain, Rig.Nic, first: pasid);
        TestProcess process = rig.Process();

        Assert.Equal(pasid, Rig.Ok(rig.Core.Bind(device, process)).Value);

        Assert.Equal(process.Target, rig.Read(Rig.Nic, pasid).Address);
        Assert.Equal((directoryPages + 1) * 4096, rig.Unit.Statistics.PasidTableBytes);
        Assert.Equal(1, rig.Unit.Statistics.PasidTableLeaves);
        if (pasid < Pasid.MaxValue)
        {
            Assert.NotEqual(TranslationStatus.Translated, rig.Read(Rig.Nic, pasid + 1).Status);
        }

        Assert.Empty(rig.Model.Complaints);
    }

    [Fact]
    public void D3_D8_a_second_leaf_is_seen_although_its_absence_was_kept_and_disturbs_nobody()
    {
        foreach (StoreOrder order in Enum.GetValues<StoreOrder>())
        {
            var rig = new Rig(new HardwareSetup { Coherent = false }, order: order);
            Domain domain = rig.Domain();
            Device low = rig.Device(domain, Rig.Nic, first: 255);
            Device high = rig.Device(domain, Rig.Gpu, first: 256);
            TestProcess one = rig.Process();
            TestProcess two = rig.Process();
            Rig.Ok(rig.Core.Bind(low, one));
            Assert.Equal((int)FaultCode.DirectoryNotValid, rig.Read(Rig.Nic, 256).FaultCode);

            Assert.Equal(256u, Rig.Ok(rig.Core.Bind(high, two)).Value);

            Assert.Equal(one.Target, rig.Read(Rig.Nic, 255).Address);
            Assert.Equal(two.Target, rig.Read(Rig.Gpu, 256).Address);
            Assert.Equal(two.Target, rig.Read(Rig.Nic, 256).Address);
            Assert.Equal(2, rig.Unit.Statistics.PasidTableLeaves);
        }
    }

    [Fact]
    public void A_requester_beyond_the_device_table_is_EINVAL_and_one_that_is_there_already_EEXIST()
    {
        var rig = new Rig(options: ("requester-bits", "9"));
        Domain domain = rig.Domain();
        _ = rig.Device(domain, new RequesterId(0x1FF));

        Assert.Equal(Errno.EINVAL, rig.TryDevice(domain, new RequesterId(0x200)).Errno);
        Assert.Equal(Errno.EINVAL, rig.TryDevice(domain, new RequesterId(0x1_0000_000)).Errno);
        Assert.Equal(Errno.EEXIST, rig.TryDevice(domain, new RequesterId(0x1FF)).Errno);
    }

    [Fact]
    public void A_device_that_keeps_translations_is_EOPNOTSUPP_on_hardware_without_ATS()
    {
        var rig = new Rig(Rig.With(("ats", "0")));
        Domain domain = rig.Domain();

        Assert.Equal(Errno.EOPNOTSUPP, rig.TryDevice(domain, Rig.Nic).Errno);
        Rig.Ok(rig.TryDevice(domain, Rig.Nic, DeviceFeatures.None).Outcome);
    }

    [Fact]
    public void ASIDs_run_out_with_ENOSPC_and_come_back_with_the_process()
    {
        var rig = new Rig(Rig.With(("asid-bits", "1")));
        Device device = rig.Device(rig.Domain(), Rig.Nic);
        TestProcess one = rig.Process();
        Rig.Ok(rig.Core.Bind(device, one));
        Pasid second = Rig.Ok(rig.Core.Bind(device, rig.Process()));

        Assert.Equal(Errno.ENOSPC, rig.Core.Bind(device, rig.Process()).Errno);

        Rig.Ok(rig.Core.Unbind(device, second));
        Rig.Ok(rig.Core.Bind(device, rig.Process()).Outcome);
        one.End(rig.Core);
        Rig.Ok(rig.Core.Bind(device, rig.Process()).Outcome);
    }

    [Theory]
    [InlineData(NeverDone, Errno.ETIMEDOUT)]
    [InlineData(Refused, Errno.EIO)]
    public void An_attach_that_is_not_confirmed_is_undone_and_its_number_and_ASID_are_not_used_again(
        ulong status, Errno expected)
    {
        var rig = new Rig(time: new SteppingClock());
        Device device = rig.Device(rig.Domain(), Rig.Nic);
        TestProcess one = rig.Process();
        rig.Faulty.Break(0, status);

        OpResult<Pasid> refused = rig.Core.Bind(device, one);

        Assert.Equal(expected, refused.Errno);
        Assert.Contains("ref0", refused.Reason, StringComparison.Ordinal);
        rig.Faulty.Mend();
        Assert.NotEqual(TranslationStatus.Translated, rig.Read(Rig.Nic, 1).Status);
        TestProcess two = rig.Process();
        Assert.Equal(2u, Rig.Ok(rig.Core.Bind(device, two)).Value);
        Assert.Equal(two.Target, rig.Read(Rig.Nic, 2).Address);

        // Where the undoing was confirmed, the ASID is free again; a stuck unit confirms nothing.
        bool isKept = status == NeverDone;
        string asid = isKept ? "ASID 0x1 " : "ASID 0x0 ";
        Assert.Contains(rig.Model.Cached, c => c.Key.Contains(asid, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(0, NeverDone, Errno.ETIMEDOUT)]
    [InlineData(1, NeverDone, Errno.ETIMEDOUT)]
    [InlineData(2, NeverDone, Errno.ETIMEDOUT)]
    [InlineData(0, Refused, Errno.EIO)]
    [InlineData(1, Refused, Errno.EIO)]
    [InlineData(2, Refused, Errno.EIO)]
    public void A_detach_that_is_not_confirmed_counts_and_its_number_and_ASID_are_not_used_again(
        int command, ulong status, Errno expected)
    {
        var rig = new Rig(time: new SteppingClock());
        Device device = rig.Device(rig.Domain(), Rig.Nic);
        TestProcess one = rig.Process();
        Pasid pasid = Rig.Ok(rig.Core.Bind(device, one));
        Assert.Equal(one.Target, rig.Read(Rig.Nic, pasid.Value).Address);
        rig.Faulty.Break(command, status);

        Assert.Equal(expected, rig.Core.Unbind(device, pasid).Errno);

        rig.Faulty.Mend();
        TestProcess two = rig.Process();
        Assert.Equal(2u, Rig.Ok(rig.Core.Bind(device, two)).Value);
        Assert.Equal(two.Target, rig.Read(Rig.Nic, 2).Address);
        Assert.Contains(rig.Model.Cached, c => c.Key.Contains("ASID 0x1 ", StringComparison.Ordinal));
        rig.Model.DropCaches();
        Assert.Equal((int)FaultCode.EntryNotValid, rig.Read(Rig.Nic, pasid.Value).FaultCode);
    }

    [Fact]
    public void D12_an_exit_that_is_not_confirmed_is_made_up_for_by_the_detach()
    {
        var rig = new Rig();
        Device device = rig.Device(rig.Domain(), Rig.Nic);
        TestProcess process = rig.Process();
        Pasid pasid = Rig.Ok(rig.Core.Bind(device, process));
        Assert.Equal(process.Target, rig.Read(Rig.Nic, pasid.Value).Address);
        rig.Faulty.Break(1, Refused); // the translations of the exit

        process.End(rig.Core);

        Assert.DoesNotContain(rig.Model.Cached, c => c.Cache is "translation" or "device TLB");
        Assert.Equal((int)FaultCode.EntryNotValid, rig.Read(Rig.Nic, pasid.Value).FaultCode);
    }

    [Fact]
    public void D5_a_detach_that_is_not_the_last_tells_that_device_and_no_other()
    {
        var rig = new Rig();
        Domain domain = rig.Domain();
        Device nic = rig.Device(domain, Rig.Nic);
        Device gpu = rig.Device(domain, Rig.Gpu);
        Device plain = rig.Device(domain, new RequesterId(1), DeviceFeatures.None);
        TestProcess process = rig.Process();
        Pasid pasid = Rig.Ok(rig.Core.Bind(nic, process));
        Rig.Ok(rig.Core.Bind(gpu, process).Outcome);
        Rig.Ok(rig.Core.Bind(plain, process).Outcome);
        rig.Faulty.Sent.Clear();

        Rig.Ok(rig.Core.Unbind(plain, pasid));
        Rig.Ok(rig.Core.Unbind(nic, pasid));

        // The table is the domain's: what the device has is gone, and what it asks for it gets again.
        Assert.Equal([Command.InvalidateDeviceTlb(Rig.Nic, pasid, PageRange.All)], rig.Faulty.Sent);
        Assert.Equal(process.Target, rig.Read(Rig.Gpu, pasid.Value).Address);
    }

    [Fact]
    public void D5_after_an_exit_that_was_confirmed_a_detach_repeats_nothing()
    {
        var rig = new Rig();
        Domain domain = rig.Domain();
        Device nic = rig.Device(domain, Rig.Nic);
        Device gpu = rig.Device(domain, Rig.Gpu);
        TestProcess process = rig.Process();
        Pasid pasid = Rig.Ok(rig.Core.Bind(nic, process));
        Rig.Ok(rig.Core.Bind(gpu, process).Outcome);
        ulong table = rig.Ram.ReadQword(
            (rig.Registers.Read64(Registers.DEVICE_TABLE) & ~0xFFFUL) + (Rig.Nic.Value * 8)) & ~0xFFFUL;
        rig.Faulty.Sent.Clear();

        process.End(rig.Core);

        Command entry = Command.InvalidatePasid(table, pasid, leafOnly: true);
        Assert.Equal(
            [
                entry,
                Command.InvalidateTranslations(0, PageRange.All),
                Command.InvalidateDeviceTlb(Rig.Nic, pasid, PageRange.All),
                Command.InvalidateDeviceTlb(Rig.Gpu, pasid, PageRange.All),
                entry,
            ],
            rig.Faulty.Sent);
    }

    [Fact]
    public void D5_a_device_that_moves_to_another_domain_brings_nothing_along()
    {
        var rig = new Rig();
        Domain shared = rig.Domain(name: "shared");
        Device nic = rig.Device(shared, Rig.Nic);
        Device gpu = rig.Device(shared, Rig.Gpu);
        TestProcess one = rig.Process();
        Pasid pasid = Rig.Ok(rig.Core.Bind(gpu, one));
        Assert.Equal(one.Target, rig.Read(Rig.Nic, pasid.Value).Address); // by the shared table, and kept

        Rig.Ok(rig.Core.RemoveDevice(nic));
        Device moved = rig.Device(rig.Domain(name: "other"), Rig.Nic);
        TestProcess two = rig.Process();

        Assert.Equal(pasid, Rig.Ok(rig.Core.Bind(moved, two)));
        Assert.Equal(two.Target, rig.Read(Rig.Nic, pasid.Value).Address);
        Assert.Equal(one.Target, rig.Read(Rig.Gpu, pasid.Value).Address);
        Assert.Empty(rig.Model.Complaints);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void A_device_whose_removal_is_not_confirmed_keeps_the_table_until_Dispose_and_comes_back_clean(int command)
    {
        var rig = new Rig();
        Domain shared = rig.Domain(name: "shared");
        Device nic = rig.Device(shared, Rig.Nic);
        Device gpu = rig.Device(shared, Rig.Gpu);
        TestProcess one = rig.Process();
        Pasid pasid = Rig.Ok(rig.Core.Bind(gpu, one));
        Assert.Equal(one.Target, rig.Read(Rig.Nic, pasid.Value).Address);
        rig.Faulty.Break(command, Refused);
        _ = rig.Core.RemoveDevice(nic);
        rig.Faulty.Mend();

        Device moved = rig.Device(rig.Domain(name: "other"), Rig.Nic);
        TestProcess two = rig.Process();
        Assert.Equal(pasid, Rig.Ok(rig.Core.Bind(moved, two)));

        Assert.Equal(two.Target, rig.Read(Rig.Nic, pasid.Value).Address);
        Rig.Ok(rig.Core.Unbind(gpu, pasid));
        Rig.Ok(rig.Core.RemoveDevice(gpu));
        long before = rig.Ram.AllocatedBytes;
        Rig.Ok(rig.Core.RemoveDomain(shared));
        Assert.Equal(before, rig.Ram.AllocatedBytes);
        rig.Unit.Dispose();
        Assert.Equal(8 * 4096, rig.Ram.AllocatedBytes); // two processes' page tables
    }

    [Fact]
    public void A_domain_whose_removal_is_not_confirmed_keeps_its_table_until_Dispose()
    {
        var rig = new Rig();
        Domain domain = rig.Domain();
        long before = rig.Ram.AllocatedBytes;
        rig.Faulty.Break(0, Refused);

        Rig.Ok(rig.Core.RemoveDomain(domain));

        Assert.Equal(before, rig.Ram.AllocatedBytes);
        rig.Unit.Dispose();
        Assert.Equal(0, rig.Ram.AllocatedBytes);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void A_device_that_is_not_confirmed_is_not_added(int command)
    {
        var rig = new Rig();
        Domain domain = rig.Domain();
        rig.Faulty.Break(command, Refused);

        Assert.Equal(Errno.EIO, rig.TryDevice(domain, Rig.Nic).Errno);

        rig.Faulty.Mend();
        Assert.Equal((int)FaultCode.DeviceNotValid, rig.Read(Rig.Nic, 1).FaultCode);
        _ = rig.Device(domain, Rig.Nic);
    }

    [Fact]
    public void A_command_that_was_given_up_keeps_the_next_one_from_being_written()
    {
        var rig = new Rig(time: new SteppingClock());
        Device device = rig.Device(rig.Domain(), Rig.Nic);
        Pasid pasid = Rig.Ok(rig.Core.Bind(device, rig.Process()));
        rig.Faulty.Break(0, NeverDone);
        Assert.Equal(Errno.ETIMEDOUT, rig.Core.Unbind(device, pasid).Errno);

        OpResult<Pasid> next = rig.Core.Bind(device, rig.Process());

        Assert.Equal(Errno.ETIMEDOUT, next.Errno);
        Assert.Contains("earlier command", next.Reason, StringComparison.Ordinal);
        Assert.Equal(1, rig.Faulty.Commands);
    }

    [Fact]
    public void The_nth_allocation_that_fails_leaves_nothing_behind()
    {
        for (int n = 0; n < 20; n++)
        {
            var rig = new Rig();
            rig.Failing.AllocationsLeft = n;
            OpResult<IIommuUnit> started = rig.Start();
            if (!started.IsOk)
            {
                Assert.Equal(Errno.ENOMEM, started.Errno);
                Assert.Equal(0, rig.Ram.AllocatedBytes);
                continue;
            }

            IommuCore core = rig.Core;
            IommuInstance instance = core.AddInstance("reference", started.Value);
            Errno? refused = null;
            int domains = 0;
            foreach (uint first in new uint[] { 1, 0x300 })
            {
                long before = rig.Ram.AllocatedBytes;
                OpResult<Domain> domain = core.CreateDomain(instance, $"domain {first}", 20);
                if (!domain.IsOk)
                {
                    refused = domain.Errno;
                    Assert.Equal(before, rig.Ram.AllocatedBytes);
                    break;
                }

                domains++;
                Device device = Rig.Ok(core.AddDevice(
                    domain.Value, "device", new RequesterId(first), new PasidRange(first, Pasid.MaxValue)));
                TestProcess process = rig.Process();
                before = rig.Ram.AllocatedBytes;
                OpResult<Pasid> bound = core.Bind(device, process);
                if (!bound.IsOk)
                {
                    refused = bound.Errno;
                    Assert.Equal(before, rig.Ram.AllocatedBytes);
                    Assert.Equal((int)FaultCode.DirectoryNotValid, rig.Read(device.Requester, first).FaultCode);
                    rig.Failing.AllocationsLeft = null;
                    bound = core.Bind(device, process);
                }

                Assert.Equal(first, Rig.Ok(bound).Value);
                Assert.Equal(process.Target, rig.Read(device.Requester, first).Address);
                process.End(core);
                process.Tables.Dispose();
                Rig.Ok(core.RemoveDevice(device));
            }

            Assert.Equal(n < 5 ? Errno.ENOMEM : null, refused);
            core.Dispose();
            Assert.Equal(0, rig.Ram.AllocatedBytes);
            Assert.Empty(rig.Model.Complaints);
            Assert.True(domains > 0 || refused is not null);
        }
    }

    [Fact]
    public void A_page_table_that_does_not_fit_the_entry_is_EINVAL()
    {
        var rig = new Rig();
        PasidTable table = Rig.Ok(PasidTable.Create(rig.Ram, 20));

        Assert.Equal(Errno.EINVAL, table.Install(new Pasid(1), 0x1001, 1).Errno);
        Assert.Equal(Errno.EINVAL, table.Install(new Pasid(1), 1UL << 52, 1).Errno);
        Assert.True(Rig.Ok(table.Install(new Pasid(1), 0x1000, 1)));
        Assert.Equal(Errno.EEXIST, table.Install(new Pasid(1), 0x2000, 2).Errno);
        table.Silence(new Pasid(1));
        Assert.Equal(Errno.EEXIST, table.Install(new Pasid(1), 0x2000, 2).Errno);
        table.Clear(new Pasid(1));
        Assert.False(Rig.Ok(table.Install(new Pasid(1), 0x2000, 2)));
    }

    [Fact]
    public void D7_a_number_beyond_the_width_is_EINVAL()
    {
        var rig = new Rig();
        PasidTable table = Rig.Ok(PasidTable.Create(rig.Ram, 9));

        Assert.Equal(Errno.EINVAL, table.Install(new Pasid(512), 0x1000, 1).Errno);
        Rig.Ok(table.Install(new Pasid(511), 0x1000, 1).Outcome);
    }

    [Fact]
    public void D2_every_mixture_of_words_that_a_walk_may_have_read_is_the_old_entry_or_not_valid()
    {
        var ram = new ModelMemory(isCoherent: false, StoreOrder.Weak);
        PasidTable table = Rig.Ok(PasidTable.Create(ram, 20));
        var pasid = new Pasid(3);
        Rig.Ok(table.Install(pasid, 0x5000, 7).Outcome);
        ulong entry = (ram.ReadQword(table.Root) & ~0xFFFUL) + (3 * 16);
        ulong[] whole = [ram.ReadQword(entry), ram.ReadQword(entry + 8)];
        int live = 0;
        int dead = 0;
        ram.Settle();
        ram.Changed += _ => ram.ForEachMix(entry, 2, mix =>
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

        table.Silence(pasid);
        table.Clear(pasid);

        Assert.True(live > 2 && dead > 2, $"{live} live, {dead} not");
    }

    [Fact]
    public void Different_domains_may_be_worked_on_at_once()
    {
        var rig = new Rig();
        const int Domains = 4;
        const int Rounds = 200;
        (Device Device, TestProcess[] Processes)[] work =
        [
            .. Enumerable.Range(0, Domains).Select(i => (
                rig.Device(rig.Domain(name: $"domain {i}"), new RequesterId((uint)(0x100 + i))),
                new[] { rig.Process(), rig.Process() })),
        ];
        using var start = new Barrier(Domains);
        Thread[] threads =
        [
            .. work.Select(w => new Thread(() =>
            {
                for (int round = 0; round < Rounds; round++)
                {
                    start.SignalAndWait();
                    TestProcess process = w.Processes[round % 2];
                    Pasid pasid = Rig.Ok(rig.Core.Bind(w.Device, process));
                    if (rig.Read(w.Device.Requester, pasid.Value).Address != process.Target)
                    {
                        Volatile.Write(ref s_wrong, 1);
                    }

                    Rig.Ok(rig.Core.Invalidate(process, 0, 0));
                    Rig.Ok(rig.Core.Unbind(w.Device, pasid));
                }
            })),
        ];
        foreach (Thread thread in threads)
        {
            thread.Start();
        }

        foreach (Thread thread in threads)
        {
            thread.Join();
        }

        Assert.Equal(0, Volatile.Read(ref s_wrong));
        Assert.Empty(rig.Model.Complaints);
        Assert.DoesNotContain(rig.Model.Cached, c => c.Cache is "translation" or "device TLB");
    }

    private static int s_wrong;
}
