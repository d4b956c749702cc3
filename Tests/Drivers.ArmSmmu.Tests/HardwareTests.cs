// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Tests;

/// <summary>The stand-in hardware's walk: what each defect of a table leads to, and the record in the event
/// queue.</summary>
public sealed class HardwareTests : IDisposable
{
    private const uint Sid = 0x118;
    private const uint Ssid = 0x12345;
    private const ulong Root = 0x8_9000_0000;
    private readonly Fixture _fixture = new();
    private readonly SmmuUnit _unit;
    private readonly SmmuDomain _domain;

    public HardwareTests()
    {
        _unit = _fixture.Start();
        _domain = _unit.CreateDomain(20).Value!;
        UnitDevice stream = _unit.AddStream(_domain, new RequesterId(Sid), ats: true).Value!;
        var link = new SmmuLink(_unit.CreateProcess().Value!);
        Assert.True(_domain.Attach(link, new Pasid(Ssid), Root, first: true).IsOk);
    }

    // Where the entries are: a walk by hand.
    private ulong Ste
    {
        get
        {
            ulong l1 =
                _fixture.Memory.ReadQword((_fixture.Registers.Read64(0x80) & 0x000F_FFFF_FFFF_FFC0) + ((Sid >> 8) * 8));
            return (l1 & 0x000F_FFFF_FFFF_FFC0) + ((Sid & 0xFF) * 64);
        }
    }

    private ulong L1Cd => (_fixture.Memory.ReadQword(Ste) & 0x00FF_FFFF_FFFF_FFC0) + ((Ssid >> 10) * 8);
    private ulong Cd => (_fixture.Memory.ReadQword(L1Cd) & 0x00FF_FFFF_FFFF_F000) + ((Ssid & 0x3FF) * 64);

    public void Dispose()
    {
        _unit.Dispose();
        Assert.Equal(0, _fixture.AllocatedBytes);
        _fixture.Dispose();
    }

    [Fact]
    public void D1_an_installed_PASID_reaches_its_page_table_and_others_do_not()
    {
        Assert.Equal(
            new TranslationResult(TranslationStatus.ReachedPageTable, 0, Root, 0, null), _fixture.Read(Sid, Ssid));
        Assert.Empty(_fixture.Events());

        Assert.Equal(0x0A, _fixture.Read(Sid, Ssid + 1).FaultCode);
        Assert.Equal(0x08, _fixture.Read(Sid, 1).FaultCode);
        Assert.Equal(0x04, _fixture.Read(Sid + 1, Ssid).FaultCode);
        Assert.Equal(0x02, _fixture.Read(0x7F00, Ssid).FaultCode);
        Assert.Equal(4, _fixture.Events().Length);
    }

    [Fact]
    public void Stream_ids_out_of_range_are_recorded_only_where_that_is_asked_for()
    {
        TranslationResult result = _fixture.Read(0x10000, Ssid);
        Assert.Equal((TranslationStatus.Faulted, 0x02), (result.Status, result.FaultCode));
        Assert.Equal([0x0001_0000_1234_5802, 0, 0, 0], Assert.Single(_fixture.Events()));

        // CR2 may change only while SMMUEN is 0.
        uint control = _fixture.Registers.Read32(0x20);
        _fixture.Registers.Write32(0x2C, 0);
        Assert.NotEqual(0u, _fixture.Registers.Read32(0x2C));
        _fixture.Registers.Write32(0x20, control & ~1u);
        _fixture.Registers.Write32(0x2C, 0);
        _fixture.Registers.Write32(0x20, control);
        Assert.Equal(TranslationStatus.AbortedQuietly, _fixture.Read(0x10000, Ssid).Status);
        Assert.Single(_fixture.Events());
    }

    [Theory]
    [InlineData(0, 1UL << 0, 0UL, 0x04)] // V = 0
    [InlineData(0, 0xEUL, 6UL << 1, 0x04)] // stage 2
    [InlineData(0, 0xEUL, 7UL << 1, 0x04)] // both stages
    [InlineData(0, 3UL << 4, 3UL << 4, 0x04)] // S1Fmt 3
    [InlineData(0, 31UL << 59, 21UL << 59, 0x04)] // S1CDMax above SSIDSIZE
    [InlineData(0, 1UL << 12, 1UL << 12, 0x04)] // S1ContextPtr not aligned to 8 KiB
    [InlineData(1, 3UL, 3UL, 0x04)] // S1DSS 3
    [InlineData(1, 1UL << 27, 1UL << 27, 0x04)] // S1STALLD without stalls
    [InlineData(1, 3UL << 28, 2UL << 28, 0x04)] // EATS 2 with stage 1 only
    [InlineData(0, 31UL << 59, 16UL << 59, 0x08)] // S1CDMax below the PASID
    [InlineData(0, 31UL << 59, 0UL, 0x08)] // no substreams
    public void A_bad_stream_table_entry_is_recorded(int word, ulong mask, ulong value, int expected)
    {
        Bend(Ste, word, mask, value);

        TranslationResult result = _fixture.Read(Sid, Ssid);

        Assert.Equal((TranslationStatus.Faulted, expected), (result.Status, result.FaultCode));

        // C_BAD_SUBSTREAMID has no SSV: its SSID is always valid.
        ulong ssv = expected == 0x08 ? 0UL : 0x800;
        ulong word0 = ((ulong)Sid << 32) | (Ssid << 12) | ssv | (uint)expected;
        Assert.Equal([word0, 0, 0, 0], Assert.Single(_fixture.Events()));
    }

    [Theory]
    [InlineData(0, 1UL << 31, 0UL)] // V
    [InlineData(0, 1UL << 41, 0UL)] // AA64
    [InlineData(0, 1UL << 15, 1UL << 15)] // ENDI
    [InlineData(0, 1UL << 42, 1UL << 42)] // HD
    [InlineData(0, 1UL << 43, 1UL << 43)] // HA
    [InlineData(0, 1UL << 44, 1UL << 44)] // S
    [InlineData(0, 63UL, 15UL)] // T0SZ
    [InlineData(0, 63UL, 40UL)] // T0SZ
    [InlineData(0, 3UL << 6, 1UL << 6)] // TG0 64K
    [InlineData(1, 1UL << 48, 1UL << 48)] // TTB0 beyond IPS
    public void A_bad_context_descriptor_is_recorded(int word, ulong mask, ulong value)
    {
        Bend(Cd, word, mask, value);

        TranslationResult result = _fixture.Read(Sid, Ssid);

        Assert.Equal((TranslationStatus.Faulted, 0x0A), (result.Status, result.FaultCode));
        Assert.Equal([((ulong)Sid << 32) | (Ssid << 12) | 0x80A, 0, 0, 0], Assert.Single(_fixture.Events()));
    }

    [Fact]
    public void Wide_asids_are_illegal_where_the_hardware_has_8_bits()
    {
        using var fixture = new Fixture(("asid16", "0"));
        SmmuUnit unit = fixture.Start();
        SmmuDomain domain = unit.CreateDomain(8).Value!;
        UnitDevice stream = unit.AddStream(domain, new RequesterId(1), ats: false).Value!;
        domain.Attach(new SmmuLink(unit.CreateProcess().Value!), new Pasid(2), Root, first: true);
        Assert.Equal(TranslationStatus.ReachedPageTable, fixture.Read(1, 2).Status);
        ulong cd = domain.Table.Root + (2 * 64);
        fixture.Memory.WriteQword(cd, fixture.Memory.ReadQword(cd) | (1UL << 56));
        Assert.Equal(0x0A, fixture.Read(1, 2).FaultCode);
        unit.Dispose();
    }

    [Fact]
    public void A_pointer_out_of_memory_is_a_fetch_fault_with_the_address()
    {
        Bend(L1Cd, 0, 0x00FF_FFFF_FFFF_F000, 0x7_0000_0000);
        Assert.Equal(0x09, _fixture.Read(Sid, Ssid).FaultCode);
        ulong cd = 0x7_0000_0000UL + ((Ssid & 0x3FF) * 64);
        Assert.Equal([((ulong)Sid << 32) | (Ssid << 12) | 0x809, 0, 0, cd], _fixture.Events()[^1]);

        Bend(Ste, 0, 0x00FF_FFFF_FFFF_FFC0, 0x7_0000_0000);
        Assert.Equal(0x09, _fixture.Read(Sid, Ssid).FaultCode);
        Assert.Equal(0x7_0000_0000UL + ((Ssid >> 10) * 8), _fixture.Events()[^1][3]);

        ulong l1 = (_fixture.Registers.Read64(0x80) & 0x000F_FFFF_FFFF_FFC0) + ((Sid >> 8) * 8);
        _fixture.Memory.WriteQword(l1, 0x7_0000_0000 | 9);
        Assert.Equal(0x03, _fixture.Read(Sid, Ssid).FaultCode);
        ulong ste = 0x7_0000_0000UL + ((Sid & 0xFF) * 64);
        Assert.Equal([((ulong)Sid << 32) | (Ssid << 12) | 0x803, 0, 0, ste], _fixture.Events()[^1]);
    }

    [Theory]
    [InlineData(0UL, 0x02)] // invalid
    [InlineData(10UL, 0x02)] // above SPLIT + 1
    [InlineData(3UL, 0x02)] // 4 entries, index 0x18
    [InlineData(6UL, 0)] // 32 entries
    public void The_span_of_a_first_level_descriptor_bounds_the_index(ulong span, int expected)
    {
        ulong l1 = (_fixture.Registers.Read64(0x80) & 0x000F_FFFF_FFFF_FFC0) + ((Sid >> 8) * 8);
        Bend(l1, 0, 0x1F, span);
        Assert.Equal(expected, _fixture.Read(Sid, Ssid).FaultCode);
    }

    [Fact]
    public void Requests_without_a_pasid_go_where_S1DSS_says()
    {
        // As the driver writes it: descriptor 0, which holds no process.
        Assert.Equal(0x08, _fixture.Read(Sid, null).FaultCode);

        Bend(Ste, 1, 3, 0);
        Assert.Equal(0x06, _fixture.Read(Sid, null).FaultCode);
        Assert.Equal([((ulong)Sid << 32) | 6, 0, 0, 0], _fixture.Events()[^1]);

        Bend(Ste, 1, 3, 1);
        Assert.Equal(TranslationStatus.Bypassed, _fixture.Read(Sid, null, 0x1234).Status);
        Assert.Equal(0x1234UL, _fixture.Read(Sid, null, 0x1234).Address);
    }

    [Fact]
    public void Substream_0_is_invalid_while_descriptor_0_serves_requests_without_a_pasid()
    {
        _domain.Table.Set(new Pasid(0), new PasidTableEntry(Root + 4096, 9));
        Assert.Equal(Root + 4096, _fixture.Read(Sid, null).PageTableRoot);
        Assert.Equal(0x08, _fixture.Read(Sid, 0).FaultCode);

        Bend(Ste, 1, 3, 0);
        Assert.Equal(Root + 4096, _fixture.Read(Sid, 0).PageTableRoot);
    }

    [Fact]
    public void Abort_is_quiet_and_bypass_passes()
    {
        Bend(Ste, 0, 0xE, 0);
        Assert.Equal(TranslationStatus.AbortedQuietly, _fixture.Read(Sid, Ssid).Status);
        Assert.Empty(_fixture.Events());

        Bend(Ste, 0, 0xE, 4 << 1);
        Assert.Equal(TranslationStatus.Bypassed, _fixture.Read(Sid, null).Status);
        Assert.Equal(0x08, _fixture.Read(Sid, Ssid).FaultCode);
    }

    [Fact]
    public void An_address_beyond_the_page_table_is_a_translation_fault_of_the_input()
    {
        TranslationResult result = _fixture.Translate(
            new DmaAccess(new RequesterId(Sid), new Pasid(Ssid), 0x1_0000_0000_0000, IsWrite: true));
        Assert.Equal((TranslationStatus.Faulted, 0x10), (result.Status, result.FaultCode));
        Assert.Equal(
            [((ulong)Sid << 32) | (Ssid << 12) | 0x810, 2UL << 40, 0x1_0000_0000_0000, 0],
            Assert.Single(_fixture.Events()));
    }

    [Fact]
    public void A_recorded_translation_fault_of_a_read_is_the_record_of_the_vector()
    {
        using var fixture = new Fixture();
        SmmuUnit unit = fixture.Start();
        SmmuDomain domain = unit.CreateDomain(20).Value!;
        UnitDevice stream = unit.AddStream(domain, new RequesterId(0x18), ats: false).Value!;
        domain.Attach(new SmmuLink(unit.CreateProcess().Value!), new Pasid(Ssid), Root, first: true);

        // EPD0 alone, with R left at 1: the fault is recorded. That is why Exit clears R as well.
        ulong leaf = fixture.Memory.ReadQword(domain.Table.Root + ((Ssid >> 10) * 8)) & ~0xFFFUL;
        ulong cd = leaf + ((Ssid & 0x3FF) * 64);
        fixture.Memory.WriteQword(cd, fixture.Memory.ReadQword(cd) | (1 << 14));

        TranslationResult result = fixture.Read(0x18, Ssid, 0x7f0012345678);

        Assert.Equal((TranslationStatus.Faulted, 0x10), (result.Status, result.FaultCode));
        Assert.Equal(Vector.Of("evt/translation-read").Padded(4), Assert.Single(fixture.Events()));
        unit.Dispose();
    }

    [Fact]
    public void A_full_event_queue_loses_records_and_toggles_the_overflow_flag_once()
    {
        using var fixture = new Fixture();
        SmmuUnit unit = fixture.Start(20, ("event-queue-log2", "2"));
        for (int i = 0; i < 4; i++)
        {
            fixture.Read(1, (uint)i);
        }

        Assert.Equal(4u, fixture.Registers.Read32(0x100A8));
        fixture.Read(1, 5);
        fixture.Read(1, 6);
        Assert.Equal(0x8000_0004u, fixture.Registers.Read32(0x100A8));

        // Two consumed and the overflow acknowledged: there is room again, behind a wrap.
        fixture.Registers.Write32(0x100AC, 0x8000_0002);
        fixture.Read(1, 7);
        Assert.Equal(0x8000_0005u, fixture.Registers.Read32(0x100A8));
        unit.Dispose();
    }

    [Fact]
    public void While_the_unit_is_off_GBPA_decides()
    {
        using var fixture = new Fixture();
        Assert.Equal(TranslationStatus.Bypassed, fixture.Read(1, 1).Status);
        SmmuUnit unit = fixture.Start();
        unit.Dispose();
        Assert.Equal(TranslationStatus.AbortedQuietly, fixture.Read(1, 1).Status);
    }

    [Theory]
    [InlineData("4K", 6), InlineData("64K", 10)]
    public void Both_leaf_sizes_of_a_two_level_table_are_walked(string leaf, int leafBits)
    {
        // A table by hand: the driver itself writes 64 KiB leaves only.
        ulong l1 = _fixture.Memory.AllocatePages(65536, 65536).Value;
        ulong l2 = _fixture.Memory.AllocatePages(65536, 65536).Value;
        _fixture.Memory.WriteQword(l1 + ((Ssid >> leafBits) * 8UL), l2 | 1);
        ulong cd = l2 + ((Ssid & ((1u << leafBits) - 1)) * 64UL);
        ulong[] words = Vector.Of("cd/process").Padded(8);
        for (int i = 0; i < 8; i++)
        {
            _fixture.Memory.WriteQword(cd + ((ulong)i * 8), words[i]);
        }

        ulong format = leaf == "4K" ? 1UL : 2;
        _fixture.Memory.WriteQword(Ste, (17UL << 59) | l1 | (format << 4) | 0xB);

        Assert.Equal(Root, _fixture.Read(Sid, Ssid).PageTableRoot);
        Assert.Equal(0x08, _fixture.Read(Sid, Ssid - (1u << leafBits)).FaultCode);
        _fixture.Memory.FreePages(l1, 65536);
        _fixture.Memory.FreePages(l2, 65536);
    }

    [Theory]
    [InlineData("ril", "2"), InlineData("sid-bits", "33"), InlineData("sid-bits", "0"), InlineData("oas", "39")]
    [InlineData("asid16", "yes")]
    public void A_value_out_of_range_is_refused_by_name(string name, string value)
    {
        ArgumentException refused = Assert.Throws<ArgumentException>(() => new Fixture((name, value)));
        Assert.Contains(name, refused.Message, StringComparison.Ordinal);
        Assert.Contains(value, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_unknown_option_is_refused_with_the_known_ones()
    {
        ArgumentException refused = Assert.Throws<ArgumentException>(() => new Fixture(("warp", "9")));
        Assert.Contains("'warp'", refused.Message, StringComparison.Ordinal);
        Assert.Contains("sid-bits", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Id_registers_say_what_was_asked_for_and_cannot_be_written()
    {
        using var fixture = new Fixture(
            new HardwareSetup { PasidBits = 9, Coherent = false }, null,
            ("sid-bits", "11"), ("ats", "0"), ("oas", "44"));
        Assert.False(fixture.IsCoherent);
        uint idr0 = fixture.Registers.Read32(0);
        Assert.Equal(0u, idr0 & (1u << 4));
        Assert.Equal(0u, idr0 & (1u << 10));
        Assert.Equal(2u, idr0 >> 2 & 3);
        Assert.Equal(11u | (9u << 6), fixture.Registers.Read32(4) & 0x7FF);
        Assert.Equal(4u, fixture.Registers.Read32(0x14) & 7);
        fixture.Registers.Write32(0, 0);
        fixture.Registers.Write64(0, 0);
        Assert.Equal(idr0, fixture.Registers.Read32(0));
        Assert.Equal(0u, fixture.Registers.Read32(0x4000));
    }

    private void Bend(ulong entry, int word, ulong mask, ulong value)
    {
        ulong address = entry + ((ulong)word * 8);
        _fixture.Memory.WriteQword(address, (_fixture.Memory.ReadQword(address) & ~mask) | value);
    }
}
