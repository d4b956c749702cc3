// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.TestKit;

/// <summary>What a scenario found.</summary>
/// <param name="Failures">What was wrong, oldest first; empty for a correct driver.</param>
/// <param name="Probes">Accesses that were tried.</param>
public sealed record ScenarioReport(
    IReadOnlyList<string> Failures, IReadOnlyList<DriverAction> Actions, bool Applied, long Probes);
