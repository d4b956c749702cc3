// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Bench;

/// <summary>Says where two entries differ, field by field.</summary>
internal static class Difference
{
    /// <summary>One line for each field that differs: <c>[63:59] S1CDMax expected 0x8 got 0x7</c>.</summary>
    public static IReadOnlyList<string> Of(Layout layout, ReadOnlySpan<ulong> expected, ReadOnlySpan<ulong> got)
    {
        List<string> lines = [];
        foreach (LayoutField field in layout.Fields)
        {
            ulong wanted = field.Get(expected);
            ulong found = field.Get(got);
            if (wanted != found)
            {
                lines.Add(Text($"{Name(field)} expected 0x{wanted:x} got 0x{found:x}"));
            }
        }

        return lines;
    }

    /// <summary>Bits and name: <c>[63:59] S1CDMax</c>.</summary>
    public static string Name(LayoutField field)
    {
        IEnumerable<string> parts = field.Parts.Select(
            p => p.Msb == p.Lsb ? Text($"{p.Lsb}") : Text($"{p.Msb}:{p.Lsb}"));
        return $"[{string.Join(",", parts)}] {field.Mnemonic}";
    }
}
