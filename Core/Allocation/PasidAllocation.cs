// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Allocation;

/// <summary>The result of an allocation.</summary>
/// <param name="Status">Whether there is a PASID.</param>
/// <param name="Pasid">The PASID where <see cref="Status"/> is Allocated.</param>
public readonly record struct PasidAllocation(PasidAllocationStatus Status, Pasid Pasid)
{
    /// <summary>Whether a PASID was taken.</summary>
    public bool IsAllocated => Status == PasidAllocationStatus.Allocated;

    /// <summary>The kernel's error number for the status.</summary>
    public Errno Errno => Status switch
    {
        PasidAllocationStatus.Allocated => Errno.None,
        PasidAllocationStatus.NoSpace or PasidAllocationStatus.QuotaExceeded => Errno.ENOSPC,
        PasidAllocationStatus.InvalidRange => Errno.EINVAL,
        _ => Errno.EIO,
    };

    /// <summary>A PASID was taken.</summary>
    public static PasidAllocation Of(uint pasid) => new(PasidAllocationStatus.Allocated, new Pasid(pasid));

    /// <summary>None was taken.</summary>
    public static PasidAllocation None(PasidAllocationStatus status) => new(status, default);
}
