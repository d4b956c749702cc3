// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;

namespace PasidFramework.Allocation;

/// <summary>
/// The smallest free PASID, as the kernel's IDA: Linux's policy today. Densest tables and the best chance to fit
/// narrow devices, but a freed PASID is reused at once.
/// </summary>
public sealed class LowestPasidAllocator : BitmapPasidAllocator
{
    private Policy _policy;

    /// <summary>Makes an allocator with every PASID of a range free.</summary>
    /// <param name="range">The PASIDs it may allocate; may be empty.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range holds PASIDs of more than 20 bits.</exception>
    public LowestPasidAllocator(PasidRange range)
        : base(PasidAllocators.Lowest, range)
    {
    }

    public override PasidAllocation Allocate(in PasidRequest request) => Allocate(ref _policy, in request);

    private protected override PasidAllocation AllocateUngated(in PasidRequest request) =>
        AllocateUngated(ref _policy, in request);

    private struct Policy : IPickPolicy
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly uint TakeAny(ref PasidBitmap map)
        {
            uint index = map.TakeNextIndex(0);
            return index != PasidBitmap.None ? map.First + index : PasidBitmap.None;
        }

        public readonly uint TakeWithin(ref PasidBitmap map, uint first, uint last)
        {
            uint pasid = map.FindNext(first, last);
            if (pasid != PasidBitmap.None)
            {
                map.Take(pasid);
            }

            return pasid;
        }
    }
}
