// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Allocation;

/// <summary>
/// The smallest free PASID, as the kernel's IDA: Linux's policy today. Densest tables and the best chance to fit
/// narrow devices, but a freed PASID is reused at once.
/// </summary>
public sealed class LowestPasidAllocator : BitmapPasidAllocator
{
    /// <summary>Makes an allocator with every PASID of a range free.</summary>
    /// <param name="range">The PASIDs it may allocate; may be empty.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range holds PASIDs of more than 20 bits.</exception>
    public LowestPasidAllocator(PasidRange range)
        : base(PasidAllocators.Lowest, range)
    {
    }

    private protected override uint Pick(ref PasidBitmap free, uint first, uint last) => free.FindNext(first, last);
}
