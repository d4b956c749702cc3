// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Results;

/// <summary>
/// The error numbers with which Linux refuses the same operation, by their kernel names and values (asm-generic/errno).
/// </summary>
/// <remarks>Which one stands for what is invariant C16; <c>design.md</c> has the table.</remarks>
public enum Errno
{
    /// <summary>No error.</summary>
    None = 0,

    /// <summary>Not permitted for this caller.</summary>
    EPERM = 1,

    /// <summary>No such object (virtio status NOENT).</summary>
    ENOENT = 2,

    /// <summary>No such process, or no such binding.</summary>
    ESRCH = 3,

    /// <summary>The hardware reported an error.</summary>
    EIO = 5,

    /// <summary>No memory for a table or a record.</summary>
    ENOMEM = 12,

    /// <summary>A memory access was refused (virtio status FAULT).</summary>
    EFAULT = 14,

    /// <summary>The object is in use.</summary>
    EBUSY = 16,

    /// <summary>The same thing exists already.</summary>
    EEXIST = 17,

    /// <summary>No such device, or the device cannot share address spaces.</summary>
    ENODEV = 19,

    /// <summary>An argument is not acceptable: no domain, nesting domain, unknown flag, kernel thread, process
    /// exiting.</summary>
    EINVAL = 22,

    /// <summary>No PASID left in the allowed range.</summary>
    ENOSPC = 28,

    /// <summary>An address or size is out of range (virtio status RANGE).</summary>
    ERANGE = 34,

    /// <summary>The process has a PASID already and the device cannot carry it.</summary>
    EOVERFLOW = 75,

    /// <summary>The device or its IOMMU cannot do this at all.</summary>
    EOPNOTSUPP = 95,

    /// <summary>The hardware did not complete a command in time.</summary>
    ETIMEDOUT = 110,
}
