// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text;

namespace PasidFramework.Conformance.Reports;

/// <summary>
/// Writes a report as one page without anything beside it: the verdict first, every result with an address of its own
/// (<c>#INV-001-model</c>), the JSON report within. It reads the same without scripts; they only sort and filter.
/// </summary>
public static class HtmlReport
{
    private static readonly string[] s_columns =
        ["Case", "Hardware", "Verdict", "Level", "Clause", "What a driver does"];

    /// <param name="output">Where to; UTF-8 is what the page says of itself.</param>
    public static void Write(ConformanceReport report, TextWriter output, ReportOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(report);
        ArgumentNullException.ThrowIfNull(output);
        options ??= ReportOptions.Default;
        string[] anchors = Anchors(report);
        var page = new StringBuilder("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n");
        page.Append("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n");
        page.Append($"<title>{Html(report.Driver)}: "
            + $"conformance</title>\n<style>\n{HtmlPage.Style}\n</style>\n</head>\n<body>\n");
        AddVerdict(page, report, options, anchors);
        AddEnvironment(page, report, options);
        AddResults(page, report, anchors);
        AddLimits(page, report, options);
        using var json = new MemoryStream();
        JsonReport.Write(report, json, options);

        // Its encoder leaves no "<", ">" or "&" in any text, so that nothing in it can end the element.
        page.Append("<script type=\"application/json\" id=\"report\">\n");
        page.Append(Encoding.UTF8.GetString(json.ToArray()));
        page.Append($"</script>\n<script>\n{HtmlPage.Script}\n</script>\n</body>\n</html>\n");
        output.Write(page.Replace("\r\n", "\n").ToString());
    }

    private static void AddVerdict(StringBuilder page, ConformanceReport report, ReportOptions options,
        string[] anchors)
    {
        page.Append($"<header class=\"{(report.IsConformant ? "good" : "bad")}\">\n");
        page.Append($"<h1>{Html(Wording.Sentence(report))}</h1>\n");
        page.Append($"<p>{Html(Wording.Counts(report))}<br />{Html(Wording.Coverage(report, options))}"
            + $"{string.Concat(Wording.NotShown(report).Select(t => $"<br />{Html(t)}"))}</p>\n");
        (CaseResult Result, string Anchor)[] counting =
            [.. report.Results.Zip(anchors).Where(pair => report.Counts(pair.First))];
        if (counting.Length > 0)
        {
            page.Append("<p>Against it: ");
            page.AppendJoin(", ", counting.Select(c =>
                $"<a href=\"#{c.Anchor}\">{Html($"{c.Result.Case.Id} {c.Result.Hardware}")}</a>"));
            page.Append("</p>\n");
        }

        if (report.WaiverProblems.Count > 0)
        {
            page.Append("<ul>\n");
            foreach (string problem in report.WaiverProblems)
            {
                page.Append($"<li>{Html(problem)}</li>\n");
            }

            page.Append("</ul>\n");
        }

        page.Append("</header>\n");
    }

    private static void AddEnvironment(StringBuilder page, ConformanceReport report, ReportOptions options)
    {
        (int required, int others) = Wording.Ran(report);
        page.Append("<h2>What was judged</h2>\n<dl>\n");
        Term(page, "Driver", report.Driver);
        Term(page, "Version", report.DriverVersion);
        Term(page, "SHA-256", report.DriverHash);
        Term(page, "Catalogue", Text($"{report.Catalogue}: {required} required and {others} other cases were run"));
        Term(page, "Hardware", string.Join(", ", report.Hardware.Select(h => h.Name)));
        Term(page, "Seed", Text($"{report.Seed}"));
        Term(page, "Strict", report.IsStrict ? "yes: a required case that is shown nowhere counts as a failure" : "no");
        if (options.Command.Length > 0)
        {
            page.Append($"<dt>Command</dt><dd><code>{Html(options.Command)}</code></dd>\n");
        }

        page.Append("</dl>\n");
    }

    private static void AddResults(StringBuilder page, ConformanceReport report, string[] anchors)
    {
        page.Append("<h2>Results</h2>\n<p class=\"tools\" hidden=\"hidden\">\n<label>Verdict <select id=\"verdict\">");
        page.Append("<option value=\"\">all</option>");
        foreach (Verdict verdict in Wording.Verdicts)
        {
            page.Append($"<option>{Wording.Name(verdict)}</option>");
        }

        page.Append("</select></label>\n<label>Text <input id=\"words\" type=\"search\" /></label>\n</p>\n");
        page.Append("<table id=\"results\">\n<thead><tr>");
        foreach (string column in s_columns)
        {
            page.Append($"<th scope=\"col\">{column}</th>");
        }

        page.Append("</tr></thead>\n<tbody>\n");
        for (int i = 0; i < report.Results.Count; i++)
        {
            AddResult(page, report, report.Results[i], anchors[i]);
        }

        page.Append("</tbody>\n</table>\n");
    }

    private static void AddResult(StringBuilder page, ConformanceReport report, CaseResult result, string anchor)
    {
        ConformanceCase one = result.Case;
        string verdict = Wording.Name(result.Verdict);
        Standing standing = Wording.StandingOf(report, result);
        page.Append($"<tr id=\"{anchor}\" data-verdict=\"{verdict}\">");
        page.Append($"<td><a href=\"#{anchor}\">{Html(one.Id)}</a></td><td>{Html(result.Hardware)}</td>");
        page.Append($"<td class=\"{verdict}\">{Sign(result.Verdict)} "
            + $"{verdict}{(standing == Standing.Waived ? ", waived" : string.Empty)}</td>");
        page.Append($"<td>{Wording.Name(one.Level)}</td><td>{Html(one.Clause)}</td><td>{Html(one.Summary)}");
        if (result.Verdict != Verdict.Pass)
        {
            string reason = standing == Standing.Counts ? result.Reason : Wording.Excuse(result, standing);
            page.Append($"<div class=\"{(standing == Standing.Counts ? "fail" : "quiet")}\">{Html(reason)}</div>");
        }

        if (result.Verdict is not (Verdict.Pass or Verdict.NotApplicable) && result.Details.Count
            + result.Repeat.Length > 0)
        {
            page.Append("<details><summary>Details</summary>");
            if (result.Details.Count > 0)
            {
                page.Append($"<pre>{string.Join('\n', result.Details.Select(Html))}</pre>");
            }

            if (result.Repeat.Length > 0)
            {
                page.Append($"<p>To see it again: <code>{Html(result.Repeat)}</code></p>");
            }

            page.Append("</details>");
        }

        page.Append("</td></tr>\n");
    }

    private static void AddLimits(StringBuilder page, ConformanceReport report, ReportOptions options)
    {
        page.Append("<h2>What this does not show</h2>\n<dl>\n");
        foreach (BackEndNote note in report.Hardware)
        {
            Term(page, note.Name, note.Limits);
        }

        foreach (UntestedClause untested in options.Untested)
        {
            Term(page, untested.Clause, untested.Reason);
        }

        page.Append("</dl>\n");
    }

    private static void Term(StringBuilder page, string term, string text)
    {
        if (text.Length > 0)
        {
            page.Append($"<dt>{Html(term)}</dt><dd>{Html(text)}</dd>\n");
        }
    }

    // An address has to survive in a link and to be there once, whatever a back end is called.
    private static string[] Anchors(ConformanceReport report)
    {
        HashSet<string> taken = ["report", "results", "verdict", "words"];
        return [.. report.Results.Select(result =>
        {
            string wanted = string.Concat($"{result.Case.Id}-{result.Hardware}".Select(c =>
                char.IsAsciiLetterOrDigit(c) || c is '-' or '.' or '_' ? c : '_'));
            string anchor = wanted;
            for (int i = 2; !taken.Add(anchor); i++)
            {
                anchor = Text($"{wanted}-{i}");
            }

            return anchor;
        })];
    }

    private static string Sign(Verdict verdict) => verdict switch
    {
        Verdict.Pass => "&#x2713;",
        Verdict.Fail => "&#x2717;",
        Verdict.Error => "!",
        Verdict.Inconclusive => "?",
        _ => "&#x2013;",
    };

    private static string Html(string text) => WebUtility.HtmlEncode(HarmlessText.Line(text));
}
