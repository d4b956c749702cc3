// SPDX-License-Identifier: Apache-2.0
using System.Text;

namespace PasidFramework.Cli.Structures;

/// <summary>One Markdown page a structure, with a bit diagram, from the layout alone.</summary>
internal static class StructurePages
{
    private const int BitsPerRow = 32;

    /// <summary>Writes the pages of all structures, and an index, below a folder that exists or is made.</summary>
    /// <exception cref="UsageException">A page cannot be written.</exception>
    public static int Write(IReadOnlyList<Layout> layouts, string folder)
    {
        string? path = null;
        try
        {
            foreach (Layout layout in layouts)
            {
                path = Path.Combine(folder, $"{layout.Id}.md");
                Directory.CreateDirectory(Path.GetDirectoryName(path)!);
                Replace(path, Page(layout));
            }

            path = Path.Combine(folder, "README.md");
            Directory.CreateDirectory(folder);
            Replace(path, Index(layouts));
            return layouts.Count;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"--pages: {path} cannot be written: {e.Message}");
        }
    }

    public static string Page(Layout layout)
    {
        var page = new StringBuilder();
        Line(page, $"# {layout.Id}");
        Line(page, $"");
        Line(page, $"{layout.Bits} bits, little-endian. Source: {layout.Source}.");
        Line(page, $"");
        Dictionary<LayoutField, string> keys = Keys(layout);
        Line(page, $"```");
        Diagram(page, layout, keys);
        Line(page, $"```");
        Line(page, $"");
        bool keyed = keys.Count > 0;
        Line(page, $"| bits | {(keyed ? "key | " : string.Empty)}field | kind | meaning |");
        Line(page, $"|---:|{(keyed ? ":-:|" : string.Empty)}---|---|---|");
        foreach (LayoutField field in layout.Fields)
        {
            string key = keyed ? $"{keys.GetValueOrDefault(field, string.Empty)} | " : string.Empty;
            string name = field.Kind is FieldKind.Reserved or FieldKind.Ignored ? "-" : $"`{field.Mnemonic}`";
            Line(page, $"| {StructureText.Bits(field)} | {key}{name} | {Kind(field)} | "
                + $"{Cell(field.Meaning)}{Values(field)} |");
        }

        return page.ToString();
    }

    private static string Index(IReadOnlyList<Layout> layouts)
    {
        var page = new StringBuilder();
        Line(page, $"# Structures");
        Line(page, $"");
        Line(page, $"One page a structure, generated from the declarations that drivers, readers and models use:");
        Line(page, $"`pasidctl explain --pages DIR` writes them, `eng/format-pages` those of this tree; a test "
            + $"compares them.");
        foreach (IGrouping<string, Layout> vendor in layouts.GroupBy(l =>
            l.Id[..l.Id.IndexOf('/', StringComparison.Ordinal)]))
        {
            Line(page, $"");
            Line(page, $"## {vendor.Key}");
            Line(page, $"");
            Line(page, $"| structure | bits | source |");
            Line(page, $"|---|---:|---|");
            foreach (Layout layout in vendor)
            {
                Line(page, $"| [{layout.Id[(vendor.Key.Length + 1)..]}]({layout.Id}.md) | {layout.Bits} | "
                    + $"{Cell(layout.Source)} |");
            }
        }

        return page.ToString();
    }

    // The most significant word first, as specifications draw them.
    private static void Diagram(StringBuilder page, Layout layout, Dictionary<LayoutField, string> keys)
    {
        int margin = 2 * Text($"{layout.Bits - 1}").Length + 2;
        int width = Math.Min(BitsPerRow, layout.Bits);
        string rule = new string(' ', margin) + '+' + new string('-', (2 * width) - 1) + '+';
        Line(page, $"{rule}");
        for (int low = (layout.Bits - 1) / BitsPerRow * BitsPerRow; low >= 0; low -= BitsPerRow)
        {
            int high = Math.Min(low + BitsPerRow, layout.Bits) - 1;
            var row = new StringBuilder(Text($"{high}:{low}").PadLeft(margin - 1)).Append(' ');
            if (high - low + 1 < width)
            {
                row.Append(' ', 2 * (width - (high - low + 1)));
            }

            row.Append('|');
            for (int bit = high; bit >= low;)
            {
                (LayoutField field, Field part) = At(layout, bit);
                int end = Math.Max(part.Lsb, low);
                int cell = (2 * (bit - end + 1)) - 1;
                row.Append(Centre(Label(field, cell, keys), cell)).Append('|');
                bit = end - 1;
            }

            Line(page, $"{row}");
            Line(page, $"{rule}");
        }
    }

    private static string Label(LayoutField field, int cell, Dictionary<LayoutField, string> keys) => field.Kind switch
    {
        FieldKind.Reserved => cell < 4 ? "0" : "RSVD"[..Math.Min(4, cell)],
        FieldKind.Ignored => cell < 3 ? "-" : "IGN",
        FieldKind.Constant when Text($"0x{field.Constant:x}") is { } value && value.Length <= cell
            && field.Mnemonic.Length > cell => value,
        _ => keys.GetValueOrDefault(field, field.Mnemonic),
    };

    // Letters for the fields whose names are wider than their narrowest cell.
    private static Dictionary<LayoutField, string> Keys(Layout layout)
    {
        var keys = new Dictionary<LayoutField, string>();
        foreach (LayoutField field in layout.Fields.Where(f => f.Kind is not (FieldKind.Reserved or FieldKind.Ignored)))
        {
            bool fits = field.Parts.SelectMany(Cells).All(cell => field.Mnemonic.Length <= cell);
            if (!fits)
            {
                int n = keys.Count;
                keys[field] = n < 26 ? $"{(char)('a' + n)}" : n < 52 ? $"{(char)('A' + n - 26)}" : "*";
            }
        }

        return keys;
    }

    private static IEnumerable<int> Cells(Field part)
    {
        for (int msb = part.Msb; msb >= part.Lsb;)
        {
            int lsb = Math.Max(part.Lsb, msb / BitsPerRow * BitsPerRow);
            yield return (2 * (msb - lsb + 1)) - 1;
            msb = lsb - 1;
        }
    }

    private static (LayoutField Field, Field Part) At(Layout layout, int bit)
    {
        foreach (LayoutField field in layout.Fields)
        {
            foreach (Field part in field.Parts)
            {
                if (part.Lsb <= bit && bit <= part.Msb)
                {
                    return (field, part);
                }
            }
        }

        throw new InvalidOperationException($"{layout.Id}: bit {bit} is in no field.");
    }

    private static string Kind(LayoutField field) => field.Kind switch
    {
        FieldKind.Constant => Text($"always 0x{field.Constant:x}"),
        FieldKind.Address => Text($"byte address, multiple of 0x{1UL << field.Parts[0].Shift:x}"),
        FieldKind.Reserved => "must be 0",
        FieldKind.Ignored => "ignored",
        _ => field.Width == 1 ? "bit" : "value",
    };

    private static string Values(LayoutField field) => field.Values.Count == 0
        ? string.Empty
        : ": " + Cell(string.Join(", ", field.Values.OrderBy(v => v.Key).Select(v => Text($"{v.Key} = {v.Value}"))));

    private static string Cell(string text) => text.Replace("|", "\\|", StringComparison.Ordinal);

    private static string Centre(string text, int width)
    {
        string cut = text.Length <= width ? text : text[..width];
        return cut.PadLeft(cut.Length + ((width - cut.Length) / 2)).PadRight(width);
    }

    private static void Line(StringBuilder page, InvariantText text) =>
        page.Append(Text(text)).Append('\n');

    private static void Replace(string path, string text)
    {
        using PendingFile file = PendingFile.Create("--pages", path);
        file.Stream.Write(Encoding.UTF8.GetBytes(text));
        file.Commit();
    }
}
