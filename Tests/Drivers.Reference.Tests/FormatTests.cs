// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.Reference.Tests;

public sealed class FormatTests() : LayoutSuiteTests("reference", new ReferenceStructures())
{
    private static readonly StructureCatalog s_catalog = new(new ReferenceStructures().Layouts);

    private static readonly Gen<ulong> s_word =
        from high in Gen.Choose(int.MinValue, int.MaxValue)
        from low in Gen.Choose(int.MinValue, int.MaxValue)
        from shift in Gen.Choose(0, 63)
        select (((ulong)(uint)high << 32) | (uint)low) >> shift;

    public static TheoryData<string, string, string> Examples
    {
        get
        {
            var data = new TheoryData<string, string, string>();
            foreach (string[] line in VectorFile.Read("examples.txt"))
            {
                data.Add(line[0], line[1], line[2]);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Examples))]
    public void A_structure_is_encoded_to_the_bytes_of_the_vector_and_back(string id, string fields, string hex)
    {
        Assert.True(s_catalog.TryFind(id, out Layout? layout));
        var words = new ulong[layout.Words];
        layout.Initialize(words);
        (string Name, ulong Value)[] values =
        [
            .. fields.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(f => f.Split('='))
                .Select(f => (f[0], VectorFile.Number(f[1]))),
        ];
        foreach ((string name, ulong value) in values)
        {
            Fixture.Ok(layout.TrySet(words, name, value));
        }

        Assert.Equal(hex, Convert.ToHexStringLower(layout.ToBytes(words)));
        Assert.Empty(layout.Check(words));
        ulong[] read = layout.FromBytes(Convert.FromHexString(hex));
        Assert.All(values, v => Assert.Equal(v.Value, layout.Find(v.Name)!.Get(read)));
    }

    [Fact]
    public void Every_field_lies_where_the_architecture_says()
    {
        string[][] lines = [.. VectorFile.Read("positions.txt")];

        Assert.Equal(
            s_catalog.All.Select(l => (
                l.Id, string.Join(' ', l.Fields.SelectMany(f => f.Parts).Select(p => p.ToString())))),
            lines.Select(line => (line[0], line[1])));
    }

    [Theory]
    [InlineData(4096, false), InlineData(4097, true)]
    public void D6_one_command_covers_4096_pages(ulong pages, bool isAll) =>
        Assert.Equal(isAll, PageRange.Cover(new IovaRange(0x5FFF, 0x5000 + (pages * 4096) - 4096)).IsAll);

    [Fact]
    public void Every_structure_has_a_vector() => Assert.Equal(
        s_catalog.All.Select(l => l.Id),
        VectorFile.Read("examples.txt").Select(line => line[0]).Distinct().Order(StringComparer.Ordinal));

    [Fact]
    public void What_the_driver_writes_into_commands_is_what_their_layouts_read() => Prop.ForAll(
        Arb.From(
            from start in s_word
            from length in s_word
            from asid in Gen.Choose(0, 0xFFFF)
            from requester in Gen.Choose(0, 0xFFFF)
            from pasid in Gen.Choose(0, 0xFFFFF)
            from table in Gen.Choose(1, int.MaxValue)
            select (start, length, asid, requester, pasid, table)),
        made =>
        {
            PageRange range = PageRange.Cover(IovaRange.FromStartEnd(made.start, made.start + made.length));
            var requester = new RequesterId((uint)made.requester);
            var pasid = new Pasid((uint)made.pasid);
            ulong table = (ulong)made.table << 12;
            if (range.Pages > 0)
            {
                Command translations = Command.InvalidateTranslations((uint)made.asid, range);
                Assert.Equal((ulong)made.asid, Read(translations, "ASID"));
                Assert.Equal(range.IsAll ? 1UL : 0, Read(translations, "ALL"));
                Assert.Equal(range.IsAll ? 0 : range.First, Read(translations, "ADDRESS"));
                Assert.Equal(range.IsAll ? 0 : range.Pages - 1, Read(translations, "COUNT"));
                Command tlb = Command.InvalidateDeviceTlb(requester, pasid, range);
                Assert.Equal(requester.Value, Read(tlb, "REQUESTER"));
                Assert.Equal(pasid.Value, Read(tlb, "PASID"));
                Assert.Equal(0UL, Read(tlb, "ANY"));
                Assert.Equal(range.IsAll ? 0 : range.First, Read(tlb, "ADDRESS"));
            }

            Command entry = Command.InvalidatePasid(table, pasid, leafOnly: made.asid % 2 == 0);
            Assert.Equal(table, Read(entry, "TABLE"));
            Assert.Equal(pasid.Value, Read(entry, "PASID"));
            Assert.Equal(made.asid % 2 == 0 ? 1UL : 0, Read(entry, "LEAF"));
            Assert.Equal(1UL, Read(Command.InvalidateTable(table), "ALL"));
            Assert.Equal(table, Read(Command.InvalidateTable(table), "TABLE"));
            Assert.Equal(requester.Value, Read(Command.InvalidateDevice(requester), "REQUESTER"));
            Assert.Equal(1UL, Read(Command.InvalidateDeviceTlb(requester), "ANY"));
            Assert.Equal(1UL, Read(Command.InvalidateDeviceTlb(requester), "ALL"));
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void D6_a_range_covers_exactly_the_pages_that_it_touches_or_everything() => Prop.ForAll(
        Arb.From(Gen.OneOf(
            from start in s_word
            from length in s_word
            select (start, end: start + length),
            from start in s_word
            from pages in Gen.Choose(0, 5000)
            from bytes in Gen.Choose(0, 4096)
            select (start, end: start + ((ulong)pages * 4096) + (ulong)bytes),
            from length in s_word
            select (start: unchecked(0 - length), end: 0UL))),
        range =>
        {
            if (range.start == range.end && range.end != 0)
            {
                return; // empty: no driver is called
            }

            var covered = PageRange.Cover(IovaRange.FromStartEnd(range.start, range.end));
            UInt128 end = range.end == 0 ? UInt128.One << 64 : range.end;
            UInt128 first = range.start / 4096;
            UInt128 pages = end <= range.start ? 0 : ((end - 1) / 4096) - first + 1;
            Assert.Equal(end <= range.start || pages > 4096, covered.IsAll);
            if (!covered.IsAll)
            {
                Assert.Equal((ulong)first * 4096, covered.First);
                Assert.Equal((ulong)pages, covered.Pages);
            }
        }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData(0UL, 0UL), InlineData(0UL, 1UL << 63), InlineData(0x2000UL, 0x1000UL)]
    public void D6_all_of_memory_a_huge_range_and_one_that_wraps_are_everything(ulong start, ulong end) =>
        Assert.True(PageRange.Cover(IovaRange.FromStartEnd(start, end)).IsAll);

    [Fact]
    public void Every_fault_code_has_a_name_of_its_own()
    {
        Assert.Equal(13, FaultCodes.Names.Select(n => n.Item2).Distinct().Count());
        Assert.DoesNotContain("unknown code", FaultCodes.Names.Select(n => n.Item2));
        Assert.Equal("unknown code", FaultCodes.Describe(99));
    }

    [Fact]
    public void A_width_out_of_range_is_a_violation()
    {
        Assert.Equal("WIDTH", Assert.Single(DeviceEntry.Layout.Check([1])).Field);
        Assert.Equal("WIDTH", Assert.Single(DeviceEntry.Layout.Check([1 | (21 << 2)])).Field);
        Assert.Empty(DeviceEntry.Layout.Check([1 | (20 << 2)]));
        Assert.Empty(DeviceEntry.Layout.Check([0]));
    }

    private static ulong Read(Command command, string field)
    {
        ulong[] words = [command.Word0, command.Word1];
        Layout layout = Command.LayoutOf(words[0] & 0xF)!;
        Assert.Empty(layout.Check(words));
        return layout.Find(field)!.Get(words);
    }
}
