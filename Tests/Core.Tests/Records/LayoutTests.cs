// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Core.Tests.Records;

public sealed class LayoutTests
{
    private static Field P => new(0, 0, "P");
    private static Field Low => new(15, 12, "PFSID");
    private static Field High => new(63, 52, "PFSID");
    private static Field Pointer => new(51, 16, "PTR");
    private static Field Whole => new(127, 64, "DATA");

    private static Layout Make() => new(
        "test/entry",
        128,
        "test",
        [
            LayoutField.Value(P, "present"), LayoutField.Fixed(new Field(3, 1, "TYPE"), 5, "type"),
            LayoutField.Reserved(11, 4), LayoutField.Split("function", Low, High),
            LayoutField.Address(Pointer, "table"),
            LayoutField.Value(Whole, "data"),
        ],
        (words, found) =>
        {
            if (words.Get(P) == 1 && words.GetAddress(Pointer) == 0)
            {
                found.Add(new Violation("PTR", "is 0 in a present entry"));
            }
        });

    [Fact]
    public void Fields_are_set_by_value_addresses_by_byte_and_split_values_as_one()
    {
        Layout layout = Make();
        Span<ulong> words = stackalloc ulong[2];
        layout.Initialize(words);

        Assert.True(layout.TrySet(words, "P", 1).IsOk);
        Assert.True(layout.TrySet(words, "PFSID", 0xABC5).IsOk);
        Assert.True(layout.TrySet(words, "PTR", 0xF_1234_5678_0000).IsOk);
        Assert.True(layout.TrySet(words, "DATA", ulong.MaxValue).IsOk);

        Assert.Equal(0xABCF_1234_5678_500BUL, words[0]);
        Assert.Equal(ulong.MaxValue, words[1]);
        Assert.Equal(0xABC5UL, layout.Find("PFSID")!.Get(words));
        Assert.Equal(0xF_1234_5678_0000UL, layout.Find("PTR")!.Get(words));
        Assert.Empty(layout.Check(words));
        Assert.Equal(words.ToArray(), layout.FromBytes(layout.ToBytes(words)));
    }

    [Theory]
    [InlineData("P", 2, "1 bit,"), InlineData("PFSID", 0x10000, "16 bits")]
    [InlineData("PTR", 0x8000, "multiple of 0x10000")]
    [InlineData("PTR", 0x10_0000_0000_0000, "at most 0xfffffffff0000"), InlineData("TYPE", 5, "no field")]
    [InlineData("RSVD", 0, "no field")]
    public void A_value_that_does_not_fit_is_refused_with_its_limit(string name, ulong value, string limit)
    {
        Span<ulong> words = stackalloc ulong[2];

        Refused(Errno.EINVAL, limit, Make().TrySet(words, name, value));
        Assert.Equal(0UL, words[0] | words[1]);
    }

    [Fact]
    public void Reserved_bits_wrong_constants_and_forbidden_combinations_are_violations_by_name()
    {
        string[] found = [.. Make().Check([0b1001_0000_0001, 0]).Select(v => v.Field)];

        Assert.Equal(["TYPE", "RSVD[11:4]", "PTR"], found);
    }

    [Fact]
    public void A_hole_an_overlap_and_a_field_across_words_are_refused_when_declared()
    {
        Assert.Contains("bit 1 is not declared", Thrown(64, LayoutField.Value(P, ""), LayoutField.Reserved(63, 2)));
        Assert.Contains("bit 0 is in", Thrown(64, LayoutField.Value(P, ""), LayoutField.Reserved(63, 0)));
        Assert.Contains("one 64-bit word", Thrown(128, LayoutField.Value(new Field(64, 63, "X"), "")));
        Assert.Contains("declared twice", Thrown(
            64, LayoutField.Value(P, ""), LayoutField.Value(new Field(1, 1, "P"), ""), LayoutField.Reserved(63, 2)));

        static string Thrown(int bits, params LayoutField[] fields) =>
            Assert.Throws<ArgumentException>(() => new Layout("t", bits, "s", fields)).Message;
    }
}
