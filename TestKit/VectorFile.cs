// SPDX-License-Identifier: Apache-2.0
using System.Globalization;

namespace PasidFramework.TestKit;

/// <summary>Reads data files of a test project, of the form <c>a | b | c</c>; lines that begin with # are
/// comments.</summary>
public static class VectorFile
{
    /// <summary>The lines of a file in <c>Vectors</c>.</summary>
    public static IEnumerable<string> Lines(string name) =>
        File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Vectors", name))
            .Where(line => line.Length > 0 && line[0] != '#');

    public static IEnumerable<string[]> Read(string name) =>
        Lines(name).Select(line => line.Split('|', StringSplitOptions.TrimEntries));

    /// <summary>A number, decimal or with <c>0x</c>.</summary>
    public static ulong Number(string text) => text.StartsWith("0x", StringComparison.Ordinal)
        ? ulong.Parse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture)
        : ulong.Parse(text, CultureInfo.InvariantCulture);

    /// <summary>Hexadecimal words with a blank between them, filled up with zeroes.</summary>
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
