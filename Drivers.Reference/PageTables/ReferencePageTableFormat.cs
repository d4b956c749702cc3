using PasidFramework.Contracts;
using PasidFramework.Drivers.Reference.Formats;
using PasidFramework.Drivers.Reference.Tables;
using PasidFramework.Hardware;
using PasidFramework.Results;

namespace PasidFramework.Drivers.Reference.PageTables;

/// <summary>The page tables that the reference IOMMU walks: four levels, pages of 4 KiB. Reference architecture,
/// section 3.4.</summary>
[PageTableFormat(FormatName)]
public sealed class ReferencePageTableFormat : IPageTableFormat
{
    internal const string FormatName = "reference-4k";

    /// <inheritdoc/>
    public string Name => FormatName;

    /// <summary>48 bits, all of them: there is no upper half.</summary>
    public int AddressBits => PageTableEntry.AddressBits;

    /// <inheritdoc/>
    public OpResult<IPageTable> Create(IPhysicalMemory memory)
    {
        ArgumentNullException.ThrowIfNull(memory);
        OpResult<ulong> root = memory.AllocatePages(PageTableEntry.TableBytes);
        if (!root.IsOk)
        {
            return OpResult<IPageTable>.Refuse(root.Outcome);
        }

        memory.Publish(root.Value, PageTableEntry.TableBytes);
        return OpResult<IPageTable>.Ok(new ReferencePageTable(memory, root.Value));
    }
}
