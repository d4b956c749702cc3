// SPDX-License-Identifier: Apache-2.0
using System.Numerics;

namespace PasidFramework.Drivers.IntelVtd.Queues;

/// <summary>
/// Covers a byte range by at most two blocks of 2^AM pages, aligned to their size: never less than the range, less than
/// four times its pages (invariant D6).
/// </summary>
/// <param name="First">Byte address of the first block.</param>
/// <param name="Blocks">1 or 2.</param>
/// <param name="AddressMask">Log2 of a block's pages; <see cref="WholeSpace"/> for everything.</param>
internal readonly record struct InvalidationRange(ulong First, int Blocks, int AddressMask)
{
    /// <summary>AM of all 2^64 bytes.</summary>
    public const int WholeSpace = 52;

    private const int PageShift = 12;
    public static InvalidationRange All => new(0, 1, WholeSpace);

    /// <summary>Whether it is everything.</summary>
    public bool IsAll => AddressMask == WholeSpace;

    /// <summary>Bytes of a block; not for <see cref="All"/>.</summary>
    public ulong BlockBytes => 1UL << (AddressMask + PageShift);

    /// <summary>Covers a range.</summary>
    /// <param name="range">The bytes, at least one.</param>
    /// <param name="maxAddressMask">Largest AM that the hardware takes; a range that needs more is everything. -1:
    /// always everything.</param>
    public static InvalidationRange Cover(IovaRange range, int maxAddressMask)
    {
        ulong firstPage = range.First >> PageShift;
        ulong lastPage = range.Last >> PageShift;
        ulong pages = lastPage - firstPage + 1;
        int mask = 64 - BitOperations.LeadingZeroCount(pages - 1); // log2, rounded up; 0 for one page
        if (mask > Math.Min(maxAddressMask, WholeSpace - 1))
        {
            return All;
        }

        ulong block = firstPage >> mask;
        return new InvalidationRange(block << (mask + PageShift), (int)((lastPage >> mask) - block) + 1, mask);
    }
}
