// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Tests;

public sealed class HardwareTests
{
    private const ulong Root = 0x10abcd000;
    private const int FSTS = 0x34;
    private const int FRCD = 0x220;

    [Fact]
    public void Without_translation_every_access_passes()
    {
        var fixture = new Fixture();

        TranslationResult result = fixture.Read(Fixture.Nic, 5, 0x1234);

        Assert.Equal(new TranslationResult(TranslationStatus.Bypassed, 0x1234, 0, 0, null), result);
    }

    [Theory]
    [InlineData(20, 0x80000000_00000000, 0, 0, 0, 0x39)] // another bus
    [InlineData(20, 0, 0x2, 0, 0, 0x3A)] // root entry, bit 1
    [InlineData(20, 0, 0, 0x20, 0, 0x42)] // context entry, HPTE without ECAP.HPTS
    [InlineData(20, 0, 0, 0x80, 0, 0x42)] // context entry, bit 7
    [InlineData(20, 0, 0, 0x10, 0, 0x43)] // context entry, PRE without DTE
    [InlineData(20, 0, 0, 0, 0x4, 0x52)] // directory entry, bit 2
    public void A_walk_faults_where_the_structure_is_wrong(
        int pasidBits, ulong otherBus, ulong inRoot, ulong inContext, ulong inDirectory, int fault)
    {
        Fixture fixture = Attached(out VtdDomain domain, pasidBits);
        Toggle(fixture, fixture.Unit.Root + 16, inRoot);
        Toggle(fixture, ContextEntry(fixture), inContext);
        Toggle(fixture, domain.Table.Root, inDirectory);

        TranslationResult result = fixture.Read(otherBus != 0 ? new RequesterId(0x0500) : Fixture.Nic, 5);

        Assert.Equal((TranslationStatus.Faulted, fault), (result.Status, result.FaultCode));
        Assert.StartsWith($"{fault:x2}h: ", result.Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, 0x20, 0x5A)] // bit 5
    [InlineData(0, 0x400, 0x5A)] // bit 10
    [InlineData(0, 0x200, 0x5A)] // SSADE without ECAP.SSADS
    [InlineData(1, 0x10000, 0x5A)] // bit 80
    [InlineData(1, 0x2000000, 0x5A)] // CD without ECAP.MTS
    [InlineData(2, 0x2, 0x5A)] // bit 129
    [InlineData(2, 0x80, 0x5A)] // EAFE without ECAP.EAFS
    [InlineData(3, 0x1, 0x5A)]
    [InlineData(4, 0x1, 0x5A)] // HPTSZ without ECAP.HPTS
    [InlineData(7, 0x8000000000000000, 0x5A)]
    [InlineData(0, 0x40, 0x5B)] // PGTT 0
    [InlineData(0, 0xC0, 0x5B)] // PGTT 2: second stage
    [InlineData(0, 0x80, 0x5B)] // PGTT 3: nested
    [InlineData(2, 0x4, 0x5B)] // 5-level
    [InlineData(2, 0x0010000000000000, 0x83)] // FSPTPTR above the host address width
    [InlineData(0, 0x1, 0x59)] // P
    [InlineData(2, 0x60, 0)] // bits 133 and 134 are ignored
    [InlineData(2, 0x10, 0)] // WPE
    [InlineData(1, 0x1000000, 0)] // PGSNP: ECAP.SC
    public void A_walk_checks_every_word_of_the_PASID_entry(int word, ulong toggled, int fault)
    {
        Fixture fixture = Attached(out VtdDomain domain);
        Toggle(fixture, PasidTableTests.EntryAddress(fixture.Memory, domain.Table, 5) + ((ulong)word * 8), toggled);

        TranslationResult result = fixture.Read(Fixture.Nic, 5);

        Assert.Equal(fault, result.FaultCode);
        Assert.Equal(fault == 0 ? TranslationStatus.ReachedPageTable : TranslationStatus.Faulted, result.Status);
    }

    [Fact]
    public void Pass_through_entries_pass_the_address_on()
    {
        Fixture fixture = Attached(out VtdDomain domain);
        Toggle(fixture, PasidTableTests.EntryAddress(fixture.Memory, domain.Table, 5), 0x140); // PGTT 1 -> 4

        Assert.Equal(
            new TranslationResult(TranslationStatus.Bypassed, 0x5678, 0, 0, null),
            fixture.Read(Fixture.Nic, 5, 0x5678));
    }

    [Theory]
    [InlineData(0x00007fffffffffff, 0), InlineData(0x0000800000000000, 0x80), InlineData(0xffff7fffffffffff, 0x80)]
    [InlineData(0xffff800000000000, 0)]
    public void Only_canonical_addresses_reach_a_4_level_table(ulong address, int fault)
    {
        Fixture fixture = Attached(out _);

        Assert.Equal(fault, fixture.Read(Fixture.Nic, 5, address).FaultCode);
    }

    [Fact]
    public void Requests_are_checked_against_hardware_directory_RID_PASID_and_PASIDE()
    {
        Fixture fixture = Attached(out _, pasidBits: 13, hardwareBits: 16);

        Assert.Equal(0x89, fixture.Read(Fixture.Nic, 0x10000).FaultCode);
        Assert.Equal(0x46, fixture.Read(Fixture.Nic, 0x2000).FaultCode);
        Assert.Equal(0x51, fixture.Read(Fixture.Nic, 0x1FFF).FaultCode);
        Assert.Equal(0x48, fixture.Read(Fixture.Nic, 0).FaultCode);
        Toggle(fixture, ContextEntry(fixture), 0x8);
        Assert.Equal(0x45, fixture.Read(Fixture.Nic, 5).FaultCode);
    }

    [Fact]
    public void A_request_without_PASID_uses_RID_PASID()
    {
        Fixture fixture = Attached(out VtdDomain domain);
        Assert.Equal(0x59, fixture.Read(Fixture.Nic, null).FaultCode);

        Fixture.Ok(domain.Table.Set(new Pasid(0), new PasidTableEntry(0x7000, 1)));

        Assert.Equal(0x7000UL, fixture.Read(Fixture.Nic, null).PageTableRoot);
        Assert.Equal(Root, fixture.Read(Fixture.Nic, 5).PageTableRoot);
    }

    [Theory]
    [InlineData(0, 2)] // PASID entry
    [InlineData(1, 2)] // directory entry
    [InlineData(2, 2)] // context entry
    public void D12_FPD_on_any_level_keeps_a_fault_quiet(int level, ulong fpd)
    {
        Fixture fixture = Attached(out VtdDomain domain);
        ulong entry = PasidTableTests.EntryAddress(fixture.Memory, domain.Table, 5);
        Toggle(fixture, entry, 1); // not present
        Assert.Equal(TranslationStatus.Faulted, fixture.Read(Fixture.Nic, 5).Status);
        ClearFaults(fixture);

        Toggle(fixture, level == 0 ? entry : level == 1 ? domain.Table.Root : ContextEntry(fixture), fpd);

        Assert.Equal(
            new TranslationResult(TranslationStatus.AbortedQuietly, 0, 0, 0, null), fixture.Read(Fixture.Nic, 5));
        Assert.Equal(0u, fixture.Registers.Read32(FSTS));
    }

    [Fact]
    public void Pointers_to_nowhere_are_access_faults()
    {
        Fixture fixture = Attached(out VtdDomain domain);
        ulong leaf = fixture.Memory.ReadQword(domain.Table.Root);
        fixture.Memory.WriteQword(domain.Table.Root, 0x000F_0000_0000_0001);
        Assert.Equal(0x58, fixture.Read(Fixture.Nic, 5).FaultCode);
        fixture.Memory.WriteQword(domain.Table.Root, leaf);

        ulong context = fixture.Memory.ReadQword(ContextEntry(fixture));
        fixture.Memory.WriteQword(ContextEntry(fixture), 0x000F_0000_0000_0E09);
        Assert.Equal(0x50, fixture.Read(Fixture.Nic, 5).FaultCode);
        fixture.Memory.WriteQword(ContextEntry(fixture), context);

        fixture.Memory.WriteQword(fixture.Unit.Root + 16, 0x000F_0000_0000_0001);
        Assert.Equal(0x40, fixture.Read(Fixture.Nic, 5).FaultCode);
        SetRootTable(fixture, 0x000F_0000_0000_0400);
        Assert.Equal(0x38, fixture.Read(Fixture.Nic, 5).FaultCode);
    }

    [Fact]
    public void Bits_above_the_host_address_width_are_reserved_in_every_pointer()
    {
        var fixture = new Fixture(Fixture.With(("haw", "40")));
        (VtdDomain domain, _) = fixture.AddDevice(Fixture.Nic);
        Fixture.Ok(domain.Table.Set(new Pasid(5), new PasidTableEntry(Root, 1)));
        Assert.Equal(0, fixture.Read(Fixture.Nic, 5).FaultCode);
        const ulong Above = 1UL << 40;

        ulong[] pointers =
        [
            PasidTableTests.EntryAddress(fixture.Memory, domain.Table, 5) + 16,
            domain.Table.Root,
            ContextEntry(fixture),
            fixture.Unit.Root + 16,
        ];
        int[] faults = [.. pointers.Select(pointer =>
        {
            Toggle(fixture, pointer, Above);
            int fault = fixture.Read(Fixture.Nic, 5).FaultCode;
            Toggle(fixture, pointer, Above);
            return fault;
        })];

        Assert.Equal([0x83, 0x52, 0x42, 0x3A], faults);
    }

    [Fact]
    public void The_root_table_address_is_latched_by_SRTP_only_and_its_mode_counts()
    {
        Fixture fixture = Attached(out _);
        fixture.Registers.Write64(0x20, 0xC00);
        Assert.Equal(TranslationStatus.ReachedPageTable, fixture.Read(Fixture.Nic, 5).Status);

        SetRootTable(fixture, fixture.Unit.Root | 0xC00);
        Assert.Equal(0x33, fixture.Read(Fixture.Nic, 5).FaultCode);
        SetRootTable(fixture, fixture.Unit.Root | 0x800);
        Assert.Equal(0x30, fixture.Read(Fixture.Nic, 5).FaultCode);
        SetRootTable(fixture, fixture.Unit.Root);
        Assert.Equal(0x31, fixture.Read(Fixture.Nic, 5).FaultCode);
        Assert.Equal(0x30, fixture.Read(Fixture.Nic, null).FaultCode);
        SetRootTable(fixture, fixture.Unit.Root | 0x401);
        Assert.Equal(0x30, fixture.Read(Fixture.Nic, 5).FaultCode);
        SetRootTable(fixture, fixture.Unit.Root | 0x400);
        Assert.Equal(0, fixture.Read(Fixture.Nic, 5).FaultCode);
    }

    [Fact]
    public void A_fault_is_recorded_in_the_formats_fields()
    {
        Fixture fixture = Attached(out _);

        Assert.Equal(0x59, fixture.Read(Fixture.Nic, 6, 0x7f00_1234_5678).FaultCode);

        PositionDecoder decoder = PositionDecoder.Of("intel-vtd/fault_record");
        ulong[] record = Record(fixture, 0);
        Assert.Equal(
            [
                ("FI", 0x7f00_1234_5000), ("SID", 0x0118), ("T2", 0), ("PRIV", 0), ("EXE", 0), ("PP", 1), ("FR", 0x59),
                ("PV", 6), ("AT", 0), ("T1", 1), ("F", 1),
            ],
            decoder.Names.Select(name => (name, decoder.Get(record, name))));
        Assert.Equal(2u, fixture.Registers.Read32(FSTS)); // PPF, FRI = 0

        fixture.Translate(new DmaAccess(Fixture.Nic, null, 0x9000, true));
        record = Record(fixture, 1);
        Assert.Equal([0UL, 0UL, 0UL, 1UL], new[] { "PP", "PV", "T1", "F" }.Select(name => decoder.Get(record, name)));

        fixture.Registers.Write32(FRCD + 12, 0x8000_0000);
        Assert.Equal(0x102u, fixture.Registers.Read32(FSTS)); // PPF, FRI = 1
        fixture.Registers.Write64(FRCD + 24, 1UL << 63);
        Assert.Equal(0u, fixture.Registers.Read32(FSTS));
    }

    [Fact]
    public void When_every_record_is_in_use_faults_overflow_until_software_has_cleared_both()
    {
        Fixture fixture = Attached(out _);
        for (uint i = 0; i < 9; i++)
        {
            Assert.Equal(TranslationStatus.Faulted, fixture.Read(Fixture.Nic, 6, i << 12).Status);
        }

        Assert.Equal(3u, fixture.Registers.Read32(FSTS)); // PPF and PFO
        Assert.Equal(0UL, fixture.Registers.Read64(FRCD)); // the first one is kept
        fixture.Registers.Write32(FRCD + 12, 0x8000_0000);
        fixture.Read(Fixture.Nic, 6, 0xA000);
        Assert.Equal(0u, fixture.Registers.Read32(FRCD + 12) >> 31); // PFO still keeps new ones out
        fixture.Registers.Write32(FSTS, 1);
        fixture.Read(Fixture.Nic, 6, 0xB000);
        Assert.Equal(0xB000UL, fixture.Registers.Read64(FRCD));
    }

    [Fact]
    public void A_command_that_changes_two_bits_at_once_is_not_carried_out()
    {
        var fixture = new Fixture();

        fixture.Registers.Write32(0x18, 0x8400_0000);
        Assert.Equal(0u, fixture.Registers.Read32(0x1C));
        fixture.Registers.Write32(0x18, 0x8000_0000);
        Assert.Equal(0x8000_0000, fixture.Registers.Read32(0x1C));
        fixture.Registers.Write32(0x18, 0);
        Assert.Equal(0u, fixture.Registers.Read32(0x1C));
    }

    [Fact]
    public void Wide_registers_can_be_written_in_halves()
    {
        var fixture = new Fixture();

        fixture.Registers.Write32(0x90, 0x2345_6801);
        fixture.Registers.Write32(0x94, 0x1);

        Assert.Equal(0x1_2345_6801UL, fixture.Registers.Read64(0x90));
        Assert.Equal(1u, fixture.Registers.Read32(0x94));
        Assert.Throws<ArgumentOutOfRangeException>(() => fixture.Registers.Read64(0x1C));
        Assert.Throws<ArgumentOutOfRangeException>(() => fixture.Registers.Read32(0x1001));
    }

    [Fact]
    public void Capabilities_say_what_the_setup_asks_for()
    {
        var fixture = new Fixture(new HardwareSetup
        {
            PasidBits = 8,
            Coherent = false,
            Options = new Dictionary<string, string> { ["caching-mode"] = "1", ["mamv"] = "9" },
        });
        ulong cap = fixture.Registers.Read64(0x08);
        ulong ecap = fixture.Registers.Read64(0x10);

        Assert.Equal(1UL, (cap >> 7) & 1); // CM
        Assert.Equal(9UL, (cap >> 48) & 0x3F); // MAMV
        Assert.Equal(0x22UL, (cap >> 24) & 0x3FF); // FRO
        Assert.Equal(7UL, (cap >> 40) & 0xFF); // NFR
        Assert.Equal(7UL, (ecap >> 35) & 0x1F); // PSS
        Assert.Equal(1UL, (ecap >> 40) & 1); // PASID
        Assert.Equal(1UL, (ecap >> 43) & 1); // SMTS
        Assert.Equal(1UL, (ecap >> 47) & 1); // FSTS
        Assert.Equal(0UL, ((ecap >> 48) & 1) | (ecap & 1)); // SMPWCS, C
        Assert.False(fixture.Model.IsCoherent);
    }

    [Fact]
    public void A_requester_that_is_not_PCI_is_misuse() =>
        Assert.Throws<ArgumentException>(() => new Fixture().Read(new RequesterId(0x10000), 1));

    private static Fixture Attached(out VtdDomain domain, int pasidBits = 20, int hardwareBits = 20)
    {
        var fixture = new Fixture(new HardwareSetup { PasidBits = hardwareBits });
        (domain, VtdDevice device) = fixture.AddDevice(Fixture.Nic, pasidBits: pasidBits);
        UnitLink? link = null;
        Fixture.Ok(domain.Attach(new Pasid(5), Root, device, true, ref link));
        Assert.Equal(Root, fixture.Read(Fixture.Nic, 5).PageTableRoot);
        return fixture;
    }

    private static ulong ContextEntry(Fixture fixture) =>
        (fixture.Memory.ReadQword(fixture.Unit.Root + 16) & 0x000F_FFFF_FFFF_F000) + (0x18 * 32);

    private static void Toggle(Fixture fixture, ulong address, ulong bits) =>
        fixture.Memory.WriteQword(address, fixture.Memory.ReadQword(address) ^ bits);

    private static void SetRootTable(Fixture fixture, ulong value)
    {
        fixture.Registers.Write64(0x20, value);
        fixture.Registers.Write32(0x18, 0xC400_0000);
    }

    private static ulong[] Record(Fixture fixture, int index) =>
        [fixture.Registers.Read64(FRCD + (index * 16)), fixture.Registers.Read64(FRCD + (index * 16) + 8)];

    private static void ClearFaults(Fixture fixture)
    {
        for (int i = 0; i < 8; i++)
        {
            fixture.Registers.Write32(FRCD + (i * 16) + 12, 0x8000_0000);
        }

        Assert.Equal(0u, fixture.Registers.Read32(FSTS));
    }
}
