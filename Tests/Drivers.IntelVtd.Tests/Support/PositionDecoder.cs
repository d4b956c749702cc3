// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Numerics;

namespace PasidFramework.Drivers.IntelVtd.Tests;

/// <summary>
/// An independent decoder: one big number, cut by the positions in <c>Vectors/positions.txt</c>. It shares no code with
/// the driver's records.
/// </summary>
internal sealed class PositionDecoder
{
    private static readonly Dictionary<string, PositionDecoder> s_all = VectorFile.Read("positions.txt")
        .ToDictionary(line => line[0], line => new PositionDecoder(line));

    private readonly Dictionary<string, (int Msb, int Lsb)[]> _fields = [];
    private readonly (int Msb, int Lsb)[] _ignored;

    private PositionDecoder(string[] line)
    {
        Bits = int.Parse(line[1], CultureInfo.InvariantCulture);
        foreach (string field in line[2].Split(',', StringSplitOptions.TrimEntries))
        {
            string[] nameAndParts = field.Split(' ');
            _fields[nameAndParts[0]] = [.. nameAndParts[1].Split('+').Select(Part)];
        }

        _ignored = line[3] == "-" ? [] : [.. line[3].Split(',', StringSplitOptions.TrimEntries).Select(Part)];
    }

    public static IReadOnlyCollection<string> Structures => s_all.Keys;
    public int Bits { get; }
    public IReadOnlyCollection<string> Names => _fields.Keys;
    public static PositionDecoder Of(string structure) => s_all[structure];

    public static bool IsAddress(string name) =>
        name is "FI" or "ADDR" or "STATUS_ADDR" or "RTA" or "LCTP" or "UCTP" or "PASIDDIRPTR" or "SMPTBLPTR"
            or "SSPTPTR" or "FSPTPTR" or "HPTPTR";

    /// <summary>Whether any value of a bit is allowed: it is in a field, or ignored.</summary>
    public bool IsFree(int bit) =>
        _fields.Values.SelectMany(parts => parts).Concat(_ignored).Any(p => p.Lsb <= bit && bit <= p.Msb);

    public int Width(string name) => _fields[name].Sum(p => p.Msb - p.Lsb + 1);

    /// <summary>The number in a field; of an address its byte address.</summary>
    public ulong Get(ReadOnlySpan<ulong> words, string name)
    {
        BigInteger whole = Whole(words);
        BigInteger value = 0;
        int shift = 0;
        foreach ((int msb, int lsb) in _fields[name])
        {
            BigInteger part = (whole >> lsb) & ((BigInteger.One << (msb - lsb + 1)) - 1);
            value |= part << shift;
            shift += msb - lsb + 1;
        }

        return (ulong)(IsAddress(name) ? value << (_fields[name][0].Lsb % 64) : value);
    }

    /// <summary>The structure with every listed field cut out: reserved and implied bits.</summary>
    public BigInteger Rest(ReadOnlySpan<ulong> words)
    {
        BigInteger rest = Whole(words);
        foreach ((int msb, int lsb) in _fields.Values.SelectMany(parts => parts))
        {
            BigInteger mask = ((BigInteger.One << (msb - lsb + 1)) - 1) << lsb;
            rest &= ~mask;
        }

        return rest;
    }

    private static BigInteger Whole(ReadOnlySpan<ulong> words)
    {
        BigInteger whole = 0;
        for (int i = words.Length - 1; i >= 0; i--)
        {
            whole = (whole << 64) | words[i];
        }

        return whole;
    }

    private static (int Msb, int Lsb) Part(string text)
    {
        string[] ends = text.Split(':');
        return (int.Parse(ends[0], CultureInfo.InvariantCulture), int.Parse(ends[1], CultureInfo.InvariantCulture));
    }
}
