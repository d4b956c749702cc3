// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Tests;

/// <summary>The unit on the stand-in hardware, without the core: start, commands, removal, failures.</summary>
public sealed class UnitTests
{
    private const ulong Root = 0x8_9000_0000;

    [Fact]
    public void Start_enables_the_unit_after_forgetting_everything()
    {
        using var fixture = new Fixture();
        OpResult<IIommuUnit> started = fixture.TryStart();
        Assert.True(started.IsOk, started.ToString());

        Assert.Equal(["CFGI_ALL", "TLBI_NSNH_ALL", "SYNC"], fixture.TakeLog());
        Assert.Equal(0b11101u, fixture.Registers.Read32(0x20));
        Assert.Equal(0b110u, fixture.Registers.Read32(0x2C));
        Assert.Equal(0x0D75u, fixture.Registers.Read32(0x28));
        Assert.Equal(1u << 20, fixture.Registers.Read32(0x44));
        Assert.Equal(0x00010210u, fixture.Registers.Read32(0x88));
        Assert.Equal("smmu0", started.Value.Name);
        Assert.Equal(20, started.Value.PasidBits);
        Assert.Equal([new Pasid(0)], started.Value.ReservedPasids);
        Assert.Equal(PasidScope.Domain, started.Value.VendorScope);
        Assert.Equal(new UnitStatistics(0, 0, 3), started.Value.Statistics);
        started.Value.Dispose();
        started.Value.Dispose();
        Assert.Equal(0u, fixture.Registers.Read32(0x20));
        Assert.Equal(0, fixture.AllocatedBytes);
    }

    [Theory]
    [InlineData(0x00, 1u << 1, 0u, "IDR0.S1P"), InlineData(0x00, 3u << 2, 1u << 2, "IDR0.TTF")]
    [InlineData(0x00, 3u << 24, 2u << 24, "IDR0.STALL_MODEL"), InlineData(0x00, 1u << 19, 0u, "IDR0.CD2L")]
    [InlineData(0x04, 31u << 6, 0u, "IDR1.SSIDSIZE"), InlineData(0x04, 1u << 29, 1u << 29, "IDR1.QUEUES_PRESET")]
    [InlineData(0x04, 1u << 30, 1u << 30, "IDR1.TABLES_PRESET"), InlineData(0x14, 1u << 4, 0u, "IDR5.GRAN4K")]
    public void Hardware_that_lacks_something_is_ENODEV_naming_the_field(
        int register, uint mask, uint value, string field)
    {
        using var fixture = new Fixture();
        fixture.Bent.Reads[register] = actual => (actual & ~mask) | value;

        OpResult<IIommuUnit> refused = fixture.TryStart();

        Assert.Equal(Errno.ENODEV, refused.Errno);
        Assert.StartsWith($"smmu0: {field} is ", refused.Reason, StringComparison.Ordinal);
        Assert.Equal(0, fixture.AllocatedBytes);
    }

    [Fact]
    public void Without_two_level_tables_a_unit_limited_to_10_bits_starts()
    {
        using var fixture = new Fixture(("cd2l", "0"));
        Assert.Equal(Errno.ENODEV, fixture.TryStart(11).Errno);
        using SmmuUnit unit = fixture.Start(10);
        Assert.Equal(10, unit.PasidBits);
    }

    [Theory]
    [InlineData(20, 9, 9), InlineData(9, 20, 9), InlineData(16, 16, 16)]
    public void The_width_is_the_smaller_one_of_hardware_and_limit(int hardware, int limit, int expected)
    {
        using var fixture = new Fixture(new HardwareSetup { PasidBits = hardware });
        using SmmuUnit unit = fixture.Start(limit);
        Assert.Equal(expected, unit.PasidBits);
        Assert.Equal(Errno.EINVAL, unit.CreateDomain(expected + 1).Errno);
        Assert.Equal(Errno.EINVAL, unit.CreateDomain(0).Errno);
        Assert.True(unit.CreateDomain(expected).IsOk);
    }

    [Theory]
    [InlineData("command-queue-log2", "0"), InlineData("command-queue-log2", "20"), InlineData("event-queue-log2", "x")]
    [InlineData("poll-limit", "-1"), InlineData("speed", "1")]
    public void An_unknown_option_or_value_is_EINVAL_with_its_name(string name, string value)
    {
        using var fixture = new Fixture();
        Refused(Errno.EINVAL, name, fixture.TryStart(20, (name, value)));
    }

    [Theory]
    [InlineData(0x24, 0u, "CR0ACK"), InlineData(0x44, 1u << 31, "GBPA.UPDATE"), InlineData(0x9C, 0u, "CMDQ_CONS")]
    public void A_register_that_never_answers_is_ETIMEDOUT_with_its_name(int register, uint value, string name)
    {
        using var fixture = new Fixture();
        fixture.Bent.Reads[register] = _ => value;

        Refused(Errno.ETIMEDOUT, name, fixture.TryStart(20, ("poll-limit", "50")));

        // CR0ACK says 0, that is "off": then everything can be freed. Where it says nothing of the kind it must stay.
        Assert.Equal(0, fixture.AllocatedBytes);
    }

    [Fact]
    public void A_unit_that_cannot_be_switched_off_keeps_its_memory()
    {
        using var fixture = new Fixture();
        SmmuUnit unit = fixture.Start(20, ("poll-limit", "50"));
        fixture.Bent.Reads[0x24] = _ => 1;
        unit.Dispose();
        Assert.NotEqual(0, fixture.AllocatedBytes);
    }

    [Fact]
    public void Each_allocation_that_fails_is_ENOMEM_and_leaks_nothing()
    {
        int attempts = 0;
        bool done = false;
        while (!done)
        {
            var memory = new ObservedMemory(0x8_4000_0000) { FailAllocation = ++attempts };
            using var fixture = new Fixture(null, memory);
            OpResult<IIommuUnit> started = fixture.TryStart();
            if (!started.IsOk)
            {
                Assert.Equal(Errno.ENOMEM, started.Errno);
                Assert.Equal(0, memory.AllocatedBytes);
                continue;
            }

            var unit = (SmmuUnit)started.Value;
            done = Use(unit);
            unit.Dispose();
            Assert.Equal(0, memory.AllocatedBytes);
        }

        // Stream table, command queue, event queue; context table, stream leaf, context leaf.
        Assert.Equal(7, attempts);

        static bool Use(SmmuUnit unit)
        {
            OpResult<SmmuDomain> domain = unit.CreateDomain(20);
            if (!domain.IsOk)
            {
                Assert.Equal(Errno.ENOMEM, domain.Errno);
                return false;
            }

            OpResult<UnitDevice> stream = unit.AddStream(domain.Value, new RequesterId(0x18), ats: true);
            if (!stream.IsOk)
            {
                Assert.Equal(Errno.ENOMEM, stream.Errno);
                Assert.True(domain.Value.Devices.IsEmpty);
                unit.RemoveDomain(domain.Value);
                return false;
            }

            UnitProcess process = unit.CreateProcess().Value!;
            var link = new SmmuLink(process);
            OpResult attached = domain.Value.Attach(link, new Pasid(1), Root, first: true);
            if (!attached.IsOk)
            {
                Assert.Equal(Errno.ENOMEM, attached.Errno);
                Assert.False(process.IsTainted);
            }

            unit.FreeProcess(process);
            Assert.Equal(0, unit.Asids.LiveCount);
            return attached.IsOk;
        }
    }

    [Fact]
    public void A_device_gets_a_whole_entry_and_EATS_only_where_both_sides_speak_ATS()
    {
        var memory = new ObservedMemory(0x8_4000_0000);
        using var fixture = new Fixture(null, memory, ("sid-bits", "8"));
        using SmmuUnit unit = fixture.Start();
        SmmuDomain domain = unit.CreateDomain(20).Value!;
        fixture.TakeLog();

        UnitDevice with = unit.AddStream(domain, new RequesterId(0x18), ats: true).Value!;
        Assert.Equal(["CFGI_STE 18 leaf=1", "SYNC", "CFGI_STE 18 leaf=1", "SYNC"], fixture.TakeLog());
        UnitDevice without = unit.AddStream(domain, new RequesterId(0x19), ats: false).Value!;

        ulong table = fixture.Registers.Read64(0x80) & 0x000F_FFFF_FFFF_FFC0;
        Assert.Equal(
            new DecodedSte(true, 5, 2, domain.Table.Root, 20, 2, 1, 1, 3, 1),
            DecodedSte.From(memory.WalkerWords(table + (0x18 * 64), 8)));
        Assert.True(DecodedSte.IsClean(memory.WalkerWords(table + (0x18 * 64), 8)));
        Assert.Equal(0, DecodedSte.From(memory.WalkerWords(table + (0x19 * 64), 8)).Eats);
        Assert.True(with.HasTlb);
        Assert.False(without.HasTlb);

        using var plain = new Fixture(("ats", "0"));
        using SmmuUnit noAts = plain.Start();
        Assert.False(noAts.AddStream(noAts.CreateDomain(8).Value!, new RequesterId(1), ats: true).Value!.HasTlb);
        Assert.Equal(0b01101u, plain.Registers.Read32(0x20));
    }

    [Fact]
    public void A_stream_id_that_is_taken_or_out_of_range_is_refused_and_leaves_the_domain_without_it()
    {
        using var fixture = new Fixture();
        using SmmuUnit unit = fixture.Start();
        SmmuDomain domain = unit.CreateDomain(20).Value!;
        unit.AddStream(domain, new RequesterId(7), ats: false);

        Assert.Equal(Errno.EEXIST, unit.AddStream(domain, new RequesterId(7), ats: false).Errno);
        Assert.Equal(Errno.EINVAL, unit.AddStream(domain, new RequesterId(0x10000), ats: false).Errno);
        Assert.Equal(1, domain.Devices.Length);
        Assert.Throws<InvalidOperationException>(() => unit.RemoveDomain(domain));
    }

    [Fact]
    public void Removing_a_device_takes_its_entry_out_of_every_cache_before_the_domain_forgets_it()
    {
        using var fixture = new Fixture();
        using SmmuUnit unit = fixture.Start();
        SmmuDomain domain = unit.CreateDomain(20).Value!;
        UnitDevice stream = unit.AddStream(domain, new RequesterId(7), ats: true).Value!;
        fixture.TakeLog();

        unit.RemoveStream(stream);

        Assert.Equal(
            ["CFGI_STE 7 leaf=1", "SYNC", "CFGI_CD_ALL 7", "SYNC", "ATC_INV 7/0 size=52", "ATC_INV 7 size=52", "SYNC"],
            fixture.TakeLog());
        Assert.Equal(0x04, fixture.Read(7, 1).FaultCode);
        Assert.True(domain.Devices.IsEmpty);
        unit.RemoveDomain(domain);
        Assert.Equal(0, unit.Statistics.PasidTableBytes);
    }

    [Fact]
    public void D5_detach_invalidates_configuration_of_every_stream_then_the_tlb_then_the_device()
    {
        using var fixture = new Fixture();
        using SmmuUnit unit = fixture.Start();
        SmmuDomain domain = unit.CreateDomain(20).Value!;
        UnitDevice a = unit.AddStream(domain, new RequesterId(0xA), ats: true).Value!;
        UnitDevice b = unit.AddStream(domain, new RequesterId(0xB), ats: true).Value!;
        UnitDevice c = unit.AddStream(domain, new RequesterId(0xC), ats: false).Value!;
        var link = new SmmuLink(unit.CreateProcess().Value!);
        var pasid = new Pasid(5);
        fixture.TakeLog();

        // The path to the new leaf, which has the descriptor in it already: for each stream, bound or not.
        Assert.True(domain.Attach(link, pasid, Root, first: true).IsOk);
        string[] all = ["CFGI_CD a/5 leaf=1", "CFGI_CD b/5 leaf=1", "CFGI_CD c/5 leaf=1", "SYNC"];
        Assert.Equal(["CFGI_CD a/5 leaf=0", "CFGI_CD b/5 leaf=0", "CFGI_CD c/5 leaf=0", "SYNC"], fixture.TakeLog());
        Assert.True(domain.Attach(link, pasid, Root, first: false).IsOk);
        Assert.True(domain.Attach(link, pasid, Root, first: false).IsOk);
        Assert.Empty(fixture.TakeLog());

        Assert.True(domain.Detach(link, b, pasid, last: false).IsOk);
        Assert.Equal(["ATC_INV b/5 size=52", "SYNC"], fixture.TakeLog());
        Assert.Equal(Root, fixture.Read(0xA, 5).PageTableRoot);

        Assert.True(domain.Detach(link, c, pasid, last: false).IsOk);
        Assert.Empty(fixture.TakeLog());

        Assert.True(domain.Detach(link, a, pasid, last: true).IsOk);
        Assert.Equal([.. all, "TLBI_NH_ASID 1", "SYNC", "ATC_INV a/5 size=52", "ATC_INV b/5 size=52", "SYNC"],
            fixture.TakeLog());
        Assert.Equal(0x0A, fixture.Read(0xA, 5).FaultCode);
    }

    [Fact]
    public void D12_after_exit_accesses_end_without_an_event_until_the_PASID_is_detached()
    {
        using var fixture = new Fixture();
        using SmmuUnit unit = fixture.Start();
        SmmuDomain domain = unit.CreateDomain(20).Value!;
        UnitDevice a = unit.AddStream(domain, new RequesterId(0xA), ats: true).Value!;
        UnitDevice b = unit.AddStream(domain, new RequesterId(0xB), ats: true).Value!;
        var link = new SmmuLink(unit.CreateProcess().Value!);
        var pasid = new Pasid(5);
        domain.Attach(link, pasid, Root, first: true);
        domain.Attach(link, pasid, Root, first: false);
        fixture.TakeLog();

        Assert.True(domain.Exit(link, pasid).IsOk);

        string[] all = ["CFGI_CD a/5 leaf=1", "CFGI_CD b/5 leaf=1", "SYNC"];
        Assert.Equal(
            [.. all, "TLBI_NH_ASID 1", "SYNC", "ATC_INV a/5 size=52", "ATC_INV b/5 size=52", "SYNC"],
            fixture.TakeLog());
        Assert.Equal(TranslationStatus.AbortedQuietly, fixture.Read(0xA, 5).Status);
        Assert.Equal(TranslationStatus.AbortedQuietly, fixture.Read(0xB, 5, ulong.MaxValue).Status);
        Assert.Empty(fixture.Events());

        Assert.True(domain.Detach(link, a, pasid, last: false).IsOk);
        Assert.Equal(TranslationStatus.AbortedQuietly, fixture.Read(0xA, 5).Status);
        Assert.True(domain.Detach(link, b, pasid, last: true).IsOk);
        Assert.Empty(fixture.Events());
        Assert.Equal(0x0A, fixture.Read(0xA, 5).FaultCode);
    }

    [Theory]
    [InlineData("1"), InlineData("0")]
    public void D6_invalidate_reaches_the_tlb_before_the_devices_and_waits_for_both(string range)
    {
        using var fixture = new Fixture(("ril", range));
        using SmmuUnit unit = fixture.Start();
        SmmuDomain domain = unit.CreateDomain(20).Value!;
        unit.AddStream(domain, new RequesterId(0xB), ats: false);
        var link = new SmmuLink(unit.CreateProcess().Value!);
        var pasid = new Pasid(5);
        domain.Attach(link, pasid, Root, first: true);
        fixture.TakeLog();

        Assert.True(domain.Invalidate(link, pasid, 0x7000_1234, 0x7000_1235).IsOk);
        Assert.Equal(["TLBI_NH_VA 1", "SYNC"], fixture.TakeLog());

        // The table is the domain's: a device of it may have used the entry whether it is bound or not.
        unit.AddStream(domain, new RequesterId(0xA), ats: true);
        fixture.TakeLog();
        Assert.True(domain.Invalidate(link, pasid, 0x7000_1000, 0x7000_3000).IsOk);
        string[] pages = range == "1" ? ["TLBI_NH_VA 1"] : ["TLBI_NH_VA 1", "TLBI_NH_VA 1"];
        Assert.Equal([.. pages, "SYNC", "ATC_INV a/5 size=2", "SYNC"], fixture.TakeLog());

        Assert.True(domain.Invalidate(link, pasid, 0x7000_1000, 0x7000_1000).IsOk);
        Assert.Empty(fixture.TakeLog());

        Assert.True(domain.Invalidate(link, pasid, 0, 0).IsOk);
        Assert.Equal(["TLBI_NH_ASID 1", "SYNC", "ATC_INV a/5 size=52", "SYNC"], fixture.TakeLog());
    }

    [Fact]
    public void D6_an_invalidation_longer_than_the_queue_goes_through()
    {
        using var fixture = new Fixture(("ril", "0"));
        using SmmuUnit unit = fixture.Start(20, ("command-queue-log2", "3"));
        SmmuDomain domain = unit.CreateDomain(20).Value!;
        UnitDevice a = unit.AddStream(domain, new RequesterId(0xA), ats: true).Value!;
        var link = new SmmuLink(unit.CreateProcess().Value!);
        domain.Attach(link, new Pasid(5), Root, first: true);
        fixture.TakeLog();

        Assert.True(domain.Invalidate(link, new Pasid(5), 0x1000, 0x1000 + (500 << 12)).IsOk);

        Assert.Equal(503, fixture.TakeLog().Length);
    }

    [Fact]
    public void Installing_invalidating_and_removing_an_entry_allocates_nothing()
    {
        using var fixture = new Fixture(("log", "0"));
        using SmmuUnit unit = fixture.Start();
        SmmuDomain domain = unit.CreateDomain(8).Value!;
        UnitDevice a = unit.AddStream(domain, new RequesterId(0xA), ats: true).Value!;
        var link = new SmmuLink(unit.CreateProcess().Value!);
        bool ok = true;
        AllocatesNothing(50, () =>
        {
            ok &= domain.Attach(link, new Pasid(5), Root, first: true).IsOk;
            ok &= domain.Invalidate(link, new Pasid(5), 0x1000, 0x9000).IsOk;
            ok &= domain.Exit(link, new Pasid(5)).IsOk;
            ok &= domain.Detach(link, a, new Pasid(5), last: true).IsOk;
        });
        Assert.True(ok);
    }

    [Fact]
    public void PASID_0_is_not_for_a_process()
    {
        using var fixture = new Fixture();
        using SmmuUnit unit = fixture.Start();
        SmmuDomain domain = unit.CreateDomain(8).Value!;
        UnitDevice a = unit.AddStream(domain, new RequesterId(0xA), ats: true).Value!;
        OpResult refused = domain.Attach(new SmmuLink(unit.CreateProcess().Value!), new Pasid(0), Root, first: true);
        Refused(Errno.EINVAL, "S1DSS", refused);
    }

    [Fact]
    public void A_refused_attach_of_each_kind_changes_neither_link_nor_table()
    {
        using var fixture = new Fixture();
        using SmmuUnit unit = fixture.Start();
        SmmuDomain domain = unit.CreateDomain(8).Value!;
        UnitDevice a = unit.AddStream(domain, new RequesterId(0xA), ats: true).Value!;
        var first = new SmmuLink(unit.CreateProcess().Value!);
        Assert.True(domain.Attach(first, new Pasid(5), Root, first: true).IsOk);
        var second = new SmmuLink(unit.CreateProcess().Value!);

        Assert.Equal(Errno.EEXIST, domain.Attach(second, new Pasid(5), Root, first: true).Errno);
        Assert.Equal(Errno.EINVAL, domain.Attach(second, new Pasid(256), Root, first: true).Errno);

        Assert.False(second.Process.IsTainted);
        Assert.Equal(Root, fixture.Read(0xA, 5).PageTableRoot);
    }

    [Fact]
    public void With_8_bit_ASIDs_process_256_is_ENOSPC_until_one_is_given_back()
    {
        using var fixture = new Fixture(("asid16", "0"));
        using SmmuUnit unit = fixture.Start();
        UnitProcess[] processes = [.. Enumerable.Range(0, 255).Select(_ => unit.CreateProcess().Value!)];
        Refused(Errno.ENOSPC, "1 to 255", unit.CreateProcess());
        unit.FreeProcess(processes[100]);
        Assert.Equal(processes[100].Tag, unit.CreateProcess().Value!.Tag);
    }

    [Fact]
    public void An_ASID_whose_invalidation_failed_is_never_allocated_again()
    {
        using var fixture = new Fixture();
        using SmmuUnit unit = fixture.Start(20, ("poll-limit", "50"));
        SmmuDomain domain = unit.CreateDomain(8).Value!;
        UnitDevice a = unit.AddStream(domain, new RequesterId(0xA), ats: true).Value!;
        UnitProcess process = unit.CreateProcess().Value!;
        var link = new SmmuLink(process);
        Assert.True(domain.Attach(link, new Pasid(5), Root, first: true).IsOk);
        fixture.Bent.Hold(0x98);

        OpResult result = domain.Detach(link, a, new Pasid(5), last: true);

        Assert.Equal(Errno.ETIMEDOUT, result.Errno);
        unit.FreeProcess(process);
        fixture.Bent.Release();
        Assert.NotEqual(process.Tag, unit.CreateProcess().Value!.Tag);
        Assert.Equal(0x0A, fixture.Read(0xA, 5).FaultCode);
    }

    [Fact]
    public void D13_statistics_count_page_memory_and_everything_comes_back()
    {
        using var fixture = new Fixture();
        SmmuUnit unit = fixture.Start();
        long started = fixture.AllocatedBytes;
        SmmuDomain wide = unit.CreateDomain(20).Value!;
        SmmuDomain narrow = unit.CreateDomain(8).Value!;
        Assert.Equal(8192 + 16384, unit.Statistics.PasidTableBytes);
        UnitDevice stream = unit.AddStream(wide, new RequesterId(1), ats: false).Value!;
        var link = new SmmuLink(unit.CreateProcess().Value!);
        wide.Attach(link, new Pasid(0x800), Root, first: true);
        Assert.Equal(new UnitStatistics(8192 + 16384 + 65536, 1, fixture.File.Consumed), unit.Statistics);

        wide.Detach(link, stream, new Pasid(0x800), last: true);
        unit.RemoveStream(stream);
        unit.RemoveDomain(wide);
        unit.RemoveDomain(narrow);

        Assert.Equal(0, unit.Statistics.PasidTableBytes);

        // The stream table's leaf stays with the stream table.
        Assert.Equal(started + 16384, fixture.AllocatedBytes);
        unit.Dispose();
        Assert.Equal(0, fixture.AllocatedBytes);
    }

    [Fact]
    public void Two_domains_in_two_threads_share_the_queue()
    {
        const int Rounds = 300;
        using var fixture = new Fixture();
        using SmmuUnit unit = fixture.Start(20, ("command-queue-log2", "2"));
        Race.Run(2, (thread, barrier) =>
        {
            SmmuDomain domain = unit.CreateDomain(12).Value!;
            uint sid = (uint)thread + 1;
            UnitDevice stream = unit.AddStream(domain, new RequesterId(sid), ats: true).Value!;
            for (uint round = 0; round < Rounds; round++)
            {
                barrier.SignalAndWait();
                UnitProcess process = unit.CreateProcess().Value!;
                var link = new SmmuLink(process);
                var pasid = new Pasid(1 + (round * 13 % 4095));
                ulong root = Root + (((round << 1) + (uint)thread) << 12);
                Assert.True(domain.Attach(link, pasid, root, first: true).IsOk);
                Assert.Equal(root, fixture.Read(sid, pasid.Value).PageTableRoot);
                Assert.True(domain.Invalidate(link, pasid, 0x1000, 0x9000).IsOk);
                Assert.True(domain.Exit(link, pasid).IsOk);
                Assert.Equal(TranslationStatus.AbortedQuietly, fixture.Read(sid, pasid.Value).Status);
                Assert.True(domain.Detach(link, stream, pasid, last: true).IsOk);
                unit.FreeProcess(process);
            }
        });

        Assert.Equal(0, unit.Asids.LiveCount);
        Assert.Empty(fixture.Events());
    }
}
