// SPDX-License-Identifier: Apache-2.0
using System.Globalization;

namespace PasidFramework.Cli.Structures;

/// <summary>Numbers as people write them: decimal, hexadecimal with 0x, or a bare hexadecimal word of 16
/// digits.</summary>
internal static class Number
{
    /// <summary>What <see cref="TryParse"/> takes, for messages.</summary>
    public const string Expected = "a whole number from 0 to 2^64-1, decimal or hexadecimal with 0x";

    /// <summary>What <see cref="TryParseWord"/> takes, for messages.</summary>
    public const string ExpectedWord = Expected + ", or 16 hexadecimal digits";

    public static bool TryParse(ReadOnlySpan<char> text, out ulong value) =>
        text.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
            ? ulong.TryParse(text[2..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value)
            : ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value);

    /// <summary>A word of a dump: 16 digits without a prefix are hexadecimal, too.</summary>
    public static bool TryParseWord(ReadOnlySpan<char> text, out ulong value) =>
        text.Length == 16
            ? ulong.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value)
                || TryParse(text, out value)
            : TryParse(text, out value);
}
