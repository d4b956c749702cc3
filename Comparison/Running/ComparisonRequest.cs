// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Comparison.Running;

/// <summary>What is to be compared, on what.</summary>
public sealed record ComparisonRequest
{
    /// <summary>The lives of address spaces.</summary>
    public required ProcessTimeline Timeline { get; init; }

    /// <summary>The system and its rules.</summary>
    public required Scenario Scenario { get; init; }

    /// <summary>The policies, in the order in which they run and are reported.</summary>
    public required IReadOnlyList<Policy> Policies { get; init; }

    /// <summary>The drivers by name; all that the scenario names (see <see cref="MissingDrivers"/>).</summary>
    public required IReadOnlyDictionary<string, IPasidDriver> Drivers { get; init; }

    /// <summary>Allocation policies of plug-ins by name.</summary>
    public IReadOnlyDictionary<string, IPasidAllocatorFactory> Allocators { get; init; } =
        new Dictionary<string, IPasidAllocatorFactory>();

    /// <summary>What is configured for all runs.</summary>
    public PasidOptions Options { get; init; } = new();

    /// <summary>Seed of everything that is drawn.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>
    /// How many policies run at one time, at least 1; the result and the events do not depend on it.
    /// </summary>
    public int Workers { get; init; } = Environment.ProcessorCount;

    /// <summary>Instances of the scenario whose driver is not there, with that driver's name.</summary>
    public IReadOnlyList<ScenarioInstance> MissingDrivers() =>
        [.. Scenario.Instances.Where(i => !Drivers.ContainsKey(i.Driver))];
}
