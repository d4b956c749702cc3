// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.TestDrivers;

/// <summary>Page tables that have a name, in a plug-in that is one by its policy.</summary>
internal abstract class MinimalPageTables(string name) : IPageTableFormat, IPasidAllocatorFactory
{
    public string Name => name;
    public int AddressBits => 48;

    public OpResult<IPageTable> Create(IPhysicalMemory memory) =>
        OpResult<IPageTable>.Refuse(Errno.ENOMEM, "it has no memory");

    public IPasidAllocator Create(PasidRange range, ulong seed) => new LowestPasidAllocator(range);
}
