// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Bench;

/// <summary>What a case runs on.</summary>
internal sealed record TestBenchSetup
{
    /// <summary>What the IOMMU reports.</summary>
    public HardwareSetup Hardware { get; init; } = new();

    /// <summary>Upper limit of the unit's PASID width.</summary>
    public int UnitPasidBits { get; init; } = Pasid.MaxBits;

    /// <summary>Further settings of the unit.</summary>
    public IReadOnlyDictionary<string, string> UnitOptions { get; init; } = new Dictionary<string, string>();

    /// <summary>Who owns the PASIDs.</summary>
    public string Ownership { get; init; } = PasidOptions.OwnershipCore;

    /// <summary>The driver's clock.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;
}

/// <summary>A device of a bench.</summary>
/// <param name="Device">The core's device.</param>
/// <param name="Only">The one PASID that it can carry; null for any.</param>
internal sealed record BenchDevice(Device Device, uint? Only)
{
    public RequesterId Requester => Device.Requester;
    public Domain Domain => Device.Domain;
    public override string ToString() => Device.ToString();
}
