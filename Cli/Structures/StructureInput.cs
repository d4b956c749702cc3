// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;

namespace PasidFramework.Cli.Structures;

/// <summary>Contents of structures as users give them.</summary>
internal static class StructureInput
{
    /// <summary>What may stand between the numbers of a pasted dump.</summary>
    public static readonly char[] Separators = [' ', '\t', '\r', '\n', ',', ';', ':'];

    /// <summary>Reads hexadecimal bytes in memory order; blanks, line breaks, commas and colons are skipped.</summary>
    /// <returns>What is wrong; null for nothing.</returns>
    public static string? ReadBytes(ReadOnlySpan<char> text, Layout layout, Span<ulong> words)
    {
        Span<byte> raw = stackalloc byte[layout.Words * 8];
        raw.Clear();
        int digits = 0;
        foreach (char c in text)
        {
            if (Separators.Contains(c))
            {
                continue;
            }

            if (!char.IsAsciiHexDigit(c))
            {
                return char.IsControl(c) || char.IsSurrogate(c)
                    ? Text($"bytes: character U+{(int)c:x4} is not a hexadecimal digit")
                    : $"bytes: '{c}' is not a hexadecimal digit; expected bytes without 0x, such as 0570";
            }

            if (digits < layout.Bytes * 2)
            {
                int value = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
                raw[digits / 2] |= (byte)(digits % 2 == 0 ? value << 4 : value);
            }

            digits++;
        }

        if (digits % 2 != 0)
        {
            return $"bytes: {Count(digits, "digit")} {(digits == 1 ? "does" : "do")} not make whole bytes";
        }

        if (digits / 2 > layout.Bytes || digits / 2 < MinBytes(layout))
        {
            string least = MinBytes(layout) == layout.Bytes
                ? string.Empty
                : Text($" (or {MinBytes(layout)} without the tail, which the device writes)");
            return $"{layout.Id} has {Count(layout.Bytes, "byte")}{least}, "
                + Text($"{digits / 2} {(digits / 2 == 1 ? "is" : "are")} given");
        }

        for (int i = 0; i < words.Length; i++)
        {
            words[i] = BinaryPrimitives.ReadUInt64LittleEndian(raw[(i * 8)..]);
        }

        return null;
    }

    /// <summary>A structure that is not whole 64-bit words must not have bits beyond its end.</summary>
    /// <returns>What is wrong; null for nothing.</returns>
    public static string? CheckLastWord(Layout layout, ReadOnlySpan<ulong> words)
    {
        int used = layout.Bits % 64;
        return used != 0 && words[^1] >> used != 0
            ? Text($"word {layout.Words - 1} = 0x{words[^1]:x} does not fit: {layout.Id} has {layout.Bits} bits")
            : null;
    }

    // A request as the driver makes it ends before its tail: the last 32 bits, written by the device.
    private static int MinBytes(Layout layout) =>
        layout.Bytes > 4 && layout.Fields[^1] is { Kind: FieldKind.Ignored, Width: 32 } tail
            && tail.Parts[0].Lsb % 32 == 0
            ? tail.Parts[0].Lsb / 8
            : layout.Bytes;

    public static string Count(int count, string noun) => Text($"{count} {noun}{(count == 1 ? string.Empty : "s")}");

    public static string WrongWords(Layout layout, int given) =>
        $"{layout.Id} has {Count(layout.Words, "word")}, "
            + $"{(given < 0 ? "more are" : given == 1 ? "1 is" : Text($"{given} are"))} given";
}
