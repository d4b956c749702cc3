// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Tests;

public sealed class FormatTests() : LayoutSuiteTests("intel-vtd", new IntelVtdStructures())
{
    public static TheoryData<string> Structures => [.. PositionDecoder.Structures];

    public static TheoryData<string, string, string, string> Vectors
    {
        get
        {
            var data = new TheoryData<string, string, string, string>();
            foreach (string[] line in VectorFile.Read("intel-vtd.txt").Concat(VectorFile.Read("examples.txt")))
            {
                data.Add(line[0], line[1], line[2], line[3]);
            }

            return data;
        }
    }

    [Fact]
    public void Every_structure_tiles_its_bits_and_is_listed_once_by_ascending_id()
    {
        // The constructor of a layout throws where bits are declared twice or not at all.
        string[] ids = [.. IntelVtdLayouts.All.Select(layout => layout.Id)];

        Assert.Equal(ids.Order(StringComparer.Ordinal), ids);
        Assert.Same(IntelVtdLayouts.All, new IntelVtdStructures().Layouts);
        Assert.Equal(PositionDecoder.Structures.Order(StringComparer.Ordinal), ids);
        Assert.All(IntelVtdLayouts.All, layout => Assert.Contains("D51397-018 (rev 5.10)", layout.Source));
    }

    [Fact]
    public void Structures_have_the_names_sizes_and_fields_that_scripts_rely_on()
    {
        static string[] Names(string list) => list == "-" ? [] : list.Split(',', StringSplitOptions.TrimEntries);

        static string Line(string id, string bits, IEnumerable<string> names) =>
            $"{id} {bits}: {string.Join(' ', names.Order(StringComparer.Ordinal))}";

        Assert.Equal(
            VectorFile.Read("structures.txt")
                .Select(line => Line(line[0], line[1], Names(line[2]).Concat(Names(line[3])))),
            IntelVtdLayouts.All.Select(layout => Line(
                layout.Id, $"{layout.Bits}", layout.Fields.Where(f => f.IsNamed).Select(f => f.Mnemonic))));
    }

    [Fact]
    public void Every_structure_has_an_example_beyond_the_worked_ones() =>
        Assert.Equal(
            IntelVtdLayouts.All.Select(layout => layout.Id),
            VectorFile.Read("examples.txt").Select(line => line[1]).Distinct().Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Structures))]
    public void Every_bit_outside_the_fields_is_a_violation_and_no_other_is(string structure)
    {
        Layout layout = LayoutOf(structure);
        var words = new ulong[layout.Words];

        for (int bit = 0; bit < layout.Bits; bit++)
        {
            layout.Initialize(words);
            words[bit / 64] ^= 1UL << (bit % 64);

            bool reported = layout.Check(words).Any(v => v.Field is "TYPE"
                || v.Field.StartsWith("RSVD", StringComparison.Ordinal));

            Assert.True(reported != PositionDecoder.Of(structure).IsFree(bit), $"{structure}, bit {bit}");
        }
    }

    [Theory]
    [MemberData(nameof(Structures))]
    public void D11_any_words_decode_without_an_exception_and_their_bytes_come_back(string structure)
    {
        Layout layout = LayoutOf(structure);

        Prop.ForAll(Words().ArrayOf(layout.Words).ToArbitrary(), words =>
        {
            bool same = layout.Check(words).All(v => v.Message.Length > 0);
            foreach (LayoutField field in layout.Fields.Where(f => f.IsNamed))
            {
                same &= field.Get(words) == PositionDecoder.Of(structure).Get(words, field.Mnemonic);
            }

            return same && layout.FromBytes(layout.ToBytes(words)).AsSpan().SequenceEqual(words);
        }).QuickCheckThrowOnFailure();
    }

    [Theory]
    [MemberData(nameof(Structures))]
    public void Fields_have_the_names_and_widths_of_the_specification(string structure)
    {
        Layout layout = LayoutOf(structure);
        PositionDecoder decoder = PositionDecoder.Of(structure);

        Assert.Equal(decoder.Bits, layout.Bits);
        Assert.Equal(
            decoder.Names.Order(StringComparer.Ordinal),
            layout.Fields.Where(f => f.IsNamed).Select(f => f.Mnemonic).Order(StringComparer.Ordinal));
        foreach (LayoutField field in layout.Fields.Where(f => f.IsNamed))
        {
            Assert.Equal(decoder.Width(field.Mnemonic), field.Width);
            Assert.Equal(PositionDecoder.IsAddress(field.Mnemonic), field.Kind == FieldKind.Address);
        }
    }

    [Theory]
    [MemberData(nameof(Vectors))]
    public void Worked_examples_encode_to_their_words_and_back(string name, string structure, string fields, string hex)
    {
        Assert.NotEmpty(name);
        Layout layout = LayoutOf(structure);
        ulong[] expected = VectorFile.Words(hex, layout.Words);
        var words = new ulong[layout.Words];
        layout.Initialize(words);
        var given = fields.Split(' ').Select(f => f.Split('=')).ToDictionary(f => f[0], f => VectorFile.Number(f[1]));

        foreach ((string field, ulong value) in given)
        {
            Fixture.Ok(layout.TrySet(words, field, value));
        }

        Assert.Equal(expected, words);
        Assert.Equal(expected, layout.FromBytes(layout.ToBytes(words)));
        foreach (LayoutField field in layout.Fields.Where(f => f.IsNamed))
        {
            Assert.Equal(given.GetValueOrDefault(field.Mnemonic), field.Get(expected));
            Assert.Equal(
                given.GetValueOrDefault(field.Mnemonic), PositionDecoder.Of(structure).Get(expected, field.Mnemonic));
        }
    }

    [Theory]
    [MemberData(nameof(Structures))]
    public void D11_every_field_round_trips_through_an_independent_decoder_and_reserved_bits_stay_0(string structure)
    {
        Layout layout = LayoutOf(structure);
        PositionDecoder decoder = PositionDecoder.Of(structure);
        LayoutField[] named = [.. layout.Fields.Where(f => f.IsNamed)];

        Prop.ForAll(Words().ArrayOf(named.Length).ToArbitrary(), random =>
        {
            var words = new ulong[layout.Words];
            layout.Initialize(words);
            for (int i = 0; i < named.Length; i++)
            {
                Fixture.Ok(layout.TrySet(words, named[i].Mnemonic, random[i] & named[i].Maximum));
            }

            var empty = new ulong[layout.Words];
            layout.Initialize(empty);
            bool same = true;
            for (int i = 0; i < named.Length; i++)
            {
                ulong value = random[i] & named[i].Maximum;
                same &= decoder.Get(words, named[i].Mnemonic) == value && named[i].Get(words) == value;
            }

            return same && decoder.Rest(words) == decoder.Rest(empty)
                && layout.Check(words).All(v => !v.Field.StartsWith("RSVD", StringComparison.Ordinal));
        }).QuickCheckThrowOnFailure();
    }

    [Theory]
    [InlineData("intel-vtd/sm_context_entry", "P=1 PRE=1", "PRE")]
    [InlineData("intel-vtd/sm_context_entry", "P=1 EPTR=1", "EPTR")]
    [InlineData("intel-vtd/sm_context_entry", "P=1 PDTS=0 RID_PASID=0x2000", "RID_PASID")]
    [InlineData("intel-vtd/pasid_entry", "P=1 PGTT=0", "PGTT")]
    [InlineData("intel-vtd/pasid_entry", "P=1 PGTT=5", "PGTT")]
    [InlineData("intel-vtd/pasid_entry", "P=1 PGTT=7", "PGTT")]
    [InlineData("intel-vtd/pasid_entry", "P=1 PGTT=2 AW=0", "AW")]
    [InlineData("intel-vtd/pasid_entry", "P=1 PGTT=3 AW=4", "AW")]
    [InlineData("intel-vtd/pasid_entry", "P=1 PGTT=1 FSPM=2", "FSPM")]
    [InlineData("intel-vtd/pasid_entry", "P=1 PGTT=1 PAT=0x20", "PAT")]
    [InlineData("intel-vtd/pasid_entry", "P=1 PGTT=3 AW=1 FSPTPTR=0x8000000000", "FSPTPTR")]
    [InlineData("intel-vtd/pasid_entry", "P=1 PGTT=3 AW=2 FSPTPTR=0x1000000000000", "FSPTPTR")]
    [InlineData("intel-vtd/pasid_entry", "P=1 PGTT=3 AW=3 FSPTPTR=0x200000000000000", "FSPTPTR")]
    [InlineData("intel-vtd/rtaddr", "TTM=2", "TTM"), InlineData("intel-vtd/ecap", "PASID=1 PSS=20", "PSS")]
    [InlineData("intel-vtd/inv_dev_tlb", "S=1 ADDR=0xfffffffffffff000", "ADDR")]
    [InlineData("intel-vtd/inv_p_dev_tlb", "S=1 ADDR=0xfffffffffffff000", "ADDR")]
    [InlineData("intel-vtd/page_group_response", "RC=2", "RC")]
    [InlineData("intel-vtd/page_group_response", "RC=14", "RC"), InlineData("intel-vtd/page_request", "LPIG=1", "PP")]
    [InlineData("intel-vtd/vcmd", "CMD=3", "CMD"), InlineData("intel-vtd/vcrsp", "SC=2", "SC")]
    [InlineData("intel-vtd/vcrsp", "SC=17", "SC"), InlineData("intel-vtd/inv_context_cache", "G=0", "G")]
    [InlineData("intel-vtd/inv_iotlb", "G=0", "G"), InlineData("intel-vtd/inv_iotlb", "G=3 AM=1 ADDR=0x1000", "ADDR")]
    [InlineData("intel-vtd/inv_p_iotlb", "G=1", "G")]
    [InlineData("intel-vtd/inv_p_iotlb", "G=3 AM=3 ADDR=0x4000", "ADDR")]
    [InlineData("intel-vtd/inv_pasid_cache", "G=2", "G")]
    public void Forbidden_combinations_are_violations_of_the_named_field(
        string structure, string fields, string field) =>
        Assert.Equal([field], Check(structure, fields).Select(v => v.Field));

    [Theory]
    [InlineData("intel-vtd/sm_context_entry", "P=1 DTE=1 PRE=1")]
    [InlineData("intel-vtd/sm_context_entry", "P=1 PDTS=0 RID_PASID=0x1fff")]
    [InlineData("intel-vtd/sm_context_entry", "P=0 PRE=1"), InlineData("intel-vtd/pasid_entry", "P=0 FPD=1 PGTT=0")]
    [InlineData("intel-vtd/pasid_entry", "P=1 PGTT=4 FSPM=2")]
    [InlineData("intel-vtd/pasid_entry", "P=1 PGTT=1 AW=0 PAT=0x70456140")]
    [InlineData("intel-vtd/pasid_entry", "P=1 PGTT=3 AW=1 FSPTPTR=0x7ffffff000")]
    [InlineData("intel-vtd/pasid_entry", "P=1 PGTT=3 AW=3 FSPTPTR=0x1fffffffffff000")]
    [InlineData("intel-vtd/pasid_entry", "P=1 PGTT=1 AW=1 FSPTPTR=0x8000000000")]
    [InlineData("intel-vtd/ecap", "PASID=1 PSS=19"), InlineData("intel-vtd/inv_dev_tlb", "S=0 ADDR=0xfffffffffffff000")]
    [InlineData("intel-vtd/inv_dev_tlb", "S=1 ADDR=0x7ffffffffffff000")]
    [InlineData("intel-vtd/inv_p_dev_tlb", "S=1 ADDR=0x7ffffffffffff000")]
    [InlineData("intel-vtd/inv_p_iotlb", "G=2 AM=2 ADDR=0x1000"), InlineData("intel-vtd/page_group_response", "RC=15")]
    [InlineData("intel-vtd/page_request", "LPIG=1 PP=1"), InlineData("intel-vtd/page_request", "LPIG=1 WRR=1")]
    [InlineData("intel-vtd/vcmd", "CMD=2 PASID=1"), InlineData("intel-vtd/vcrsp", "IP=1 SC=2")]
    [InlineData("intel-vtd/inv_p_iotlb", "G=3 AM=2 ADDR=0x4000"), InlineData("intel-vtd/inv_pasid_cache", "G=0")]
    public void Allowed_combinations_are_not(string structure, string fields) => Assert.Empty(Check(structure, fields));

    private static IReadOnlyList<Violation> Check(string structure, string fields)
    {
        Layout layout = LayoutOf(structure);
        var words = new ulong[layout.Words];
        layout.Initialize(words);
        foreach (string[] field in fields.Split(' ').Select(f => f.Split('=')))
        {
            Fixture.Ok(layout.TrySet(words, field[0], VectorFile.Number(field[1])));
        }

        return layout.Check(words);
    }

    private static Gen<ulong> Words() =>
        from high in Gen.Choose(int.MinValue, int.MaxValue)
        from low in Gen.Choose(int.MinValue, int.MaxValue)
        select ((ulong)(uint)high << 32) | (uint)low;

    private static Layout LayoutOf(string structure) => IntelVtdLayouts.All.Single(l => l.Id == structure);
}
