// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Allocation;

/// <summary>What a decorator calls: an allocator without its gate, or as it is where it has none of ours.</summary>
internal static class UngatedAllocator
{
    public static IUngatedAllocator Of(IPasidAllocator allocator) =>
        allocator as IUngatedAllocator ?? new Foreign(allocator);

    private sealed class Foreign(IPasidAllocator allocator) : IUngatedAllocator
    {
        public PasidAllocation Allocate(in PasidRequest request) => allocator.Allocate(in request);
        public PasidFreeStatus Free(Pasid pasid) => allocator.Free(pasid);
        public bool TryReserve(Pasid pasid) => allocator.TryReserve(pasid);
        public bool IsLive(Pasid pasid) => allocator.IsLive(pasid);
    }
}
