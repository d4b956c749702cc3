// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.TestKit.Mutations;

/// <summary>How a mutant's run ended.</summary>
/// <param name="Failure">What was noticed first; null for nothing.</param>
/// <param name="Applied">Whether the mutated action was reached.</param>
public readonly record struct MutantRun(string? Failure, bool Applied)
{
    /// <summary>The end of a scenario.</summary>
    public static MutantRun Of(ScenarioReport report)
    {
        ArgumentNullException.ThrowIfNull(report);
        return new MutantRun(report.Failures.Count > 0 ? report.Failures[0] : null, report.Applied);
    }
}
