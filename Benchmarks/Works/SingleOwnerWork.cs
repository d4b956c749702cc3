// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Benchmarks.Measuring;

namespace PasidFramework.Benchmarks.Works;

/// <summary>The allocator for one owner, which has no gate.</summary>
internal readonly struct SingleOwnerWork(SingleOwnerPasidAllocator allocator) : IWork<SingleOwnerWork>
{
    private readonly SingleOwnerPasidAllocator _allocator = allocator;
    private readonly PasidRange _range = allocator.Range;

    public int Take()
    {
        PasidAllocation taken = _allocator.Allocate(new PasidRequest(_range));
        return taken.IsAllocated ? (int)taken.Pasid.Value : -1;
    }

    public void Give(int item) => _allocator.Free(new Pasid((uint)item));
    public SingleOwnerWork ForThread(int thread) => this;
}
