// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Tests;

public sealed class LayoutTests
{
    public static TheoryData<string> Vectors => [.. Vector.All.Select(v => v.Name)];

    [Fact]
    public void Every_structure_of_the_specification_is_listed()
    {
        Assert.Equal(51, ArmSmmuLayouts.All.Count);
        Assert.Same(ArmSmmuLayouts.All, new ArmSmmuStructures().Layouts);
        Assert.All(ArmSmmuLayouts.All, l => Assert.Contains("IHI 0070", l.Source, StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Vectors))]
    public void A_vector_encodes_to_its_words_and_decodes_to_its_fields(string name)
    {
        Vector vector = Vector.Of(name);
        Layout layout = Find(vector.Structure);
        ulong[] expected = vector.Padded(layout.Words);
        var words = new ulong[layout.Words];

        layout.Initialize(words);
        foreach ((string field, ulong value) in vector.Fields)
        {
            OpResult set = layout.TrySet(words, field, value);
            Assert.True(set.IsOk, set.ToString());
        }

        Assert.Equal(Hex(expected), Hex(words));
        Assert.Empty(layout.Check(words));
        foreach (LayoutField field in layout.Fields.Where(f => f.IsNamed))
        {
            ulong value = vector.Fields.SingleOrDefault(f => f.Field == field.Mnemonic).Value;
            Assert.True(field.Get(expected) == value, $"{name}: {field.Mnemonic} is 0x{field.Get(expected):x}");
        }
    }

    [Theory]
    [InlineData("ste", "S1CDMax=21 V=1 Config=5", "S1CDMax")]
    [InlineData("ste", "S1Fmt=3 S1CDMax=4 V=1 Config=5", "S1Fmt")]
    [InlineData("ste", "S1DSS=3 S1CDMax=4 V=1 Config=5", "S1DSS")]
    [InlineData("ste", "S1CDMax=4 S1ContextPtr=0x40 V=1 Config=5", "S1ContextPtr")]
    [InlineData("ste", "S1CDMax=10 S1Fmt=1 S1ContextPtr=0x40 V=1 Config=5", "S1ContextPtr")]
    [InlineData("ste", "S1CDMax=14 S1Fmt=2 S1ContextPtr=0x40 V=1 Config=5", "S1ContextPtr")]
    [InlineData("ste", "EATS=2 V=1 Config=5", "EATS"), InlineData("cd", "V=1 T0SZ=40 EPD1=1", "T0SZ")]
    [InlineData("cd", "V=1 T0SZ=16 EPD1=1 TTB0=0x100000000", "TTB0")]
    [InlineData("cd", "V=1 T0SZ=16 TG0=3 EPD1=1", "TG0"), InlineData("cd", "V=1 EPD0=1 T1SZ=16", "TG1")]
    [InlineData("cd", "V=1 EPD0=1 TG1=2 T1SZ=11", "T1SZ")]
    [InlineData("cd", "V=1 EPD0=1 TG1=2 T1SZ=16 IPS=3 TTB1=0x40000000000", "TTB1")]
    [InlineData("cd", "V=1 T0SZ=11 EPD1=1", "T0SZ")]
    [InlineData("cd", "V=1 T0SZ=16 EPD1=1 IPS=6 TTB0=0x10000000000000", "TTB0")]
    [InlineData("ste", "STRW=1 V=1 Config=5", "STRW"), InlineData("ste", "STRW=3 V=1 Config=5", "STRW")]
    [InlineData("ste", "S2TG=3 V=1 Config=6", "S2TG"), InlineData("ste", "S2TG=3 V=1 Config=7", "S2TG")]
    [InlineData("ste", "EATS=2 V=1 Config=6", "EATS"), InlineData("l1_stream_desc", "Span=12", "Span")]
    [InlineData("cmd_tlbi_nh_va", "TG=1", "TG"), InlineData("cmd_tlbi_nh_vaa", "TG=2 Leaf=1", "TG")]
    [InlineData("cmd_tlbi_el2_va", "TG=3", "TG"), InlineData("cmd_tlbi_el2_vaa", "TG=1", "TG")]
    [InlineData("cmd_tlbi_s2_ipa", "TG=1 IPA=0x1000", "TG"), InlineData("cmd_pri_resp", "Resp=3", "Resp")]
    [InlineData("cmd_resume", "Resp=3", "Resp"), InlineData("evt_walk_eabt", "CLASS=3", "CLASS")]
    [InlineData("evt_translation", "CLASS=3", "CLASS"), InlineData("evt_addr_size", "CLASS=3", "CLASS")]
    [InlineData("evt_access", "CLASS=3", "CLASS"), InlineData("evt_permission", "CLASS=3", "CLASS")]
    [InlineData("s1_pte", "type=1 SH=1", "SH"), InlineData("s2_pte", "type=1 SH=1", "SH")]
    [InlineData("s1_pte", "type=1 address=0x20000", "RSVD[20:17]")]
    [InlineData("s2_pte", "type=1 address=0x100000", "RSVD[20:17]"), InlineData("cmd_atc_inv", "Size=53", "Size")]
    [InlineData("cmd_sync", "CS=3", "CS"), InlineData("cd", "V=1 T0SZ=15 EPD1=1 IPS=6", "T0SZ")]
    [InlineData("cd", "V=1 T1SZ=15 TG1=2 EPD0=1", "T1SZ"), InlineData("cd", "V=1 T0SZ=11 TG0=1 EPD1=1", "T0SZ")]
    [InlineData("ste", "EATS=2 V=1 Config=4", "EATS"), InlineData("priq_entry", "Last=1", "SSV")]
    [InlineData("idr0", "STALL_MODEL=3", "STALL_MODEL"), InlineData("idr1", "SSIDSIZE=21", "SSIDSIZE")]
    [InlineData("idr1", "SIDSIZE=33", "SIDSIZE")]
    public void An_illegal_combination_is_encoded_and_reported(string structure, string fields, string culprit)
    {
        ulong[] words = Encode(structure, fields);

        Violation violation = Assert.Single(Find(structure).Check(words));

        Assert.Equal(culprit, violation.Field);
    }

    [Theory]
    [InlineData("ste", "S1CDMax=9 S1Fmt=1 S1ContextPtr=0x40 V=1 Config=5")]
    [InlineData("ste", "S1CDMax=10 S1Fmt=1 S1ContextPtr=0x80 V=1 Config=5")]
    [InlineData("ste", "S1CDMax=13 S1Fmt=2 S1ContextPtr=0x40 V=1 Config=5")]
    [InlineData("ste", "S1CDMax=14 S1Fmt=2 S1ContextPtr=0x80 V=1 Config=5")]
    [InlineData("ste", "S1CDMax=4 S1ContextPtr=0x400 V=1 Config=5")]
    [InlineData("ste", "S1CDMax=31 S1Fmt=3 S1ContextPtr=0x40 V=0 Config=5"), InlineData("cd", "V=1 EPD0=1 EPD1=1")]
    [InlineData("cd", "V=1 T0SZ=12 TG0=1 EPD1=1"), InlineData("ste", "EATS=2 V=1 Config=0")]
    [InlineData("idr1", "SSIDSIZE=20 SIDSIZE=32"), InlineData("cd", "V=1 T0SZ=39 EPD1=1 TTB0=0xfffff000")]
    [InlineData("cd", "V=1 T0SZ=12 TG0=2 EPD1=1 IPS=6 DS=1 TTB0=0xffffffffff000")]
    [InlineData("cd", "V=1 EPD0=1 TG1=1 T1SZ=39 TTB1=0xfffff000"), InlineData("cd", "V=0 T0SZ=0 TTB0=0x100000000")]
    [InlineData("ste", "V=1 Config=3 STRW=3 S2TG=3"), InlineData("ste", "V=1 Config=4 STRW=3 S2TG=3")]
    [InlineData("ste", "V=1 Config=5 S2TG=3 STRW=2"), InlineData("ste", "V=1 Config=7 EATS=2")]
    [InlineData("ste", "V=0 Config=6 S2TG=3"), InlineData("l1_stream_desc", "Span=11")]
    [InlineData("cmd_tlbi_nh_va", "TG=1 NUM=1"), InlineData("cmd_tlbi_nh_va", "TG=1 SCALE=1")]
    [InlineData("cmd_atc_inv", "Size=52"), InlineData("priq_entry", "Last=1 SSV=1")]
    [InlineData("s1_pte", "type=0 SH=1 address=0x20000"), InlineData("s1_pte", "type=2 SH=1 address=0x20000")]
    [InlineData("s1_pte", "type=3 SH=1 address=0x20000"), InlineData("s1_pte", "type=1 address=0x20f000")]
    [InlineData("cmd_tlbi_nh_va", "TG=1 TTL=3")]
    public void A_legal_boundary_is_not_reported(string structure, string fields) =>
        Assert.Empty(Find(structure).Check(Encode(structure, fields)));

    [Fact]
    public void A_present_page_table_entry_with_a_reserved_high_bit_is_reported_and_an_absent_one_is_not()
    {
        foreach (string structure in (string[])["s1_pte", "s2_pte"])
        {
            Layout layout = Find(structure);
            ulong high = (1UL << 49) | (1UL << 48);

            Assert.Equal("RSVD[49:48]", Assert.Single(layout.Check([high | 3])).Field);
            Assert.Equal("RSVD[49:48]", Assert.Single(layout.Check([(1UL << 48) | 1])).Field);
            Assert.Empty(layout.Check([ulong.MaxValue & ~1UL]));
        }
    }

    [Fact]
    public void Range_31_is_all_in_both_ids_and_only_cfgi_all_insists_on_it()
    {
        Layout range = Find("cmd_cfgi_ste_range");
        Layout all = Find("cmd_cfgi_all");
        ulong[] everything = Vector.Of("cmd/cfgi-all").Padded(2);
        ulong[] some = Vector.Of("cmd/cfgi-ste-range").Padded(2);

        Assert.Empty(range.Check(everything));
        Assert.StartsWith("all", range.Find("Range")!.Values[31], StringComparison.Ordinal);
        Assert.Empty(all.Check(everything));
        Assert.Empty(all.Check([everything[0] | (0x18UL << 32), everything[1]]));
        Assert.Empty(range.Check(some));
        Assert.Equal("Range", Assert.Single(all.Check(some)).Field);
    }

    [Fact]
    public void The_hardware_accepts_a_command_exactly_where_its_layout_has_no_violation()
    {
        Layout[] commands = [.. Commands.All];
        Gen<ulong> word = Gen.Choose(int.MinValue, int.MaxValue).Two()
            .Select(p => ((ulong)(uint)p.Item1 << 32) | (uint)p.Item2);
        Gen<(int Layout, ulong W0, ulong W1, int Shape)> any =
            from layout in Gen.Choose(0, commands.Length - 1)
            from w0 in word
            from w1 in word
            from shape in Gen.Choose(0, 3)
            select (layout, w0, w1, shape);

        Prop.ForAll(any.ToArbitrary(), c =>
        {
            Layout layout = commands[c.Layout];
            ulong[] words = [c.W0, c.W1];
            if (c.Shape > 0)
            {
                // Mostly clean ones: random bits everywhere would hardly ever be legal.
                foreach (LayoutField field in layout.Fields.Where(f => f.Kind == FieldKind.Reserved))
                {
                    foreach (Field part in field.Parts)
                    {
                        words[part.Word] &= ~part.WordMask;
                    }
                }
            }

            ulong opcode = layout.Fields.Single(f => f.Mnemonic == "Opcode").Constant;
            words[0] = (words[0] & ~0xFFUL) | opcode;
            bool legal = commands
                .Where(l => l.Fields.Single(f => f.Mnemonic == "Opcode").Constant == opcode)
                .Any(l => l.Check(words).Count == 0);
            Assert.Equal(legal, Commands.IsLegal(new SmmuCommand(words[0], words[1]), hasRange: true));
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Encoders_of_commands_write_the_vectors()
    {
        Same("cmd/cfgi-ste", Commands.CfgiSte(0x18, leaf: true));
        Same("cmd/cfgi-all", Commands.CfgiAll());
        Same("cmd/cfgi-ste-range", Commands.CfgiSteRange(0x100, 7));
        Same("cmd/cfgi-cd", Commands.CfgiCd(0x18, 0x12345, leaf: true));
        Same("cmd/cfgi-cd-all", Commands.CfgiCdAll(0x18));
        Same("cmd/tlbi-nh-all", Commands.TlbiNhAll(3));
        Same("cmd/tlbi-nh-asid", Commands.TlbiNhAsid(0, 0x2a));
        Same("cmd/tlbi-nh-va-range", Commands.TlbiNhVaRange(0, 0x2a, 0x7f0012340000, 15, 0, leaf: true, ttl: 3));
        Same("cmd/tlbi-nh-va-page", Commands.TlbiNhVa(0, 0x2a, 0x7f0012340000));
        Same("cmd/tlbi-nsnh-all", Commands.TlbiNsnhAll());
        Same("cmd/atc-inv-all-of-ssid", Commands.AtcInv(0x18, 0x12345, 0, 52));
        Same("cmd/pri-resp-success", Commands.PriRespond(0x18, 0x12345, 0x1f, 2));
        Same("cmd/resume-retry", Commands.Resume(0x18, 0x77, 1));
        Same("cmd/sync-sev", Commands.Sync(2));
        Same("cmd/sync", Commands.Sync());

        static void Same(string name, SmmuCommand command) =>
            Assert.Equal(Hex(Vector.Of(name).Padded(2)), Hex([command.Word0, command.Word1]));
    }

    private static Layout Find(string structure) => ArmSmmuLayouts.All.Single(l => l.Id == $"arm-smmuv3/{structure}");

    private static ulong[] Encode(string structure, string fields)
    {
        Layout layout = Find(structure);
        var words = new ulong[layout.Words];
        layout.Initialize(words);
        foreach (string field in fields.Split(' '))
        {
            string[] parts = field.Split('=');
            ulong value = parts[1].StartsWith("0x", StringComparison.Ordinal)
                ? Convert.ToUInt64(parts[1], 16)
                : ulong.Parse(parts[1], System.Globalization.CultureInfo.InvariantCulture);
            Assert.True(layout.TrySet(words, parts[0], value).IsOk, field);
        }

        return words;
    }

    private static string Hex(IEnumerable<ulong> words) => string.Join(' ', words.Select(w => w.ToString("x16")));
}
