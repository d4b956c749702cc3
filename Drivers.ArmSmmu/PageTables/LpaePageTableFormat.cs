using PasidFramework.Contracts;
using PasidFramework.Hardware;
using PasidFramework.Results;

namespace PasidFramework.Drivers.ArmSmmu.PageTables;

/// <summary>
/// The stage 1 page tables of an AArch64 process: 4 KiB granule, 48 bits of address in four levels (T0SZ 16), as the
/// driver's context descriptors announce them (Arm DDI 0487 D8.3, Arm IHI 0070 3.4).
/// </summary>
[PageTableFormat(FormatName)]
internal sealed class LpaePageTableFormat : IPageTableFormat
{
    /// <summary>The format's name.</summary>
    public const string FormatName = "arm-lpae-4k";

    /// <inheritdoc/>
    public string Name => FormatName;

    /// <inheritdoc/>
    public int AddressBits => LpaePageTable.AddressBits;

    /// <inheritdoc/>
    public OpResult<IPageTable> Create(IPhysicalMemory memory)
    {
        ArgumentNullException.ThrowIfNull(memory);
        OpResult<LpaePageTable> table = LpaePageTable.Create(memory);
        return table.IsOk ? OpResult<IPageTable>.Ok(table.Value) : OpResult<IPageTable>.Refuse(table.Outcome);
    }

    /// <inheritdoc/>
    /// <remarks>Of pages that EL0 may access and that are marked as accessed: the driver asks for no hardware update of
    /// access flags, so any other page faults.</remarks>
    public IEnumerable<PageMapping> Mappings(IMemoryReader memory, ulong root, ulong start, ulong last)
    {
        ArgumentNullException.ThrowIfNull(memory);
        return LpaePageTable.Mappings(memory, root, start, last);
    }
}
