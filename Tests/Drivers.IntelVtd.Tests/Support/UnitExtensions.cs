// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Tests;

/// <summary>A unit by identifiers alone, without the core's handles.</summary>
internal static class UnitExtensions
{
    public static OpResult<VtdDomain> AddDomain(this VtdUnit unit, int pasidBits) => unit.AddDomain(1, pasidBits);

    public static OpResult<VtdDevice> AddDevice(
        this VtdUnit unit, RequesterId requester, DeviceFeatures features, VtdDomain domain) =>
        unit.AddDevice(domain, requester, features);

    public static OpResult RemoveDevice(this VtdUnit unit, VtdDevice device, VtdDomain domain) =>
        unit.RemoveDevice(domain, device);

    public static OpResult Attach(
        this VtdDomain domain, Pasid pasid, ulong root, VtdDevice device, bool first, ref UnitLink? link) =>
        domain.Attach(pasid, root, null, device, first, ref link);

    public static OpResult Detach(this VtdDomain domain, Pasid pasid, VtdDevice device, bool last, ref UnitLink? link)
    {
        Assert.True(link is null || link.Pasid == pasid);
        return domain.Detach(device, last, ref link);
    }

    public static OpResult Exit(this VtdDomain domain, Pasid pasid, UnitLink? link)
    {
        Assert.True(link is null || link.Pasid == pasid);
        return domain.Exit(link);
    }

    public static OpResult Invalidate(this VtdDomain domain, Pasid pasid, UnitLink? link, ulong start, ulong end)
    {
        Assert.True(link is null || link.Pasid == pasid);
        var range = IovaRange.FromStartEnd(start, end);
        return range.IsEmpty ? OpResult.Ok : domain.Invalidate(link, range);
    }
}
