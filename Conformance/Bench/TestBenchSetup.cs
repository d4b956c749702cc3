// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Bench;

/// <summary>What a case runs on.</summary>
internal sealed record TestBenchSetup
{
    public HardwareSetup Hardware { get; init; } = new();
    public int UnitPasidBits { get; init; } = Pasid.MaxBits;
    public IReadOnlyDictionary<string, string> UnitOptions { get; init; } = new Dictionary<string, string>();
    public string Ownership { get; init; } = PasidOptions.OwnershipCore;
    public TimeProvider Time { get; init; } = TimeProvider.System;
}

/// <summary>A device of a bench.</summary>
/// <param name="Only">The one PASID that it can carry; null for any.</param>
internal sealed record BenchDevice(Device Device, uint? Only)
{
    public RequesterId Requester => Device.Requester;
    public Domain Domain => Device.Domain;
    public override string ToString() => Device.ToString();
}
