// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Dialects;

/// <summary>The pages that cover a byte range (D6): never fewer than the range, at most one granule more at each
/// end.</summary>
/// <param name="FirstByte">First byte of the first page.</param>
internal readonly record struct InvalidationRange(ulong FirstByte, ulong Pages)
{
    /// <param name="range">The bytes; not empty, and not all of them.</param>
    /// <param name="granuleLog2">log2 of the page size in bytes, 0 to 63.</param>
    public static InvalidationRange Cover(IovaRange range, int granuleLog2)
    {
        ulong first = range.First >> granuleLog2;
        ulong pages = (range.Last >> granuleLog2) - first + 1;
        return new InvalidationRange(first << granuleLog2, pages);
    }
}
