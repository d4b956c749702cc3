// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace PasidFramework.Allocation;

/// <summary>What is asked of an allocator.</summary>
/// <param name="Range">Acceptable PASIDs, both ends included: what device and unit can carry.</param>
/// <param name="Owner">Index of the tenant whose quota counts, 0 where no quota counts (see the quota
/// decorator).</param>
public readonly record struct PasidRequest(PasidRange Range, int Owner = 0);

/// <summary>Why an allocation gave no PASID.</summary>
public enum PasidAllocationStatus
{
    /// <summary>It gave one.</summary>
    Allocated,

    /// <summary>No PASID of the range is free (ENOSPC).</summary>
    NoSpace,

    /// <summary>The range is empty or lies outside the allocator's range (EINVAL).</summary>
    InvalidRange,

    /// <summary>The owner holds as many PASIDs as it may (ENOSPC, as the ioasid sets of 2021 answered).</summary>
    QuotaExceeded,

    /// <summary>A delegate answered something it should not (EIO).</summary>
    DeviceError,
}

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

/// <summary>The result of giving a PASID back.</summary>
public enum PasidFreeStatus
{
    /// <summary>It was live and is free now (or on its way to be, in a quarantine).</summary>
    Freed,

    /// <summary>It was not live; nothing changed.</summary>
    NotAllocated,

    /// <summary>A delegate answered something it should not; the PASID stays live.</summary>
    DeviceError,
}
