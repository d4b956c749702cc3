// SPDX-License-Identifier: Apache-2.0
using System.IO.Enumeration;

namespace PasidFramework.Comparison.Scenarios;

/// <summary>Patterns with <c>*</c> (any text) and <c>?</c> (any character), matched against the whole name.</summary>
internal static class Glob
{
    // The platform matches no pattern against an empty name, and takes a backslash for an escape.
    public static bool IsMatch(string pattern, string name) => name.Length == 0
        ? pattern.AsSpan().TrimStart('*').IsEmpty
        : FileSystemName.MatchesSimpleExpression(
            pattern.Replace(@"\", @"\\", StringComparison.Ordinal), name, ignoreCase: false);
}
