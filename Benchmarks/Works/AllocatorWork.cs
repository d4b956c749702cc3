// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Benchmarks.Measuring;

namespace PasidFramework.Benchmarks.Works;

/// <summary>An allocator by its public interface: PASIDs only.</summary>
/// <typeparam name="TAllocator">Its class, so that calls are direct ones.</typeparam>
internal readonly struct AllocatorWork<TAllocator>(TAllocator allocator) : IWork<AllocatorWork<TAllocator>>
    where TAllocator : class, IPasidAllocator
{
    private readonly TAllocator _allocator = allocator;
    private readonly PasidRange _range = allocator.Range;

    public int Take()
    {
        PasidAllocation taken = _allocator.Allocate(new PasidRequest(_range));
        return taken.IsAllocated ? (int)taken.Pasid.Value : -1;
    }

    public void Give(int item) => _allocator.Free(new Pasid((uint)item));
    public AllocatorWork<TAllocator> ForThread(int thread) => this;
}
