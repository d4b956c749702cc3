// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Reports;

/// <summary>The words that the formats share, and how text from outside is made harmless.</summary>
internal static class Wording
{
    private static readonly (Verdict Verdict, string One, string Many)[] s_counted =
    [
        (Verdict.Pass, "passed", "passed"),
        (Verdict.Fail, "failed", "failed"),
        (Verdict.Error, "error", "errors"),
        (Verdict.Inconclusive, "inconclusive", "inconclusive"),
        (Verdict.NotApplicable, "not applicable", "not applicable"),
    ];

    /// <summary>All five, in the order in which they are counted.</summary>
    public static IEnumerable<Verdict> Verdicts => s_counted.Select(c => c.Verdict);

    /// <summary>A verdict as scripts see it.</summary>
    public static string Name(Verdict verdict) => verdict switch
    {
        Verdict.Pass => "pass",
        Verdict.Fail => "fail",
        Verdict.Error => "error",
        Verdict.Inconclusive => "inconclusive",
        Verdict.NotApplicable => "notApplicable",
        _ => throw new ArgumentOutOfRangeException(nameof(verdict), verdict, "Not a verdict."),
    };

    /// <summary>A verdict in a column of a table.</summary>
    public static string Short(Verdict verdict) => verdict switch
    {
        Verdict.Inconclusive => "INCONC",
        Verdict.NotApplicable => "N/A",
        _ => Name(verdict).ToUpperInvariant(),
    };

    public static string Name(CaseLevel level) => level switch
    {
        CaseLevel.Required => "required",
        CaseLevel.Recommended => "recommended",
        CaseLevel.Optional => "optional",
        CaseLevel.Informative => "informative",
        _ => throw new ArgumentOutOfRangeException(nameof(level), level, "Not a level."),
    };

    public static Standing StandingOf(ConformanceReport report, CaseResult result) =>
        report.Counts(result) ? Standing.Counts : result.Verdict switch
        {
            Verdict.Pass => Standing.Good,
            Verdict.Fail => result.Waiver is null ? Standing.NotBinding : Standing.Waived,
            _ => Standing.NotShown,
        };

    /// <summary>Why a result that did not pass does not make the run fail.</summary>
    public static string Excuse(CaseResult result, Standing standing) => standing switch
    {
        Standing.Waived => $"waived: {Waiver(result.Waiver!)}: {result.Reason}",
        Standing.NotBinding => $"{Name(result.Case.Level)}, not binding: {result.Reason}",
        _ => result.Verdict == Verdict.Inconclusive ? $"inconclusive: {result.Reason}" : result.Reason,
    };

    public static string Waiver(Waiver waiver) =>
        Text($"{waiver.Reason} ({waiver.Issue}, until {waiver.Expires:yyyy-MM-dd})");

    /// <summary>The sentence that answers "does it conform?".</summary>
    public static string Sentence(ConformanceReport report)
    {
        int counting = report.Results.Count(report.Counts);
        string scope = IsWhole(report) ? string.Empty : " in the cases that were run";
        if (report.ShowsNothing && counting == 0)
        {
            return $"Nothing is known of {report.Driver}: no case of catalogue {report.Catalogue} passed or "
                + $"failed{scope}.";
        }

        if (report.IsConformant)
        {
            return $"{report.Driver} conforms to catalogue {report.Catalogue}{scope}.";
        }

        List<string> why = [];
        if (counting > 0)
        {
            string[] ids =
                [.. report.Results.Where(report.Counts).Select(r => r.Case.Id).Distinct(StringComparer.Ordinal)];
            string names = string.Join(", ", ids.Take(5)) + (ids.Length > 5 ? ", ..." : string.Empty);
            why.Add(Text($"{counting} {(counting == 1 ? "result counts" : "results count")} against it ({names})"));
        }

        if (report.WaiverProblems.Count is > 0 and int problems)
        {
            why.Add(Text($"{problems} {(problems == 1 ? "waiver is" : "waivers are")} out of order"));
        }

        return $"{report.Driver} does not conform to catalogue {report.Catalogue}{scope}: {string.Join("; ", why)}.";
    }

    public static string Counts(ConformanceReport report) => string.Join(", ", s_counted.Select(c =>
        Text($"{report.Count(c.Verdict)} {(report.Count(c.Verdict) == 1 ? c.One : c.Many)}")))
        + Text($"; {Waived(report)} waived");

    public static int Waived(ConformanceReport report) => report.Results.Count(r => r.Waiver is not null);

    public static string Coverage(ConformanceReport report, ReportOptions options) => Text(
        $"{report.Coverage.Exercised} of {report.Coverage.Required} required clauses exercised")
        + (report.NotExercised.Count > 0 ? $" (not {string.Join(", ", report.NotExercised)})" : string.Empty)
        + Text($"; {options.Untested.Sum(u => ConformanceClause.Expand(u.Clause).Count())} not testable");

    /// <summary>The required cases that were shown nowhere, where there are any.</summary>
    public static IEnumerable<string> NotShown(ConformanceReport report)
    {
        if (report.NotShown.Count > 0)
        {
            yield return Text($"{report.NotShown.Count} required "
                + $"{(report.NotShown.Count == 1 ? "case was" : "cases were")} shown nowhere")
                + $" ({string.Join(", ", report.NotShown)})";
        }
    }

    /// <summary>Distinct cases that were run: required ones and others.</summary>
    public static (int Required, int Others) Ran(ConformanceReport report)
    {
        ConformanceCase[] cases = [.. report.Results.Select(r => r.Case).DistinctBy(c => c.Id)];
        int required = cases.Count(c => c.Level == CaseLevel.Required);
        return (required, cases.Length - required);
    }

    /// <summary>Names of the hardware in the order of the report: what needs none first.</summary>
    public static IReadOnlyList<string> Hardware(ConformanceReport report) =>
    [
        .. report.Results.Select(r => r.Hardware).Distinct(StringComparer.Ordinal)
            .OrderBy(name => name == ConformanceRunner.NoHardware ? -1 : Place(report, name)),
    ];

    /// <summary>Whether every case of the catalogue was run.</summary>
    public static bool IsWhole(ConformanceReport report)
    {
        var run = report.Results.Select(r => r.Case.Id).ToHashSet(StringComparer.Ordinal);
        return ConformanceCatalogue.Cases.All(c => run.Contains(c.Id));
    }

    private static int Place(ConformanceReport report, string name)
    {
        int place = 0;
        while (place < report.Hardware.Count && report.Hardware[place].Name != name)
        {
            place++;
        }

        return place;
    }
}
