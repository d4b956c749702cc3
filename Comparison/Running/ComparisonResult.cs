// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Comparison.Running;

/// <summary>What a comparison found.</summary>
public sealed record ComparisonResult
{
    /// <summary>What was compared.</summary>
    public required ComparisonRequest Request { get; init; }

    /// <summary>The runs in the order of the policies.</summary>
    public required IReadOnlyList<RunResult> Runs { get; init; }

    /// <summary>Which policy did best, by stated rules.</summary>
    public required Verdict Verdict { get; init; }
}
