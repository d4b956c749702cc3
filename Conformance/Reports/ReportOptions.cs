// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Reports;

/// <summary>What goes into a report beside the results.</summary>
public sealed record ReportOptions
{
    public static ReportOptions Default { get; } = new();

    /// <summary>The command line that gave the report; empty where there was none.</summary>
    public string Command { get; init; } = string.Empty;

    /// <summary>Whether durations are written, in the formats that have a place for them (JUnit). Without them equal
    /// results give equal bytes.</summary>
    public bool HasDurations { get; init; }

    /// <summary>Clauses that no case can show.</summary>
    public IReadOnlyList<UntestedClause> Untested { get; init; } = ConformanceCatalogue.Untested;
}
