// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Identifiers;

namespace PasidFramework.Allocation;

/// <summary>
/// The largest free number of what the request can carry, so that small numbers stay for narrow devices: the custom
/// allocator that the 2017 series foresees. A process that holds a large number already cannot join a narrow device.
/// </summary>
public sealed class TopDownPasidAllocator : BitmapPasidAllocator
{
    /// <summary>Makes an allocator with every number of a range free.</summary>
    /// <param name="range">The numbers it may hand out; may be empty.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range holds numbers of more than 20 bits.</exception>
    public TopDownPasidAllocator(PasidRange range)
        : base(PasidAllocators.TopDown, range)
    {
    }

    private protected override uint Pick(ref PasidBitmap free, uint first, uint last) => free.FindPrevious(last, first);
}
