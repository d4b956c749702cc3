// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Tests;

/// <summary>What holds for the layouts of any format's structures.</summary>
/// <param name="name">Of the format.</param>
/// <param name="provider">The exported list.</param>
public abstract class LayoutSuiteTests(string name, IStructureProvider provider)
{
    private static readonly Gen<ulong> s_word = Gen.Choose(int.MinValue, int.MaxValue).Two()
        .Select(p => ((ulong)(uint)p.Item1 << 32) | (uint)p.Item2);

    [Fact]
    public void The_structures_are_exported_under_the_format_name_and_tile_their_bits()
    {
        var attribute = (StructureProviderAttribute)Attribute.GetCustomAttribute(
            provider.GetType(), typeof(StructureProviderAttribute))!;
        Assert.Equal((name, typeof(IStructureProvider)), (attribute.Name, attribute.ContractType));
        Assert.Distinct(provider.Layouts.Select(l => l.Id));
        Assert.All(provider.Layouts, layout =>
        {
            Assert.StartsWith(name + "/", layout.Id, StringComparison.Ordinal);
            Field[] parts = [.. layout.Fields.SelectMany(f => f.Parts)];
            Assert.Equal(
                Enumerable.Range(0, layout.Bits),
                parts.SelectMany(p => Enumerable.Range(p.Lsb, p.Width)).Order());
        });
    }

    [Fact]
    public void D11_every_field_survives_encoding_and_reserved_bits_stay_0() => ForEach((layout, initial) =>
    {
        LayoutField[] named = [.. layout.Fields.Where(f => f.IsNamed)];
        string[] reserved = [.. Parts(layout, FieldKind.Reserved).Select(p => p.ToString())];
        var used = new ulong[layout.Words];
        foreach (Field part in named.SelectMany(f => f.Parts))
        {
            used[part.Word] |= part.WordMask;
        }

        Prop.ForAll(s_word.ArrayOf(Math.Max(1, named.Length)).ToArbitrary(), values =>
        {
            ulong[] words = [.. initial];
            for (int i = 0; i < named.Length; i++)
            {
                Assert.True(layout.TrySet(words, named[i].Mnemonic, values[i] & named[i].Maximum).IsOk);
            }

            ulong[] decoded = layout.FromBytes(layout.ToBytes(words));
            Assert.Equal(words, decoded);
            for (int i = 0; i < named.Length; i++)
            {
                Assert.Equal(values[i] & named[i].Maximum, named[i].Get(decoded));
            }

            // What the id implies (opcode, event number) and nothing else lies outside of the named fields.
            Assert.Equal(initial, words.Select((word, i) => word & ~used[i]));
            Assert.DoesNotContain(layout.Check(words), v => reserved.Contains(v.Field));
        }).QuickCheckThrowOnFailure();
    });

    [Fact]
    public void Every_reserved_bit_is_reported_under_its_range_and_every_ignored_bit_is_accepted() =>
        ForEach((layout, initial) =>
        {
            int before = layout.Check(initial).Count;
            foreach (FieldKind kind in (FieldKind[])[FieldKind.Reserved, FieldKind.Ignored])
            {
                foreach (Field part in Parts(layout, kind))
                {
                    for (int bit = part.Lsb; bit <= part.Msb; bit++)
                    {
                        ulong[] words = [.. initial];
                        words[bit >> 6] |= 1UL << (bit & 63);

                        IReadOnlyList<Violation> found = layout.Check(words);

                        Assert.Equal(before + (kind == FieldKind.Reserved ? 1 : 0), found.Count);
                        Assert.Equal(kind == FieldKind.Reserved, found.Any(v => v.Field == part.ToString()));
                    }
                }
            }
        });

    [Fact]
    public void Any_bytes_are_explained_and_come_back_from_their_fields() => ForEach((layout, _) =>
        Prop.ForAll(s_word.ArrayOf(layout.Words).ToArbitrary(), words =>
        {
            byte[] bytes = layout.ToBytes(words);
            ulong[] decoded = layout.FromBytes(bytes);
            var again = new ulong[layout.Words];
            foreach (LayoutField field in layout.Fields)
            {
                if (field.IsNamed)
                {
                    Assert.True(layout.TrySet(again, field.Mnemonic, field.Get(decoded)).IsOk);
                    Assert.Equal(field.Get(decoded), field.Get(again));
                    continue;
                }

                foreach (Field part in field.Parts)
                {
                    again.AsSpan().Set(part, ((ReadOnlySpan<ulong>)decoded).Get(part));
                }
            }

            Assert.Equal(bytes, layout.ToBytes(again));
            Assert.All(layout.Check(decoded), v => Assert.NotEmpty(v.Message));
        }).QuickCheckThrowOnFailure());

    [Fact]
    public void A_value_that_is_one_too_wide_is_refused_and_nothing_changes() => ForEach((layout, initial) =>
    {
        foreach (LayoutField field in layout.Fields.Where(f => f.IsNamed && f.Width < 64))
        {
            ulong[] words = [.. initial];

            Assert.Equal(Errno.EINVAL, layout.TrySet(words, field.Mnemonic, field.Maximum + 1).Errno);

            Assert.Equal(initial, words);
            Assert.True(layout.TrySet(words, field.Mnemonic, field.Maximum).IsOk);
            Assert.Equal(field.Maximum, field.Get(words));
        }
    });

    private static IEnumerable<Field> Parts(Layout layout, FieldKind kind) =>
        layout.Fields.Where(f => !f.IsNamed && f.Kind == kind).SelectMany(f => f.Parts);

    private void ForEach(Action<Layout, ulong[]> check) => Assert.All(provider.Layouts, layout =>
    {
        var initial = new ulong[layout.Words];
        layout.Initialize(initial);
        check(layout, initial);
    });
}
