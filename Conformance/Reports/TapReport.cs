// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text;

namespace PasidFramework.Conformance.Reports;

/// <summary>
/// Writes a report in the Test Anything Protocol, version 14. A test point is <c>not ok</c> without a directive exactly
/// where it makes the run fail, so that a TAP consumer comes to the run's own verdict: what was not shown is
/// <c>ok ... # SKIP</c>, a failure that is waived or not binding is <c>not ok ... # TODO</c>, and each waiver that is
/// out of order is a test point of its own, as is a run of which nothing is known. The YAML block always has which of
/// the five verdicts it was.
/// </summary>
public static class TapReport
{
    /// <param name="output">Where to; lines end with a line feed.</param>
    public static void Write(ConformanceReport report, TextWriter output, ReportOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(report);
        ArgumentNullException.ThrowIfNull(output);
        options ??= ReportOptions.Default;
        Line(output, "TAP version 14");
        string[] problems =
        [
            .. report.WaiverProblems.Select(p => $"waivers: {p}"),
            .. report.ShowsNothing ? (string[])["run: no case passed or failed"] : [],
        ];
        Line(output, Text($"1..{report.Results.Count + problems.Length}"));
        Comment(output, $"driver {report.Driver} {report.DriverVersion}".TrimEnd());
        Comment(output,
            Text($"catalogue {report.Catalogue}, seed {report.Seed}{(report.IsStrict ? ", strict" : string.Empty)}"));
        if (options.Command.Length > 0)
        {
            Comment(output, $"command {options.Command}");
        }

        int number = 0;
        foreach (CaseResult result in report.Results)
        {
            WriteResult(output, report, result, ++number);
        }

        foreach (string problem in problems)
        {
            Line(output, Text($"not ok {++number} - {Escaped(problem)}"));
        }

        Comment(output, Wording.Coverage(report, options));
        foreach (string text in Wording.NotShown(report))
        {
            Comment(output, text);
        }

        Comment(output, Wording.Counts(report));
        Comment(output, Wording.Sentence(report));
    }

    private static void WriteResult(TextWriter output, ConformanceReport report, CaseResult result, int number)
    {
        Standing standing = Wording.StandingOf(report, result);
        string status = standing is Standing.Good or Standing.NotShown ? "ok" : "not ok";
        string directive = standing switch
        {
            Standing.NotShown => " # SKIP ",
            Standing.Waived or Standing.NotBinding => " # TODO ",
            _ => string.Empty,
        };
        if (directive.Length > 0)
        {
            directive += Escaped(Wording.Excuse(result, standing));
        }

        string name = $"{result.Case.Id} {result.Hardware} {result.Case.Summary} ({result.Case.Clause})";
        Line(output, Text($"{status} {number} - {Escaped(name)}{directive}"));
        if (standing == Standing.Good)
        {
            return;
        }

        Line(output, "  ---");
        Line(output, $"  verdict: {Wording.Name(result.Verdict)}");
        Line(output, $"  level: {Wording.Name(result.Case.Level)}");
        Line(output, $"  reason: {Quoted(result.Reason)}");
        if (result.Verdict != Verdict.NotApplicable && result.Details.Count > 0)
        {
            Line(output, "  details:");
            foreach (string detail in result.Details)
            {
                Line(output, $"    - {Quoted(detail)}");
            }
        }

        if (result.Repeat.Length > 0)
        {
            Line(output, $"  repeat: {Quoted(result.Repeat)}");
        }

        if (result.Waiver is { } waiver)
        {
            Line(output, "  waiver:");
            Line(output, $"    reason: {Quoted(waiver.Reason)}");
            Line(output, $"    issue: {Quoted(waiver.Issue)}");
            Line(output, $"    expires: \"{waiver.Expires.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)}\"");
        }

        Line(output, "  ...");
    }

    // In a description "#" begins a directive, and the backslash is what escapes it.
    private static string Escaped(string text) => HarmlessText.Line(text)
        .Replace("\\", "\\\\", StringComparison.Ordinal).Replace("#", "\\#", StringComparison.Ordinal);

    // YAML's double-quoted style is the only one in which every text can stand on one line.
    private static string Quoted(string text)
    {
        var quoted = new StringBuilder("\"");
        foreach (char c in HarmlessText.Line(text))
        {
            quoted.Append(c is '"' or '\\' ? $"\\{c}" : c.ToString());
        }

        return quoted.Append('"').ToString();
    }

    private static void Comment(TextWriter output, string text) => Line(output, $"# {HarmlessText.Line(text)}");

    private static void Line(TextWriter output, string text)
    {
        output.Write(text);
        output.Write('\n');
    }
}
