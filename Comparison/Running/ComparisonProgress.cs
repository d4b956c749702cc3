// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Running;

/// <summary>How far a comparison is.</summary>
/// <param name="Policy">The policy that runs.</param>
/// <param name="Done">Share of all runs that is done, 0 to 1.</param>
public readonly record struct ComparisonProgress(string Policy, double Done);
