// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.DriverKit.Units;

/// <summary>How long hardware may take before it counts as stuck; every wait of a driver begins with one.</summary>
/// <param name="Time">The clock.</param>
/// <param name="Limit">The longest wait by that clock.</param>
/// <param name="MaxPolls">The most polls, however slow one is; at least 1.</param>
public sealed record PollTimeout(TimeProvider Time, TimeSpan Limit, int MaxPolls = int.MaxValue)
{
    /// <summary>Begins a wait.</summary>
    public PollBudget Start() => new(Time, Limit, MaxPolls);
}
