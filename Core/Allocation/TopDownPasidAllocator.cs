// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Allocation;

/// <summary>
/// The largest free PASID of what the request can carry, so that small PASIDs stay for narrow devices: the custom
/// allocator that the 2017 series foresees. A process that holds a large PASID already cannot join a narrow device.
/// </summary>
public sealed class TopDownPasidAllocator : BitmapPasidAllocator
{
    private Policy _policy;

    /// <summary>Makes an allocator with every PASID of a range free.</summary>
    /// <param name="range">The PASIDs it may allocate; may be empty.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range holds PASIDs of more than 20 bits.</exception>
    public TopDownPasidAllocator(PasidRange range)
        : base(PasidAllocators.TopDown, range)
    {
    }

    public override PasidAllocation Allocate(in PasidRequest request) => Allocate(ref _policy, in request);

    private protected override PasidAllocation AllocateUngated(in PasidRequest request) =>
        AllocateUngated(ref _policy, in request);

    private struct Policy : IPickPolicy
    {
        public readonly uint TakeAny(ref PasidBitmap map) =>
            map.Count == 0 ? PasidBitmap.None : TakeWithin(ref map, map.First, map.First + (uint)map.Count - 1);

        public readonly uint TakeWithin(ref PasidBitmap map, uint first, uint last)
        {
            uint pasid = map.FindPrevious(last, first);
            if (pasid != PasidBitmap.None)
            {
                map.Take(pasid);
            }

            return pasid;
        }
    }
}
