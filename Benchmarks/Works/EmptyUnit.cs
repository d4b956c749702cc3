// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Benchmarks.Works;

/// <summary>A driver that does nothing: what is left of a bind is the core's own work.</summary>
internal sealed class EmptyUnit(string name) : IIommuUnit
{
    public string Name => name;
    public int PasidBits => Pasid.MaxBits;
    public IReadOnlyList<Pasid> ReservedPasids => [];
    public PasidScope VendorScope => PasidScope.System;
    public UnitStatistics Statistics => default;
    public OpResult AddDomain(Domain domain) => OpResult.Ok;

    public void RemoveDomain(Domain domain)
    {
    }

    public OpResult AddDevice(Device device) => OpResult.Ok;

    public void RemoveDevice(Device device)
    {
    }

    public OpResult Attach(IommuContext context, Device device, bool first) => OpResult.Ok;
    public OpResult Detach(IommuContext context, Device device, bool last) => OpResult.Ok;
    public OpResult Exit(IommuContext context) => OpResult.Ok;
    public OpResult Invalidate(IommuContext context, IovaRange range) => OpResult.Ok;

    public void Dispose()
    {
    }
}
