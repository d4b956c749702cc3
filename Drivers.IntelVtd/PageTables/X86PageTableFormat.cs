using PasidFramework.Contracts;
using PasidFramework.Hardware;
using PasidFramework.Results;

namespace PasidFramework.Drivers.IntelVtd.PageTables;

/// <summary>
/// First-stage page tables of four levels: the x86-64 format that a process's CPU uses too. Intel VT-d, D51397-018
/// (rev 5.10), section 9.7.
/// </summary>
[PageTableFormat(FormatName)]
public sealed class X86PageTableFormat : IPageTableFormat
{
    /// <summary>The format's name.</summary>
    public const string FormatName = "x86-64";

    /// <inheritdoc/>
    public string Name => FormatName;

    /// <summary>47 bits: the lower canonical half of a 48-bit address.</summary>
    public int AddressBits => X86PageTable.AddressBits;

    /// <inheritdoc/>
    public OpResult<IPageTable> Create(IPhysicalMemory memory)
    {
        ArgumentNullException.ThrowIfNull(memory);
        OpResult<ulong> root = memory.AllocatePages(X86PageTable.TableBytes);
        if (!root.IsOk)
        {
            return OpResult<IPageTable>.Refuse(root.Outcome);
        }

        memory.Flush(root.Value, X86PageTable.TableBytes);
        memory.StoreBarrier();
        return OpResult<IPageTable>.Ok(new X86PageTable(memory, root.Value));
    }

    /// <inheritdoc/>
    /// <remarks>Of user pages only: a device's requests are unprivileged.</remarks>
    public IEnumerable<PageMapping> Mappings(IMemoryReader memory, ulong root, ulong start, ulong last)
    {
        ArgumentNullException.ThrowIfNull(memory);
        return X86PageTable.Mappings(memory, root, start, last);
    }
}
