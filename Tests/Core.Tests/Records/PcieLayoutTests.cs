// SPDX-License-Identifier: Apache-2.0
using System.Globalization;

namespace PasidFramework.Core.Tests.Records;

public sealed class PcieLayoutTests
{
    public static TheoryData<string> Structures => [.. Read("pcie-positions.txt").Select(line => line[0])];

    public static TheoryData<string, string, string> Vectors
    {
        get
        {
            var data = new TheoryData<string, string, string>();
            foreach (string[] line in Read("pcie.txt"))
            {
                data.Add(line[0], line[1], line[2]);
            }

            return data;
        }
    }

    [Fact]
    public void Every_structure_is_listed_once_by_ascending_id_and_has_a_vector()
    {
        string[] ids = [.. PcieLayouts.All.Select(layout => layout.Id)];

        Assert.Equal(ids.Order(StringComparer.Ordinal), ids);
        Assert.Equal(Read("pcie-positions.txt").Select(line => line[0]), ids);
        Assert.Equal(ids, Read("pcie.txt").Select(line => line[0]).Distinct());
        Assert.Equal(ids.Length, new StructureCatalog(PcieLayouts.All).All.Count);
    }

    [Theory]
    [MemberData(nameof(Structures))]
    public void Names_sizes_and_widths_are_those_of_the_registers(string structure)
    {
        Layout layout = LayoutOf(structure);

        Assert.Equal(Read("pcie-positions.txt").Single(line => line[0] == structure)[1], $"{layout.Bits}");
        Assert.Equal(
            Positions(structure).Select(p => $"{p.Name} {p.Msb - p.Lsb + 1}"),
            layout.Fields.Where(f => f.IsNamed).Select(f => $"{f.Mnemonic} {f.Width}"));
    }

    [Theory]
    [MemberData(nameof(Vectors))]
    public void Vectors_encode_to_their_bytes_and_back(string structure, string fields, string hex)
    {
        Layout layout = LayoutOf(structure);
        var given = fields.Split(' ').Select(f => f.Split('=')).ToDictionary(f => f[0], f => Number(f[1]));
        var words = new ulong[layout.Words];
        layout.Initialize(words);

        foreach ((string field, ulong value) in given)
        {
            Assert.True(layout.TrySet(words, field, value).IsOk);
        }

        Assert.Equal(Convert.FromHexString(hex), layout.ToBytes(words));
        Assert.Equal(words, layout.FromBytes(Convert.FromHexString(hex)));
        Assert.Empty(layout.Check(words));
        foreach (LayoutField field in layout.Fields.Where(f => f.IsNamed))
        {
            Assert.Equal(given.GetValueOrDefault(field.Mnemonic), field.Get(words));
        }
    }

    [Theory]
    [MemberData(nameof(Structures))]
    public void D11_every_field_round_trips_and_reserved_bits_stay_0(string structure)
    {
        Layout layout = LayoutOf(structure);
        (string Name, int Msb, int Lsb)[] positions = [.. Positions(structure)];
        Gen<ulong> word =
            from high in Gen.Choose(int.MinValue, int.MaxValue)
            from low in Gen.Choose(int.MinValue, int.MaxValue)
            select ((ulong)(uint)high << 32) | (uint)low;

        Prop.ForAll(word.ArrayOf(positions.Length).ToArbitrary(), random =>
        {
            var words = new ulong[layout.Words];
            layout.Initialize(words);
            ulong expected = 0;
            bool read = true;
            for (int i = 0; i < positions.Length; i++)
            {
                ulong value = random[i] & ((1UL << (positions[i].Msb - positions[i].Lsb + 1)) - 1);
                expected |= value << positions[i].Lsb;
                read &= layout.TrySet(words, positions[i].Name, value).IsOk
                    && layout.Find(positions[i].Name)!.Get(words) == value;
            }

            return read && words[0] == expected
                && layout.Check(words).All(v => !v.Field.StartsWith("RSVD", StringComparison.Ordinal));
        }).QuickCheckThrowOnFailure();
    }

    [Theory]
    [MemberData(nameof(Structures))]
    public void Every_bit_that_is_in_no_field_is_a_violation(string structure)
    {
        Layout layout = LayoutOf(structure);
        (string Name, int Msb, int Lsb)[] positions = [.. Positions(structure)];

        for (int bit = 0; bit < layout.Bits; bit++)
        {
            bool named = positions.Any(p => p.Lsb <= bit && bit <= p.Msb);

            bool reported = layout.Check([1UL << bit]).Any(v => v.Field.StartsWith("RSVD", StringComparison.Ordinal));

            Assert.True(named != reported, $"{structure}, bit {bit}");
        }
    }

    [Theory]
    [InlineData(20, false), InlineData(21, true), InlineData(31, true)]
    public void A_PASID_capability_wider_than_20_bits_is_a_violation(uint width, bool violates)
    {
        Layout layout = LayoutOf("pcie/pasid_cap");
        var words = new ulong[1];
        Assert.True(layout.TrySet(words, "Max_PASID_Width", width).IsOk);

        IReadOnlyList<Violation> found = layout.Check(words);

        Assert.Equal(violates ? ["Max_PASID_Width"] : [], found.Select(v => v.Field));
    }

    private static Layout LayoutOf(string structure) => PcieLayouts.All.Single(l => l.Id == structure);

    private static IEnumerable<(string Name, int Msb, int Lsb)> Positions(string structure) =>
        Read("pcie-positions.txt").Single(line => line[0] == structure)[2]
            .Split(',', StringSplitOptions.TrimEntries)
            .Select(field => field.Split(' ', ':')).Select(f => (f[0], (int)Number(f[1]), (int)Number(f[2])));

    private static IEnumerable<string[]> Read(string name) =>
        File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Records", "Vectors", name))
            .Where(line => line.Length > 0 && line[0] != '#')
            .Select(line => line.Split('|', StringSplitOptions.TrimEntries));

    private static ulong Number(string text) => text.StartsWith("0x", StringComparison.Ordinal)
        ? ulong.Parse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture)
        : ulong.Parse(text, CultureInfo.InvariantCulture);
}
