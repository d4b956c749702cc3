// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Allocation;

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
