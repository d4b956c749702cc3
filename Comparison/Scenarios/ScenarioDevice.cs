// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Comparison.Scenarios;

public sealed record ScenarioDevice
{
    /// <summary>Its name, unique in the scenario.</summary>
    public required string Name { get; init; }

    /// <summary>Name of the instance that it is behind.</summary>
    public required string Instance { get; init; }

    /// <summary>The number by which the instance knows it, unique there.</summary>
    public required RequesterId Requester { get; init; }

    /// <summary>The PASIDs that it can carry, both ends included.</summary>
    public required PasidRange Range { get; init; }

    /// <summary>What else it can do.</summary>
    public DeviceFeatures Features { get; init; }

    /// <summary>
    /// Name of its domain, unique on its instance; devices that name the same one share a PASID table. Its own name
    /// where the scenario names none.
    /// </summary>
    public required string Domain { get; init; }

    /// <summary>Line of the file at which it stands, from 1; 0 where it is not from a file.</summary>
    public int Line { get; init; }
}
