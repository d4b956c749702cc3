// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Comparison.Scenarios;

/// <summary>A piece of IOMMU hardware in a scenario.</summary>
public sealed record ScenarioInstance
{
    /// <summary>Its name, unique in the scenario.</summary>
    public required string Name { get; init; }

    /// <summary>Name of the driver that drives it.</summary>
    public required string Driver { get; init; }

    /// <summary>Widest PASID of the hardware in bits, 1 to 20.</summary>
    public int PasidBits { get; init; } = Pasid.MaxBits;

    /// <summary>Whether its table walker snoops the CPU's caches.</summary>
    public bool IsCoherent { get; init; } = true;

    /// <summary>Settings of the hardware by the driver's names.</summary>
    public IReadOnlyDictionary<string, string> HardwareOptions { get; init; } = new Dictionary<string, string>();

    /// <summary>Settings of the unit by the driver's names.</summary>
    public IReadOnlyDictionary<string, string> Options { get; init; } = new Dictionary<string, string>();

    /// <summary>Line of the file at which it stands, from 1; 0 where it is not from a file.</summary>
    public int Line { get; init; }
}
