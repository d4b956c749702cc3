// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Contracts;

/// <summary>One page table.</summary>
/// <remarks>It sends no invalidations: the caller that changes a mapping invalidates the IOMMU afterwards. Not safe for
/// concurrent use.</remarks>
public interface IPageTable : IDisposable
{
    /// <summary>Byte address of the top table.</summary>
    ulong Root { get; }

    /// <summary>Maps one page of the smallest size, or changes its mapping.</summary>
    /// <param name="address">Virtual byte address, a multiple of the page's size: 4096, where the format has no larger
    /// granule.</param>
    /// <param name="target">Physical byte address, a multiple of the page's size.</param>
    /// <param name="writable">Whether devices may write.</param>
    /// <returns>Success; ENOMEM (a table); EINVAL (misaligned or out of range); EEXIST (a larger page covers
    /// it).</returns>
    OpResult Map(ulong address, ulong target, bool writable);

    /// <summary>Maps one page of a size, or changes its mapping.</summary>
    /// <param name="address">Virtual byte address, a multiple of the size.</param>
    /// <param name="target">Physical byte address, a multiple of the size.</param>
    /// <param name="writable">Whether devices may write.</param>
    /// <param name="bytes">One of <see cref="IPageTableFormat.PageSizes"/>.</param>
    /// <returns>Success; ENOMEM (a table); EINVAL (misaligned, out of range, no such size); EEXIST (a larger page
    /// covers it, or a table for smaller ones is there, even an empty one).</returns>
    OpResult Map(ulong address, ulong target, bool writable, ulong bytes) => bytes == 4096
        ? Map(address, target, writable)
        : OpResult.Refuse(Errno.EINVAL, $"pages of {bytes} bytes are not supported, only of 4096");

    /// <summary>Takes the mapping of one page of the smallest size away.</summary>
    /// <param name="address">Virtual byte address, a multiple of the page's size.</param>
    /// <returns>Success, whether or not it was mapped; EINVAL (misaligned or out of range); EEXIST (a larger page
    /// covers it).</returns>
    OpResult Unmap(ulong address);

    /// <summary>Takes the mapping of one page of a size away.</summary>
    /// <param name="address">Virtual byte address, a multiple of the size.</param>
    /// <param name="bytes">One of <see cref="IPageTableFormat.PageSizes"/>.</param>
    /// <returns>Success, whether or not it was mapped; EINVAL (misaligned, out of range, no such size); EEXIST (a
    /// larger page covers it, or a table for smaller ones is there).</returns>
    OpResult Unmap(ulong address, ulong bytes) => bytes == 4096
        ? Unmap(address)
        : OpResult.Refuse(Errno.EINVAL, $"pages of {bytes} bytes are not supported, only of 4096");
}
