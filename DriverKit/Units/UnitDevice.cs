// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Units;

/// <summary>A unit's record of a device; a driver derives its own where it keeps more.</summary>
/// <param name="requester">The ID by which the IOMMU knows it.</param>
/// <param name="hasTlb">Whether it caches translations (ATS) that must be invalidated.</param>
public class UnitDevice(RequesterId requester, bool hasTlb)
{
    /// <summary>The ID by which the IOMMU knows it.</summary>
    public RequesterId Requester { get; } = requester;

    /// <summary>Whether it caches translations that must be invalidated.</summary>
    public bool HasTlb { get; } = hasTlb;
}
