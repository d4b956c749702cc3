// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Scenarios;

/// <summary>A system and what its processes do: IOMMU instances, devices, and rules for binding.</summary>
public sealed record Scenario
{
    /// <summary>The version of the file format that this reads.</summary>
    public const int SchemaVersion = 1;

    /// <summary>The file's name without its folder.</summary>
    public required string File { get; init; }

    /// <summary>SHA-256 of the file in lower case hexadecimal.</summary>
    public required string Sha256 { get; init; }

    /// <summary>Name for people.</summary>
    public required string Name { get; init; }

    /// <summary>
    /// Number of tenants over which address spaces are spread by a hash of seed and number; 0 for none.
    /// </summary>
    public int Tenants { get; init; }

    /// <summary>What happens to bindings at exit.</summary>
    public ExitBehaviour ExitBehaviour { get; init; }

    /// <summary>The IOMMU instances.</summary>
    public required IReadOnlyList<ScenarioInstance> Instances { get; init; }

    public required IReadOnlyList<ScenarioDevice> Devices { get; init; }

    /// <summary>The rules; every one that matches applies.</summary>
    public required IReadOnlyList<ScenarioRule> Rules { get; init; }
}
