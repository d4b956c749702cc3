using System.Globalization;

namespace PasidFramework.Drivers.Reference.Tests;

/// <summary>Reads data files of the form <c>a | b | c</c>; lines that begin with # are comments.</summary>
internal static class VectorFile
{
    public static IEnumerable<string[]> Read(string name) =>
        File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Vectors", name))
            .Where(line => line.Length > 0 && line[0] != '#')
            .Select(line => line.Split('|', StringSplitOptions.TrimEntries));

    public static ulong Number(string text) => text.StartsWith("0x", StringComparison.Ordinal)
        ? ulong.Parse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture)
        : ulong.Parse(text, CultureInfo.InvariantCulture);

    public static ulong[] Words(string text, int count)
    {
        var words = new ulong[count];
        string[] parts = text.Split(' ');
        for (int i = 0; i < parts.Length; i++)
        {
            words[i] = ulong.Parse(parts[i], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
        }

        return words;
    }
}
