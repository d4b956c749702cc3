using System.Composition;
using PasidFramework.Hardware;

namespace PasidFramework.Tables;

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

    /// <summary>Makes an empty page table.</summary>
    /// <param name="memory">Where.</param>
    /// <returns>The table; ENOMEM.</returns>
    OpResult<IPageTable> Create(IPhysicalMemory memory);
}

/// <summary>One page table.</summary>
/// <remarks>It sends no invalidations: who changes a mapping tells the IOMMU afterwards. Not safe for concurrent
/// use.</remarks>
public interface IPageTable : IDisposable
{
    /// <summary>Byte address of the top table.</summary>
    ulong Root { get; }

    /// <summary>Maps one page of 4096 bytes, or changes its mapping.</summary>
    /// <param name="address">Virtual byte address, a multiple of 4096.</param>
    /// <param name="target">Physical byte address, a multiple of 4096.</param>
    /// <param name="writable">Whether devices may write.</param>
    /// <returns>Success; ENOMEM (a table); EINVAL (misaligned or out of range).</returns>
    OpResult Map(ulong address, ulong target, bool writable);

    /// <summary>Takes one page's mapping away.</summary>
    /// <param name="address">Virtual byte address, a multiple of 4096.</param>
    /// <returns>Success, whether or not it was mapped; EINVAL (misaligned or out of range).</returns>
    OpResult Unmap(ulong address);
}

/// <summary>Exports a page table format.</summary>
[MetadataAttribute]
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
public sealed class PageTableFormatAttribute : ExportAttribute
{
    /// <summary>Describes the export.</summary>
    /// <param name="name">Name of the format, such as <c>x86-64</c>.</param>
    public PageTableFormatAttribute(string name)
        : base(typeof(IPageTableFormat)) => Name = name;

    /// <summary>Name of the format.</summary>
    public string Name { get; }
}
