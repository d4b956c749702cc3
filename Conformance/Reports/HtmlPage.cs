// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Conformance.Reports;

/// <summary>The parts of the page that are the same in each: its style, and how its table is sorted and filtered. They
/// are files of their own languages, embedded in the assembly.</summary>
internal static class HtmlPage
{
    /// <summary>Light, dark and on paper. Verdicts differ by word and sign, colour only repeats it.</summary>
    public static string Style { get; } = Read("report.css");

    // Neither "<" nor "&": the page is well-formed as XML too, and the script needs no escapes there.
    public static string Script { get; } = Read("report.js");

    private static string Read(string name)
    {
        using var reader = new StreamReader(typeof(HtmlPage).Assembly.GetManifestResourceStream(name)!);
        return reader.ReadToEnd().TrimEnd();
    }
}
