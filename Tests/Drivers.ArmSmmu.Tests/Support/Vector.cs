// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Tests.Support;

/// <summary>One line of the vector files.</summary>
internal sealed record Vector(
    string Name, string Structure, IReadOnlyList<(string Field, ulong Value)> Fields, ulong[] Words, string Source)
{
    public static IReadOnlyList<Vector> All { get; } =
    [
        .. VectorFile.Lines("arm-smmuv3.txt").Select(Parse),
        .. VectorFile.Lines("arm-smmuv3-positions.txt").Select(Parse),
    ];

    public static Vector Of(string name) => All.Single(v => v.Name == name);

    /// <summary>The words, padded with zeroes.</summary>
    public ulong[] Padded(int words)
    {
        Assert.True(Words.Length <= words, $"{Name} has {Words.Length} words");
        return [.. Words, .. new ulong[words - Words.Length]];
    }

    public override string ToString() => Name;

    private static Vector Parse(string line)
    {
        string[] parts = line.Split('|', StringSplitOptions.TrimEntries);
        Assert.Equal(5, parts.Length);
        return new Vector(
            parts[0],
            parts[1],
            [.. parts[2].Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(Assignment)],
            [.. parts[3].Split(' ').Select(
                w => ulong.Parse(w, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture))],
            parts[4]);
    }

    private static (string Field, ulong Value) Assignment(string text)
    {
        string[] parts = text.Split('=');
        string value = parts[1];
        return (parts[0], value.StartsWith("0x", StringComparison.Ordinal)
            ? ulong.Parse(value.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture)
            : ulong.Parse(value, CultureInfo.InvariantCulture));
    }
}
