// SPDX-License-Identifier: Apache-2.0
using System.Globalization;

namespace PasidFramework.Drivers.VirtioIommu.Tests.Support;

/// <summary>A structure's fields and bytes; see the head of Vectors/structures.txt for the line format.</summary>
internal sealed record Vector(string Name, Layout Layout, Dictionary<string, ulong> Fields, byte[] Bytes)
{
    /// <summary>Examples: the worked ones, and the requests that the driver sends.</summary>
    public static IReadOnlyDictionary<string, Vector> Examples { get; } = Read("structures.txt");

    /// <summary>One for each structure, in which a byte says its own position.</summary>
    public static IReadOnlyDictionary<string, Vector> Positions { get; } = Read("positions.txt");

    /// <summary>Both; a name that both have is an error.</summary>
    public static IReadOnlyDictionary<string, Vector> All { get; } =
        Examples.Concat(Positions).ToDictionary(StringComparer.Ordinal);

    private static Dictionary<string, Vector> Read(string file) => VectorFile.Read(file).Select(parts =>
    {
        Layout layout = DataFile.Layout(parts[1]);
        Dictionary<string, ulong> fields = parts[2].Split(' ').Select(f => f.Split('=')).ToDictionary(
            f => f[0], f => ulong.Parse(f[1], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
        return new Vector(parts[0], layout, fields, DataFile.Bytes(parts[3], layout));
    }).ToDictionary(v => v.Name, StringComparer.Ordinal);
}

/// <summary>Bytes and what is wrong with them; see the head of Vectors/violations.txt for the line format.</summary>
internal sealed record ViolationVector(string Name, Layout Layout, byte[] Bytes, string[] Reported)
{
    public static IReadOnlyDictionary<string, ViolationVector> All { get; } = VectorFile.Read("violations.txt")
        .Select(parts =>
        {
            Layout layout = DataFile.Layout(parts[1]);
            string[] reported = parts[3] == "none" ? [] : parts[3].Split(' ');
            return new ViolationVector(parts[0], layout, DataFile.Bytes(parts[2], layout), reported);
        }).ToDictionary(v => v.Name, StringComparer.Ordinal);
}

/// <summary>A structure as users know it; see the head of Vectors/fields.txt for the line format.</summary>
internal sealed record KnownStructure(string Id, int Bits, string[] Fields)
{
    public static IReadOnlyDictionary<string, KnownStructure> All { get; } = VectorFile.Read("fields.txt")
        .Select(parts => new KnownStructure(
            parts[0], int.Parse(parts[1], CultureInfo.InvariantCulture), parts[2].Split(", ")))
        .ToDictionary(s => s.Id, StringComparer.Ordinal);
}

/// <summary>What the columns of the data files mean.</summary>
internal static class DataFile
{
    public static Layout Layout(string id) => VirtioIommuLayouts.All.Single(l => l.Id == id);

    public static byte[] Bytes(string text, Layout layout)
    {
        byte[] bytes = Convert.FromHexString(text.TrimEnd('+').Replace(" ", string.Empty, StringComparison.Ordinal));
        if (text.EndsWith('+') && bytes.Length < layout.Bytes)
        {
            Array.Resize(ref bytes, layout.Bytes);
        }

        return bytes;
    }
}
