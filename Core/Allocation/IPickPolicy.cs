// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Allocation;

/// <summary>
/// Which free PASID comes next. Implemented by structs: an allocator is then compiled for its own policy, without a
/// call that is resolved at run time.
/// </summary>
internal interface IPickPolicy
{
    /// <summary>Makes the next free PASID of the whole map live, and moves the policy's own state on.</summary>
    /// <returns>The PASID; <see cref="PasidBitmap.None"/>, and no change, where none is free (A5).</returns>
    uint TakeAny(ref PasidBitmap map);

    /// <summary>As <see cref="TakeAny"/>, of [first, last]: not empty, and a part of the map.</summary>
    uint TakeWithin(ref PasidBitmap map, uint first, uint last);
}
