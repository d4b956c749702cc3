// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Running;

/// <summary>The results of one run.</summary>
public sealed record ConformanceReport
{
    public required string Driver { get; init; }
    public string DriverVersion { get; init; } = string.Empty;

    /// <summary>SHA-256 of its file in lower-case hexadecimal; empty where it came from no file.</summary>
    public string DriverHash { get; init; } = string.Empty;

    public string Catalogue { get; init; } = ConformanceCatalogue.Version;

    /// <summary>The seed: the same one gives the same run.</summary>
    public required ulong Seed { get; init; }

    /// <summary>Whether a required case that does not apply counts as a failure.</summary>
    public bool IsStrict { get; init; }

    /// <summary>The back ends, with what a pass on each does not show.</summary>
    public IReadOnlyList<BackEndNote> Hardware { get; init; } = [];

    /// <summary>The results: by the catalogue's order of cases, then by back end.</summary>
    public required IReadOnlyList<CaseResult> Results { get; init; }

    /// <summary>What is wrong with the waivers: one whose case passes, one that has expired, one that names no back
    /// end. Each makes the run fail.</summary>
    public IReadOnlyList<string> WaiverProblems { get; init; } = [];

    public int Count(Verdict verdict) => Results.Count(r => r.Verdict == verdict);

    /// <summary>The clauses that the cases of the run are about, in the order of
    /// <see cref="ConformanceClause.All"/>.</summary>
    public IReadOnlyList<ClauseResult> Clauses
    {
        get
        {
            ILookup<string, CaseResult> results = Results
                .SelectMany(r => ConformanceClause.Expand(r.Case.Clause).Select(clause => (clause, r)))
                .ToLookup(p => p.clause, p => p.r);
            return
            [
                .. results.OrderBy(g => (uint)ConformanceClause.IndexOf(g.Key)).Select(g => new ClauseResult(
                    g.Key, Worst(g.Any(IsRequired) ? g.Where(IsRequired) : g), g.Any(IsRequired))),
            ];
        }
    }

    /// <summary>How many clauses of required cases were seen to hold or to be broken, of how many that the run is
    /// about.</summary>
    public (int Exercised, int Required) Coverage
    {
        get
        {
            int required = Clauses.Count(c => c.IsRequired);
            return (required - NotExercised.Count, required);
        }
    }

    /// <summary>The clauses of required cases of which nothing is known: their cases are not applicable, inconclusive
    /// or ended by an error everywhere.</summary>
    public IReadOnlyList<string> NotExercised =>
    [
        .. Clauses.Where(c => c.IsRequired).Select(c => c.Clause).Except(Results
            .Where(r => IsRequired(r) && IsKnown(r)).SelectMany(r => ConformanceClause.Expand(r.Case.Clause))),
    ];

    /// <summary>Ids of the required cases that neither passed nor failed on any back end: what <see cref="IsStrict"/>
    /// is about.</summary>
    public IReadOnlyList<string> NotShown =>
        [.. Results.Where(IsRequired).GroupBy(r => r.Case.Id).Where(g => !g.Any(IsKnown)).Select(g => g.Key)];

    /// <summary>Whether no case passed or failed, so that nothing is known of the driver.</summary>
    public bool ShowsNothing => !Results.Any(IsKnown);

    /// <summary>Whether something is known, nothing failed that is not waived, nothing threw, and the waivers are in
    /// order.</summary>
    /// <remarks>A recommended case may fail, and what is informative is not judged.</remarks>
    public bool IsConformant => WaiverProblems.Count == 0 && !ShowsNothing && !Results.Any(Counts);

    public bool Counts(CaseResult result)
    {
        ArgumentNullException.ThrowIfNull(result);
        return result.Verdict switch
        {
            Verdict.Fail => result.Waiver is null && result.Case.Level is CaseLevel.Required or CaseLevel.Optional,
            Verdict.Error => true,
            Verdict.NotApplicable or Verdict.Inconclusive => IsStrict && result.Case.Level == CaseLevel.Required
                && !Results.Any(r => r.Case.Id == result.Case.Id && IsKnown(r)),
            _ => false,
        };
    }

    private static bool IsRequired(CaseResult result) => result.Case.Level == CaseLevel.Required;
    private static bool IsKnown(CaseResult result) => result.Verdict is Verdict.Pass or Verdict.Fail;

    private static Verdict Worst(IEnumerable<CaseResult> results) => results.Select(r => r.Verdict).MinBy(v => v switch
    {
        Verdict.Fail => 0,
        Verdict.Error => 1,
        Verdict.Inconclusive => 2,
        Verdict.Pass => 3,
        _ => 4,
    });
}
