// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Comparison.Reports;

namespace PasidFramework.Cli.Structures;

/// <summary>Structures for people: 80 columns, one row a field.</summary>
internal static class StructureText
{
    private const int Gap = 2;

    public static void WriteList(TextWriter output, StructureCatalog catalog)
    {
        int id = catalog.All.Max(layout => layout.Id.Length);
        output.WriteLine($"{"structure".PadRight(id)}  bits");
        foreach (Layout layout in catalog.All)
        {
            output.WriteLine(Text($"{layout.Id.PadRight(id)}  {layout.Bits,4}"));
        }
    }

    public static void WriteFields(TextWriter output, Layout layout)
    {
        WriteHead(output, layout);
        Row[] rows = [.. layout.Fields.Select(field => new Row(Bits(field), Name(field), null, Describe(field)))];
        WriteRows(output, rows, withValue: false);
    }

    /// <summary>One structure's content: every field, what it means and what is wrong.</summary>
    public static void WriteContent(TextWriter output, Layout layout, ReadOnlySpan<ulong> words)
    {
        WriteHead(output, layout);
        var rows = new List<Row>();
        foreach (LayoutField field in layout.Fields)
        {
            if (field.Kind is FieldKind.Reserved or FieldKind.Ignored)
            {
                // Usually 0, and then nothing to read.
                foreach (Field part in field.Parts)
                {
                    if (words.Get(part) is not 0 and var rest)
                    {
                        rows.Add(new Row(
                            Bits(part), field.Mnemonic, Value(part.Width, rest, isAddress: false), field.Meaning));
                    }
                }

                continue;
            }

            ulong value = field.Get(words);
            string? read = field.Explain(words)
                ?? (field is { Width: 1, Values.Count: 0 } ? (value == 1 ? "yes" : "no") : null);
            string meaning = read is null ? field.Meaning : $"{field.Meaning}: {read}";
            rows.Add(new Row(
                Bits(field), field.Mnemonic, Value(field.Width, value, field.Kind == FieldKind.Address), meaning));
        }

        WriteRows(output, rows, withValue: true);
        WriteViolations(output, layout.Check(words));
    }

    /// <summary>What is wrong, or that nothing is.</summary>
    public static void WriteViolations(TextWriter output, IReadOnlyList<Violation> violations)
    {
        if (violations.Count == 0)
        {
            output.WriteLine("no violation");
            return;
        }

        output.WriteLine(Text($"{violations.Count} violation{(violations.Count == 1 ? string.Empty : "s")}:"));
        foreach (Violation violation in violations)
        {
            WriteWrapped(output, "  ", violation.ToString(), indent: 4);
        }
    }

    private static void WriteHead(TextWriter output, Layout layout) =>
        WriteWrapped(output, string.Empty, Text($"{layout.Id}, {layout.Bits} bits, {layout.Source}"), indent: Gap);

    private static void WriteRows(TextWriter output, IReadOnlyList<Row> rows, bool withValue)
    {
        int bits = Math.Max(4, rows.Count == 0 ? 0 : rows.Max(row => row.Bits.Length));
        int name = Math.Max(5, rows.Count == 0 ? 0 : rows.Max(row => row.Name.Length));
        int value = withValue ? Math.Max(5, rows.Count == 0 ? 0 : rows.Max(row => row.Value!.Length)) : 0;
        string Head(string b, string n, string? v) =>
            $"  {b.PadLeft(bits)}  {n.PadRight(name)}  {(withValue ? $"{v!.PadRight(value)}  " : string.Empty)}";
        output.WriteLine($"{Head("bits", "field", "value")}meaning");
        foreach (Row row in rows)
        {
            string head = Head(row.Bits, row.Name, row.Value);
            WriteWrapped(output, head, row.Meaning, head.Length);
        }
    }

    private static void WriteWrapped(TextWriter output, string head, string text, int indent)
    {
        string line = head;
        bool isEmpty = true;
        foreach (string word in text.Split(' '))
        {
            if (!isEmpty && line.Length + 1 + word.Length > TextReport.Width)
            {
                output.WriteLine(line.TrimEnd());
                line = new string(' ', indent);
                isEmpty = true;
            }

            line += isEmpty ? word : $" {word}";
            isEmpty = false;
        }

        output.WriteLine(line.TrimEnd());
    }

    private static string Describe(LayoutField field)
    {
        string text = field.Kind switch
        {
            FieldKind.Constant => Text($"{field.Meaning}; implied, always 0x{field.Constant:x}"),
            FieldKind.Address => Text($"{field.Meaning}; byte address, multiple of 0x{1UL << field.Parts[0].Shift:x}"),
            _ => field.Meaning,
        };
        return field.Values.Count == 0
            ? text
            : $"{text}: " + string.Join(", ", field.Values.OrderBy(v => v.Key)
                .Select(v => $"{Value(field.Width, v.Key, isAddress: false)} {v.Value}"));
    }

    private static string Name(LayoutField field) => field.Kind switch
    {
        FieldKind.Reserved or FieldKind.Ignored => "-",
        _ => field.Mnemonic,
    };

    // Reserved ranges are declared whole and cut at word boundaries; a value that is split says all of its places.
    public static string Bits(LayoutField field) => field.Kind is FieldKind.Reserved or FieldKind.Ignored
        ? Bits(new Field(field.Parts[^1].Msb, field.Parts[0].Lsb, field.Mnemonic))
        : string.Join(',', field.Parts.Select(Bits));

    private static string Bits(Field field) =>
        field.Msb == field.Lsb ? Text($"{field.Lsb}") : Text($"{field.Msb}:{field.Lsb}");

    private static string Value(int width, ulong value, bool isAddress) =>
        isAddress || (width > 4 && value > 9) ? Text($"0x{value:x}") : Text($"{value}");

    private sealed record Row(string Bits, string Name, string? Value, string Meaning);
}
