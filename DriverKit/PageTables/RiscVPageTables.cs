// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.DriverKit.PageTables;

/// <summary>
/// Sv39, Sv48 and Sv57 (RISC-V privileged architecture 20240411, sections 10.4 to 10.6), which the first stage of a
/// RISC-V IOMMU walks. Pages of 4 KiB and of every level above. A and D are set beforehand.
/// </summary>
public static class RiscVPageTables
{
    private const ulong Valid = 1;
    private const ulong Read = 1 << 1;
    private const ulong Write = 1 << 2;
    private const ulong Execute = 1 << 3;
    private const ulong User = 1 << 4;
    private const ulong Accessed = 1 << 6;
    private const ulong Dirty = 1 << 7;
    public static RadixFormat Sv39 { get; } = Make("riscv-sv39", 3);
    public static RadixFormat Sv48 { get; } = Make("riscv-sv48", 4);
    public static RadixFormat Sv57 { get; } = Make("riscv-sv57", 5);

    // A page that can be written and not read is a reserved encoding, so a write needs both.
    private static RadixFormat Make(string name, int levels) => new()
    {
        Name = name,
        Levels = levels,
        AddressBits = 11 + (9 * levels), // the lower canonical half
        LeafLevels = (1u << (levels + 1)) - 2,
        AddressMask = ((1UL << 44) - 1) << 10,
        AddressShift = 2,
        PresentBits = Valid,
        PageBits = Read | Write | Execute,
        BlockBits = Read | Write | Execute,
        AccessedBits = Accessed,
        LeafRights = new(Read, Read | Write, User),
        TableValue = Valid,
        PageValue = Valid | Read | User | Accessed,
        BlockValue = Valid | Read | User | Accessed,
        WritableValue = Write | Dirty,
    };
}
