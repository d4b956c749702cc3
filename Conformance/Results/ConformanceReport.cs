namespace PasidFramework.Conformance;

/// <summary>The results of one run.</summary>
public sealed record ConformanceReport
{
    /// <summary>Name of the driver.</summary>
    public required string Driver { get; init; }

    /// <summary>Version of its assembly.</summary>
    public string DriverVersion { get; init; } = string.Empty;

    /// <summary>SHA-256 of its file in lower-case hexadecimal; empty where it came from no file.</summary>
    public string DriverHash { get; init; } = string.Empty;

    /// <summary>Version of the catalogue.</summary>
    public string Catalogue { get; init; } = ConformanceCatalogue.Version;

    /// <summary>The seed: the same one gives the same run.</summary>
    public required ulong Seed { get; init; }

    /// <summary>Whether a required case that does not apply counts as a failure.</summary>
    public bool IsStrict { get; init; }

    /// <summary>The back ends, with what a pass on each does not show.</summary>
    public IReadOnlyList<BackEndNote> Hardware { get; init; } = [];

    /// <summary>The results: by the catalogue's order of cases, then by back end.</summary>
    public required IReadOnlyList<CaseResult> Results { get; init; }

    /// <summary>What is wrong with the waivers: one that excuses nothing, one that has expired. Each makes the run fail.</summary>
    public IReadOnlyList<string> WaiverProblems { get; init; } = [];

    /// <summary>How many results have a verdict.</summary>
    public int Count(Verdict verdict) => Results.Count(r => r.Verdict == verdict);

    /// <summary>Required clauses that passed at least once, and all required cases that were asked for.</summary>
    public (int Exercised, int Required) Coverage
    {
        get
        {
            ILookup<string, CaseResult> required = Results
                .Where(r => r.Case.Level == CaseLevel.Required).ToLookup(r => r.Case.Id);
            return (required.Count(g => g.Any(r => r.Verdict is Verdict.Pass or Verdict.Fail)), required.Count);
        }
    }

    /// <summary>Whether nothing failed that is not waived, nothing threw, and the waivers are in order.</summary>
    /// <remarks>A recommended case may fail, and what is informative is not judged.</remarks>
    public bool IsConformant => WaiverProblems.Count == 0 && !Results.Any(Counts);

    /// <summary>Whether a result makes the run fail.</summary>
    public bool Counts(CaseResult result)
    {
        ArgumentNullException.ThrowIfNull(result);
        return result.Verdict switch
        {
            Verdict.Fail => result.Waiver is null && result.Case.Level is CaseLevel.Required or CaseLevel.Optional,
            Verdict.Error => true,
            Verdict.NotApplicable or Verdict.Inconclusive => IsStrict && result.Case.Level == CaseLevel.Required
                && !Results.Any(r => r.Case.Id == result.Case.Id && r.Verdict == Verdict.Pass),
            _ => false,
        };
    }
}

/// <summary>A back end of a run.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Limits">What a pass on it does not show; may be empty.</param>
public sealed record BackEndNote(string Name, string Limits);
