// SPDX-License-Identifier: Apache-2.0
using System.Numerics;

namespace PasidFramework.Drivers.ArmSmmu.Queues;

/// <summary>
/// Which commands make every cache forget a range of addresses (D6): never less than the range, more where one command
/// is cheaper than many.
/// </summary>
internal static class InvalidationPlan
{
    /// <summary>Pages beyond which single-page commands give way to one that names the ASID: one table's
    /// worth.</summary>
    public const int MaxSinglePages = 512;

    private const int PageShift = 12;
    private const ulong PageMask = (1UL << PageShift) - 1;
    private const int MaxPagesPerStep = 32;
    private const int MaxScale = 31;

    // Beyond this a range does not fit the address space that TTB0 covers (48 bits).
    private const ulong AllPages = 1UL << (48 - PageShift);

    /// <summary>Adds the TLB invalidations.</summary>
    /// <param name="range">The bytes, at least one.</param>
    public static void AddTlb(ref CommandBatch batch, bool hasRange, uint asid, IovaRange range)
    {
        ulong address = range.First & ~PageMask;
        ulong pages = (range.Last >> PageShift) - (range.First >> PageShift) + 1;
        if (pages >= AllPages || (!hasRange && pages > MaxSinglePages))
        {
            batch.Add(Commands.TlbiNhAsid(0, asid));
            return;
        }

        while (pages > 0)
        {
            ulong step = 1;
            if (hasRange && pages > 1)
            {
                // (NUM + 1) << SCALE pages, low bits of the count first, so that a few commands cover it exactly.
                int scale = Math.Min(BitOperations.TrailingZeroCount(pages), MaxScale);
                ulong count = Math.Min(pages >> scale, MaxPagesPerStep);
                if (count < pages >> scale)
                {
                    count = (pages >> scale) & (MaxPagesPerStep - 1);
                }

                step = count << scale;
                batch.Add(step == 1
                    ? Commands.TlbiNhVa(0, asid, address)
                    : Commands.TlbiNhVaRange(0, asid, address, (int)count - 1, scale));
            }
            else
            {
                // One page: a range of NUM = SCALE = TTL = 0 would be illegal, the plain form says the same.
                batch.Add(Commands.TlbiNhVa(0, asid, address));
            }

            address += step << PageShift;
            pages -= step;
        }
    }

    /// <summary>The device TLB invalidation that covers a range: 2^SizeLog2 pages, aligned to their size.</summary>
    /// <param name="range">The bytes, at least one.</param>
    public static (ulong Address, int SizeLog2) AtcSpan(IovaRange range)
    {
        ulong first = range.First >> PageShift;
        int log2 = 64 - BitOperations.LeadingZeroCount(first ^ (range.Last >> PageShift));
        return (first >> log2 << (log2 + PageShift), log2);
    }
}
