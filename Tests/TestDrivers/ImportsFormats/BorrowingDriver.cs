// SPDX-License-Identifier: Apache-2.0
using System.Composition;
using Microsoft.Extensions.Logging;

namespace PasidFramework.TestDrivers;

/// <summary>A driver that takes table formats from other plug-ins, and services from the host.</summary>
[PasidDriver("borrowing", "good-table", 20)]
[method: ImportingConstructor]
public sealed class BorrowingDriver([Import("good-table")] IPasidTableFormat required, ILoggerFactory logs,
    TimeProvider time)
    : IPasidDriver
{
    private readonly HiddenDriver _driver = new();
    public IPasidTableFormat Required => required;

    [Import("good-table", AllowDefault = true)]
    public IPasidTableFormat? Optional { get; set; }

    [Import("absent-format", AllowDefault = true)]
    public IPasidTableFormat? Absent { get; set; }

    [Import(PageTableFormatAttribute.ImportPrefix + "test", AllowDefault = true)]
    public IPageTableFormat? Pages { get; set; }

    [Import(PageTableFormatAttribute.ImportPrefix + "x86-64", AllowDefault = true)]
    public IPageTableFormat? CpuPages { get; set; }

    [Import(PageTableFormatAttribute.ImportPrefix + "absent", AllowDefault = true)]
    public IPageTableFormat? AbsentPages { get; set; }

    [Import(TableReaderAttribute.ImportPrefix + "test", AllowDefault = true)]
    public ITableReader? Reader { get; set; }

    [Import(TableReaderAttribute.ImportPrefix + "absent", AllowDefault = true)]
    public ITableReader? AbsentReader { get; set; }
    public ILoggerFactory Logs => logs;
    public TimeProvider Time => time;

    public Hardware.IIommuHardware CreateHardware(Hardware.IPhysicalMemory memory, HardwareSetup setup) =>
        _driver.CreateHardware(memory, setup);

    public OpResult<IIommuUnit> CreateUnit(UnitSetup setup) => _driver.CreateUnit(setup);
    private sealed class HiddenDriver : MinimalDriver;
}
