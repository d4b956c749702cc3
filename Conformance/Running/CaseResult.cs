// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Running;

/// <summary>What became of one case on one back end.</summary>
public sealed record CaseResult
{
    public required ConformanceCase Case { get; init; }

    /// <summary>Name of the back end; <c>none</c> for a case that needs no hardware.</summary>
    public required string Hardware { get; init; }

    public required Verdict Verdict { get; init; }

    /// <summary>Why, in one line; empty for a pass.</summary>
    public string Reason { get; init; } = string.Empty;

    /// <summary>More lines: the difference field by field, the shortest failing sequence, a stack trace.</summary>
    public IReadOnlyList<string> Details { get; init; } = [];

    /// <summary>The command that repeats it; empty where it is not known how drivers are named on a command
    /// line.</summary>
    public string Repeat { get; init; } = string.Empty;

    /// <summary>How many single checks it took: accesses, comparisons. 0 makes a pass impossible.</summary>
    public long Checks { get; init; }

    /// <summary>How long it took; not part of any verdict.</summary>
    public TimeSpan Duration { get; init; }

    /// <summary>The waiver that excuses its failure; null where there is none.</summary>
    public Waiver? Waiver { get; init; }
}
