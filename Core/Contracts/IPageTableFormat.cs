// SPDX-License-Identifier: Apache-2.0
using System.Composition;

namespace PasidFramework.Contracts;

/// <summary>
/// The page tables that a process has on one architecture: what the operating system writes and the IOMMU walks. Export
/// it with <see cref="PageTableFormatAttribute"/>.
/// </summary>
public interface IPageTableFormat
{
    /// <summary>Name of the format, such as <c>x86-64</c> or <c>arm-lpae-4k</c>.</summary>
    string Name { get; }

    /// <summary>Width of a virtual address of the lower half in bits: the last address is 2^width - 1.</summary>
    int AddressBits { get; }

    /// <summary>Sizes of a page in bytes, ascending; the first is what <see cref="IPageTable.Map(ulong, ulong, bool)"/>
    /// maps.</summary>
    IReadOnlyList<ulong> PageSizes => [4096];

    /// <summary>Makes an empty page table.</summary>
    /// <param name="memory">Where.</param>
    /// <returns>The table; ENOMEM.</returns>
    OpResult<IPageTable> Create(IPhysicalMemory memory);

    /// <summary>
    /// What a page table maps for unprivileged accesses, read from memory as the CPU sees it: for hardware that does
    /// not walk page tables and has to be sent every page.
    /// </summary>
    /// <param name="memory">Where the table is. Its content is not trusted: the walk has a fixed depth, reads nothing
    /// that is not memory, and is as long as the table says, so that the caller of an enumeration sets a limit.</param>
    /// <param name="root">Byte address of the top table.</param>
    /// <param name="start">First byte of the range.</param>
    /// <param name="last">Last byte of the range.</param>
    /// <returns>The pages that overlap the range, by ascending address, large ones split into pages of 4096 bytes; read
    /// as they are enumerated. Null from a format that cannot be read back.</returns>
    IEnumerable<PageMapping>? Mappings(IMemoryReader memory, ulong root, ulong start, ulong last) => null;
}

[MetadataAttribute]
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
public sealed class PageTableFormatAttribute(string name) : ExportAttribute(typeof(IPageTableFormat))
{
    /// <summary>
    /// What stands before a format's name in the contract name by which a plug-in imports an
    /// <see cref="IPageTableFormat"/> of another one: <c>[Import("page-table/x86-64", AllowDefault = true)]</c>.
    /// </summary>
    public const string ImportPrefix = "page-table/";

    /// <summary>Name of the format, such as <c>x86-64</c>.</summary>
    public string Name { get; } = name;
}
