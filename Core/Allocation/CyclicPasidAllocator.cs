// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Allocation;

/// <summary>
/// Next fit with wrap, as the kernel's <c>idr_alloc_cyclic</c>: the seed's policy, with the longest reuse distance.
/// </summary>
/// <remarks>
/// One cursor for all requests. A search starts at the larger of the cursor and the request's first PASID; where
/// nothing is free from there to the request's last PASID, it starts again at the first. A success leaves the cursor
/// one beyond the PASID, a failure leaves it alone. So a request for a narrow range moves the cursor for all,
/// and a cursor above the range counts as "nothing free from there" (semantics of the Linux IDR; 2017 series, patch
/// 01).
/// </remarks>
public sealed class CyclicPasidAllocator : BitmapPasidAllocator
{
    private CyclicPolicy _policy;

    /// <summary>Makes an allocator with every PASID of a range free.</summary>
    /// <param name="range">The PASIDs it may allocate; may be empty.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range holds PASIDs of more than 20 bits.</exception>
    public CyclicPasidAllocator(PasidRange range)
        : base(PasidAllocators.Cyclic, range)
    {
    }

    public override PasidAllocation Allocate(in PasidRequest request) => Allocate(ref _policy, in request);

    private protected override PasidAllocation AllocateUngated(in PasidRequest request) =>
        AllocateUngated(ref _policy, in request);
}
