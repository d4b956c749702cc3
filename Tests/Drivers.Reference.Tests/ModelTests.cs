// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.Reference.Tests;

public sealed class ModelTests
{
    [Fact]
    public void A_driver_that_does_nothing_wrong_hears_no_complaint()
    {
        (Fixture fixture, Device device, TestProcess process, Pasid pasid) = Bound();
        process.Map(Fixture.Address);
        Fixture.Ok(fixture.Core.Invalidate(process, Fixture.Address, Fixture.Address + 1));

        Assert.Equal(process.Target, fixture.Read(Fixture.Nic, pasid.Value).Address);
        Fixture.Ok(fixture.Core.Unbind(device, pasid));
        process.Tables.Dispose();
        fixture.Core.Dispose();
        Assert.Empty(fixture.Model.Violations);
        Assert.Equal(0, fixture.Ram.AllocatedBytes);
    }

    [Fact]
    public void It_keeps_every_kind_of_entry_and_DropCaches_forgets_them()
    {
        (Fixture fixture, _, TestProcess process, Pasid pasid) = Bound();
        ulong old = process.Target;
        Assert.Equal(old, fixture.Read(Fixture.Nic, pasid.Value).Address);
        Assert.Equal(
            ["PASID entry", "device TLB", "device entry", "directory entry", "translation"],
            fixture.Model.Cached.Select(c => c.Cache).Distinct().Order(StringComparer.Ordinal));
        process.Map(Fixture.Address);

        Assert.Equal(old, fixture.Read(Fixture.Nic, pasid.Value).Address);
        fixture.Model.DropCaches();

        Assert.Empty(fixture.Model.Cached);
        Assert.Equal(process.Target, fixture.Read(Fixture.Nic, pasid.Value).Address);
    }

    [Fact]
    public void A_command_does_nothing_until_its_end_was_read()
    {
        (Fixture fixture, _, _, Pasid pasid) = Bound();
        _ = fixture.Read(Fixture.Nic, pasid.Value);
        IRegisterFile registers = fixture.Model.Registers;
        Command command = Command.InvalidateDeviceTlb(Fixture.Nic);
        registers.Write64(Registers.COMMAND_0, command.Word0);
        registers.Write64(Registers.COMMAND_1, command.Word1);

        Assert.Contains(fixture.Model.Cached, c => c.Cache == "device TLB");
        Assert.Equal(0UL, registers.Read64(Registers.COMMAND_STATUS));
        registers.Write64(Registers.COMMAND_0, 0);
        Assert.Equal(1UL, registers.Read64(Registers.COMMAND_STATUS));
        Assert.Equal("reference-command-busy", Assert.Single(fixture.Model.Violations).Rule);
    }

    [Fact]
    public void D5_a_cache_that_is_emptied_too_early_is_filled_again_from_the_one_before_it()
    {
        (Fixture fixture, _, TestProcess process, Pasid pasid) = Bound();
        ulong old = fixture.Read(Fixture.Nic, pasid.Value).Address;
        process.Map(Fixture.Address);

        Send(fixture, Command.InvalidateDeviceTlb(Fixture.Nic, pasid, PageRange.All));
        Send(fixture, Command.InvalidateTranslations(0, PageRange.All));
        Assert.Equal(old, fixture.Read(Fixture.Nic, pasid.Value).Address);
        Send(fixture, Command.InvalidateDeviceTlb(Fixture.Nic, pasid, PageRange.All));

        Assert.Equal(process.Target, fixture.Read(Fixture.Nic, pasid.Value).Address);
    }

    [Fact]
    public void A_device_that_may_not_write_is_refused_no_matter_who_filled_the_caches()
    {
        (Fixture fixture, _, TestProcess process, Pasid pasid) = Bound();
        process.Map(0x8000, writable: false);

        Assert.Equal(process.Target, fixture.Read(Fixture.Nic, pasid.Value, 0x8000).Address);
        Assert.Equal((int)FaultCode.NotWritable, fixture.Write(Fixture.Nic, pasid.Value, 0x8000).FaultCode);
        fixture.Model.DropCaches();
        Assert.Equal((int)FaultCode.NotWritable, fixture.Write(Fixture.Nic, pasid.Value, 0x8000).FaultCode);
        Assert.Equal(process.Target, fixture.Read(Fixture.Nic, pasid.Value, 0x8000).Address);
    }

    [Theory]
    [InlineData(0UL, 0UL)] // no operation
    [InlineData(5UL, 0UL)]
    [InlineData(0x11UL, 0UL)] // DEVICE has no ALL
    [InlineData(0x1UL, 1UL), InlineData(0x2UL, 0x1001UL), InlineData(0x2UL, 1UL << 52)]
    [InlineData(0x23UL, 0UL)] // TRANSLATIONS has no ANY
    [InlineData(0x4UL | (1UL << 48), 0UL)]
    public void An_ill_formed_command_is_an_error_and_a_complaint(ulong word0, ulong word1)
    {
        var fixture = new Fixture();

        Assert.Equal(3UL, Send(fixture, new Command(word0, word1)));

        Assert.Equal("reference-command", Assert.Single(fixture.Model.Violations).Rule);
        Assert.Equal(1UL, Send(fixture, Command.InvalidateDevice(Fixture.Nic)));
    }

    [Fact]
    public void What_has_no_meaning_is_a_complaint()
    {
        var fixture = new Fixture();
        IRegisterFile registers = fixture.Model.Registers;
        registers.Write64(Registers.CONTROL, 1);
        Assert.Equal(0UL, registers.Read64(Registers.CONTROL));
        Expect("reference-control");
        _ = fixture.Unit;
        registers.Write64(Registers.CONTROL, 1);
        Expect("reference-control");
        registers.Write64(Registers.DEVICE_TABLE, 0);
        Expect("reference-device-table");
        registers.Write64(Registers.CONTROL, 4);
        Expect("reference-control");
        registers.Write64(Registers.ID, 4);
        Expect("reference-register");
        registers.Write32(Registers.CONTROL, 4);
        Expect("reference-register");
        Send(fixture, Command.InvalidateDevice(Fixture.Nic));
        Assert.Equal(6, fixture.Model.Violations.Count);

        void Expect(string rule) => Assert.Equal(rule, fixture.Model.Violations[^1].Rule);
    }

    [Fact]
    public void Memory_that_goes_while_something_kept_leads_there_is_a_complaint()
    {
        (Fixture fixture, _, TestProcess process, Pasid pasid) = Bound();
        _ = fixture.Read(Fixture.Nic, pasid.Value);

        process.Tables.Dispose();

        Assert.Contains(fixture.Model.Violations, c => c.Rule == "reference-freed-while-kept");
        _ = fixture.Read(Fixture.Nic, pasid.Value, 0x1000);
        Assert.Contains(fixture.Model.Violations, c => c.Rule == "reference-stray-read");
    }

    [Fact]
    public void D4_a_valid_entry_that_is_kept_and_changed_is_a_complaint_and_one_that_goes_is_none()
    {
        (Fixture fixture, _, _, Pasid pasid) = Bound();
        _ = fixture.Read(Fixture.Nic, pasid.Value);
        ulong deviceTable = fixture.Registers.Read64(Registers.DEVICE_TABLE) & ~0xFFFUL;
        ulong device = deviceTable + (Fixture.Nic.Value * 8);
        ulong value = fixture.Ram.ReadQword(device);

        fixture.Ram.WriteQword(device, 0);
        Assert.Empty(fixture.Model.Violations);
        fixture.Ram.WriteQword(device, value);
        Assert.Empty(fixture.Model.Violations);
        fixture.Ram.WriteQword(device, value ^ 2);

        Assert.Equal("reference-entry-changed", Assert.Single(fixture.Model.Violations).Rule);
    }

    [Fact]
    public void A_device_TLB_that_is_not_emptied_when_its_entry_comes_or_goes_is_a_complaint()
    {
        (Fixture fixture, _, _, _) = Bound();

        Send(fixture, Command.InvalidateDevice(Fixture.Nic));
        Send(fixture, Command.InvalidateDeviceTlb(Fixture.Nic));
        Assert.Empty(fixture.Model.Violations);
        Send(fixture, Command.InvalidateDevice(Fixture.Nic));
        Send(fixture, Command.InvalidateDevice(Fixture.Nic));

        Assert.Equal("reference-tlb-in-doubt", Assert.Single(fixture.Model.Violations).Rule);
    }

    [Fact]
    public void While_it_is_off_every_access_is_aborted_without_a_record()
    {
        (Fixture fixture, _, _, Pasid pasid) = Bound();

        fixture.Unit.Dispose();

        Assert.Equal(TranslationStatus.AbortedQuietly, fixture.Read(Fixture.Nic, pasid.Value).Status);
        Assert.Equal(0UL, fixture.Registers.Read64(Registers.FAULT_0));
    }

    [Theory]
    [InlineData("asid-bits", "0"), InlineData("asid-bits", "17"), InlineData("ats", "2"), InlineData("ats", "yes")]
    [InlineData("fault-records", "0"), InlineData("fault-records", "65"), InlineData("colour", "1")]
    public void An_option_of_the_hardware_that_is_unknown_or_out_of_range_throws_and_is_named(string name, string value)
    {
        HardwareSetup setup = Fixture.With((name, value));

        Assert.Contains(name, Assert.Throws<ArgumentException>(
            () => new ReferenceDriver().CreateHardware(new SystemMemory(), setup)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => new ReferenceModelFactory().Create(setup));
    }

    [Fact]
    public void A_setup_that_cannot_be_throws()
    {
        Assert.Throws<ArgumentException>(
            () => new ReferenceDriver().CreateHardware(new SystemMemory(), new HardwareSetup { PasidBits = 21 }));
        Assert.Throws<ArgumentException>(
            () => new ReferenceDriver().CreateHardware(new SystemMemory(), new HardwareSetup { PasidBits = -1 }));
    }

    [Theory]
    [InlineData(true), InlineData(false)]
    public void The_ID_register_says_what_was_set_up(bool coherent)
    {
        HardwareSetup setup = Fixture.With(("asid-bits", "9"), ("ats", coherent ? "0" : "1"), ("fault-records", "7"))
            with { PasidBits = 13, Coherent = coherent };
        using IIommuHardware hardware = new ReferenceDriver().CreateHardware(new SystemMemory(), setup);

        ulong id = hardware.Registers.Read64(Registers.ID);

        Assert.Equal(coherent ? 0x0007_52D1UL : 0x0007_92D1UL, id);
        Assert.Equal((uint)id, hardware.Registers.Read32(0));
        Assert.Equal(0u, hardware.Registers.Read32(4));
        Assert.Equal(coherent, hardware.IsCoherent);
    }

    [Fact]
    public void The_plain_hardware_stops_at_the_root_of_the_page_tables_and_keeps_nothing()
    {
        var memory = new SystemMemory();
        using IIommuHardware hardware = new ReferenceDriver().CreateHardware(memory, new HardwareSetup());
        using IIommuUnit unit = Fixture.Ok(new ReferenceDriver().CreateUnit(
            new UnitSetup { Name = "ref0", Hardware = hardware }));
        ulong entry = (hardware.Registers.Read64(Registers.DEVICE_TABLE) & ~0xFFFUL) + (5 * 8);
        using ReferenceTable table = Fixture.Ok(ReferenceTable.Create(memory, 20, new OrderingSync(memory)));
        Fixture.Ok(table.Set(new Pasid(9), new PasidTableEntry(0x7000, 1)));
        var access = new DmaAccess(new RequesterId(5), new Pasid(9), 0x1234, false);
        Assert.Equal((int)FaultCode.DeviceNotValid, hardware.Translate(access).FaultCode);

        memory.WriteQword(entry, table.Root | (20 << 2) | 1);

        Assert.Equal(
            new TranslationResult(TranslationStatus.ReachedPageTable, 0, 0x7000, 0, null), hardware.Translate(access));
        Fixture.Ok(table.Quiet(new Pasid(9)));
        Assert.Equal(TranslationStatus.AbortedQuietly, hardware.Translate(access).Status);
        memory.WriteQword(entry, table.Root | (21 << 2) | 1);
        Assert.Equal((int)FaultCode.DeviceIllFormed, hardware.Translate(access).FaultCode);
        memory.WriteQword(entry, 0x0F_FFFF_0000_0000UL | (20 << 2) | 1);
        Assert.Equal((int)FaultCode.DirectoryIllFormed, hardware.Translate(access).FaultCode); // no memory there
    }

    private static (Fixture Fixture, Device Device, TestProcess Process, Pasid Pasid) Bound()
    {
        var fixture = new Fixture();
        Device device = fixture.Device(fixture.Domain(), Fixture.Nic);
        TestProcess process = fixture.Process();
        return (fixture, device, process, Fixture.Ok(fixture.Core.Bind(device, process)));
    }

    private static ulong Send(Fixture fixture, Command command)
    {
        fixture.Registers.Write64(Registers.COMMAND_0, command.Word0);
        fixture.Registers.Write64(Registers.COMMAND_1, command.Word1);
        while ((fixture.Registers.Read64(Registers.COMMAND_STATUS) & 1) == 0)
        {
            // The model answers at the second read.
        }

        return fixture.Registers.Read64(Registers.COMMAND_STATUS);
    }
}
