// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Allocation;

/// <summary>
/// An allocator's calls without its gate: for a decorator, which owns the allocator, holds a gate of its own around
/// each call, and so spares the second one. Nothing else may call the allocator meanwhile.
/// </summary>
internal interface IUngatedAllocator
{
    PasidAllocation Allocate(in PasidRequest request);
    PasidFreeStatus Free(Pasid pasid);
    bool TryReserve(Pasid pasid);
    bool IsLive(Pasid pasid);
}
