// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text;

namespace PasidFramework.Conformance.Results;

internal static class HarmlessText
{
    /// <summary>
    /// A text on one line, with nothing in it that a terminal, an XML reader or a reader's eye takes for something
    /// else: control characters, marks that turn the direction of writing, halves of characters are written as their
    /// numbers.
    /// </summary>
    public static string Line(string text)
    {
        if (!text.AsSpan().ContainsAnyExceptInRange(' ', '~'))
        {
            return text;
        }

        var safe = new StringBuilder(text.Length + 16);
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            if (char.IsHighSurrogate(c) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]))
            {
                // U+xFFFE and U+xFFFF are no characters in any plane.
                if ((char.ConvertToUtf32(c, text[i + 1]) & 0xFFFE) == 0xFFFE)
                {
                    safe.Append(Number(c)).Append(Number(text[i + 1]));
                }
                else
                {
                    safe.Append(c).Append(text[i + 1]);
                }

                i++;
            }
            else if (c == '\t')
            {
                safe.Append(' ');
            }
            else
            {
                safe.Append(IsHarmless(c) ? c.ToString() : Number(c));
            }
        }

        return safe.ToString();
    }

    private static bool IsHarmless(char c) => c < 0xFFFE && char.GetUnicodeCategory(c) is not (
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.LineSeparator
        or UnicodeCategory.ParagraphSeparator);

    private static string Number(char c) => Text($"\\u{(int)c:x4}");
}
