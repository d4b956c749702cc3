// SPDX-License-Identifier: Apache-2.0
using System.Composition;
using PasidFramework.Records;

namespace PasidFramework.TestDrivers;

/// <summary>A plug-in is known by its driver, table format or allocator: this one has a policy.</summary>
[PasidAllocator("plain")]
internal sealed class PlainFactory : IPasidAllocatorFactory
{
    public IPasidAllocator Create(PasidRange range, ulong seed) => new LowestPasidAllocator(range);
}

/// <summary>One structure of its own, and one whose id is taken.</summary>
[StructureProvider("test")]
internal sealed class Structures : IStructureProvider
{
    public IReadOnlyList<Layout> Layouts { get; } =
    [
        new("test/entry", 64, "the test",
            [LayoutField.Value(new Field(0, 0, "V"), "valid"), LayoutField.Reserved(63, 1)]),
        new("pcie/ats_cap", 8, "the test", [LayoutField.Reserved(7, 0)]),
    ];
}

/// <summary>A second provider of one name.</summary>
[StructureProvider("test")]
internal sealed class MoreStructures : IStructureProvider
{
    public IReadOnlyList<Layout> Layouts { get; } = [new("test/more", 64, "the test", [LayoutField.Reserved(63, 0)])];
}

/// <summary>A reader that reads nothing.</summary>
[TableReader("test")]
internal sealed class Reader : ITableReader
{
    public string Name => "test";
    public IReadOnlyList<RootRegister> Registers => [];

    public OpResult<ITableView> Open(IMemoryReader memory, IReadOnlyDictionary<string, ulong> registers) =>
        OpResult<ITableView>.Refuse(Errno.EOPNOTSUPP, "it reads nothing");
}

/// <summary>A model factory that makes nothing.</summary>
[IommuModel("test")]
internal sealed class Model : IIommuModelFactory
{
    public IIommuModel Create(HardwareSetup setup, StoreOrder order = StoreOrder.Immediate) =>
        throw new ArgumentException("it has no model");
}

/// <summary>An export without a name.</summary>
[Export(typeof(IPageTableFormat))]
internal sealed class NamelessPageTables : IPageTableFormat
{
    public string Name => string.Empty;
    public int AddressBits => 48;

    public OpResult<IPageTable> Create(IPhysicalMemory memory) =>
        OpResult<IPageTable>.Refuse(Errno.ENOMEM, "it has no memory");
}

/// <summary>Page tables that cannot be made.</summary>
[PageTableFormat("test")]
internal sealed class PageTables : IPageTableFormat
{
    public string Name => "test";
    public int AddressBits => 48;

    public OpResult<IPageTable> Create(IPhysicalMemory memory) =>
        OpResult<IPageTable>.Refuse(Errno.ENOMEM, "it has no memory");
}
