// SPDX-License-Identifier: Apache-2.0
using System.Composition;
using PasidFramework.Hardware;
using PasidFramework.Records;
using PasidFramework.Results;

namespace PasidFramework.Conformance.Xunit.Tests;

/// <summary>A driver that nothing is asked of: cases made by hand judge it.</summary>
[PasidDriver("fake", "fake-v1", 12, Vendor = "Nobody", Capabilities = DriverCapabilities.Ats)]
internal sealed class FakeDriver : IPasidDriver
{
    public IIommuHardware CreateHardware(IPhysicalMemory memory, HardwareSetup setup) =>
        throw new NotSupportedException();

    public OpResult<IIommuUnit> CreateUnit(UnitSetup setup) =>
        OpResult<IIommuUnit>.Refuse(Errno.ENODEV, "there is none");
}

/// <summary>A class that a host would not find.</summary>
internal sealed class UnnamedDriver : IPasidDriver
{
    public IIommuHardware CreateHardware(IPhysicalMemory memory, HardwareSetup setup) =>
        throw new NotSupportedException();

    public OpResult<IIommuUnit> CreateUnit(UnitSetup setup) =>
        OpResult<IIommuUnit>.Refuse(Errno.ENODEV, "there is none");
}

[IommuModel("fake-v1")]
public sealed class FakeModelFactory : IIommuModelFactory
{
    [Import(TableReaderAttribute.ImportPrefix + "lent", AllowDefault = true)]
    public ITableReader? Foreign { get; set; }
    public string PageTables => "fake-4k";

    public IIommuModel Create(HardwareSetup setup, StoreOrder order = StoreOrder.Immediate) =>
        throw new NotSupportedException();
}

[TableReader("fake-v1")]
public sealed class FakeReader : ITableReader
{
    public string Name => "fake-v1";
    public IReadOnlyList<RootRegister> Registers => [];

    public OpResult<ITableView> Open(IMemoryReader memory, IReadOnlyDictionary<string, ulong> registers) =>
        OpResult<ITableView>.Refuse(Errno.EINVAL, "nothing");
}

/// <summary>A reader that belongs to another assembly: no host would find it here.</summary>
internal sealed class LentReader : ITableReader
{
    public string Name => "lent";
    public IReadOnlyList<RootRegister> Registers => [];

    public OpResult<ITableView> Open(IMemoryReader memory, IReadOnlyDictionary<string, ulong> registers) =>
        OpResult<ITableView>.Refuse(Errno.EINVAL, "nothing");
}

[TableReader("another")]
public sealed class ReaderOfAnother : ITableReader
{
    public string Name => "another";
    public IReadOnlyList<RootRegister> Registers => [];

    public OpResult<ITableView> Open(IMemoryReader memory, IReadOnlyDictionary<string, ulong> registers) =>
        OpResult<ITableView>.Refuse(Errno.EINVAL, "nothing");
}

[PageTableFormat("fake-4k")]
public sealed class FakePages : IPageTableFormat
{
    public string Name => "fake-4k";
    public int AddressBits => 48;
    public OpResult<IPageTable> Create(IPhysicalMemory memory) => OpResult<IPageTable>.Refuse(Errno.ENOMEM, "none");
}

[StructureProvider("fake-v1")]
public sealed class FakeStructures : IStructureProvider
{
    public IReadOnlyList<Layout> Layouts { get; } =
    [new("fake-v1/entry", 64, "nowhere", [LayoutField.Value(new Field(63, 0, "ALL"), "everything")])];
}

/// <summary>Only a host can make it.</summary>
[method: ImportingConstructor]
[PasidTableFormat("fake-v1")]
public sealed class FormatWithImports(IPageTableFormat pages) : IPasidTableFormat
{
    public string Name => pages.Name;

    public OpResult<IPasidTable> Create(IPhysicalMemory memory, int pasidBits, IPasidTableSync sync) =>
        OpResult<IPasidTable>.Refuse(Errno.ENOMEM, "none");
}

/// <summary>Hardware that has only a name.</summary>
internal sealed class NamedBackEnd(string name) : IHardwareBackEnd
{
    public string Name => name;
    public string Architecture => "fake-v1";
    public string PageTables => string.Empty;
    public string Limits => string.Empty;

    public OpResult<ITestHardware> Start(HardwareSetup setup) =>
        OpResult<ITestHardware>.Refuse(Errno.EOPNOTSUPP, "never");
}
