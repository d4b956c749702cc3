namespace PasidFramework.Drivers.VirtioIommu.Dialects;

/// <summary>How much has to be invalidated for a changed range.</summary>
internal enum InvalidationExtent
{
    /// <summary>Nothing: the range is empty.</summary>
    Nothing,

    /// <summary>The pages from <see cref="InvalidationRange.FirstByte"/> on.</summary>
    Pages,

    /// <summary>Everything of the PASID.</summary>
    WholePasid,
}

/// <summary>
/// The pages that cover a byte range (D6): never fewer than the range, at most one granule more at each end.
/// </summary>
/// <param name="Extent">How much.</param>
/// <param name="FirstByte">First byte of the first page.</param>
/// <param name="Pages">Number of pages.</param>
internal readonly record struct InvalidationRange(InvalidationExtent Extent, ulong FirstByte, ulong Pages)
{
    /// <summary>Covers [<paramref name="start"/>, <paramref name="end"/>); an end of 0 is the top of memory.</summary>
    /// <param name="start">First byte.</param>
    /// <param name="end">Byte after the range; 0, 0 is everything, any other end equal to start an empty range; below
    /// it,
    /// the range wraps.</param>
    /// <param name="granuleLog2">log2 of the page size in bytes, 0 to 63.</param>
    public static InvalidationRange Cover(ulong start, ulong end, int granuleLog2)
    {
        if (start == end && end != 0)
        {
            return new InvalidationRange(InvalidationExtent.Nothing, 0, 0);
        }

        // Of an end of 0 this is the last byte of memory, which is what it means.
        ulong last = end - 1;
        if (last < start || start == end)
        {
            return new InvalidationRange(InvalidationExtent.WholePasid, 0, 0);
        }

        ulong first = start >> granuleLog2;
        ulong pages = (last >> granuleLog2) - first + 1;
        return new InvalidationRange(InvalidationExtent.Pages, first << granuleLog2, pages);
    }
}
