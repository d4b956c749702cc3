// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.TestKit.PageTables;

/// <summary>One map or unmap of a sequence.</summary>
/// <param name="Address">First byte, a multiple of the size.</param>
/// <param name="Target">Physical byte address of a map.</param>
public readonly record struct PageOperation(bool IsMap, ulong Address, ulong Target, bool IsWritable, ulong Bytes)
{
    // Larger pages have too many pieces to enumerate them.
    private const ulong MaxBytes = 1 << 30;

    /// <summary>Addresses in a few places of every level, the first and the last included.</summary>
    public static IEnumerable<ulong> Places(IPageTableFormat format)
    {
        ulong[] steps = [.. Sizes(format).Concat([1UL << 21, 1UL << 30]).Distinct().Order()];
        ulong smallest = steps[0];
        return from top in new ulong[] { 0, 5UL << 33, (1UL << format.AddressBits) - (2 * steps[^1]) }
               from high in new ulong[] { 0, steps[^1] }
               from middle in new ulong[] { 0, steps[^2], steps[^1] - steps[^2] }
               from low in new ulong[] { 0, smallest, steps[^2] - smallest }
               select top + high + middle + low;
    }

    /// <summary>Sizes that sequences use.</summary>
    public static IEnumerable<ulong> Sizes(IPageTableFormat format) =>
        format.PageSizes.Where(size => size <= MaxBytes);

    /// <summary>Any number as an operation; more of them map than unmap, and small pages are more frequent.</summary>
    public static PageOperation Decode(IPageTableFormat format, int number)
    {
        uint code = (uint)number;
        ulong[] places = [.. Places(format)];
        ulong[] sizes = [.. Sizes(format)];
        ulong bytes = sizes[Math.Max(0, (int)(code % 4) - 1) % sizes.Length];
        ulong address = places[(code >> 2) % places.Length] & ~(bytes - 1);
        return new PageOperation(
            (code >> 9) % 3 != 0, address, (((code >> 11) & 7) + 1) * bytes, (code >> 14 & 1) != 0, bytes);
    }
}
