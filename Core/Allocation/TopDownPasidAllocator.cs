// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Allocation;

/// <summary>
/// The largest free PASID of what the request can carry, so that small PASIDs stay for narrow devices: the custom
/// allocator that the 2017 series foresees. A process that holds a large PASID already cannot join a narrow device.
/// </summary>
public sealed class TopDownPasidAllocator : BitmapPasidAllocator
{
    /// <summary>Makes an allocator with every PASID of a range free.</summary>
    /// <param name="range">The PASIDs it may allocate; may be empty.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range holds PASIDs of more than 20 bits.</exception>
    public TopDownPasidAllocator(PasidRange range)
        : base(PasidAllocators.TopDown, range)
    {
    }

    private protected override uint Pick(ref PasidBitmap free, uint first, uint last) => free.FindPrevious(last, first);
}
