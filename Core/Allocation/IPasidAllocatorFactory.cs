// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Allocation;

/// <summary>Makes allocators of one policy; export it with <see cref="PasidAllocatorAttribute"/>.</summary>
public interface IPasidAllocatorFactory
{
    /// <summary>Makes an allocator with every PASID of a range free.</summary>
    /// <param name="range">The PASIDs it may allocate.</param>
    /// <param name="seed">Seed for policies that draw PASIDs; the same seed gives the same PASIDs.</param>
    IPasidAllocator Create(PasidRange range, ulong seed);
}
