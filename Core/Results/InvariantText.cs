// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Runtime.CompilerServices;

namespace PasidFramework.Results;

/// <summary>An interpolated string whose values are formatted in the invariant culture, whatever the thread's
/// is.</summary>
[InterpolatedStringHandler]
public ref struct InvariantText
{
    private DefaultInterpolatedStringHandler _text;

    /// <summary>Called by the compiler.</summary>
    public InvariantText(int literalLength, int formattedCount) =>
        _text = new DefaultInterpolatedStringHandler(literalLength, formattedCount, CultureInfo.InvariantCulture);

    /// <summary>The text: <c>Text($"{value}")</c> behind <c>using static</c>.</summary>
    public static string Text(InvariantText text) => text._text.ToStringAndClear();

    public void AppendLiteral(string value) => _text.AppendLiteral(value);
    public void AppendFormatted<T>(T value, string? format = null) => _text.AppendFormatted(value, format);

    public void AppendFormatted<T>(T value, int alignment, string? format = null) =>
        _text.AppendFormatted(value, alignment, format);

    public void AppendFormatted(ReadOnlySpan<char> value) => _text.AppendFormatted(value);
}
