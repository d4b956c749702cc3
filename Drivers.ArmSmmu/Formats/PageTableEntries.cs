// Page table entries that the SMMU walks: the VMSAv8-64 long descriptors of Arm DDI 0487 D8.3, which Arm IHI 0070 3.4
// takes over; 64 bits each. The same bits are declared for tables, blocks and pages: which one an entry with type 3 is
// depends on its level, which the entry does not say. Bits 15:12 hold address bits 51:48 with 64 KiB granules.
using System.Globalization;
using PasidFramework.Records;

namespace PasidFramework.Drivers.ArmSmmu.Formats;

/// <summary>Entry of a stage 1 page table.</summary>
internal static class Stage1PageTableEntry
{
    /// <summary>type: a block, above the last level.</summary>
    public const ulong TypeBlock = 1;

    /// <summary>type: a table, or a page at the last level.</summary>
    public const ulong TypeTableOrPage = 3;

    public static Field Type => new(1, 0, "type");

    public static Field AttrIndx => new(4, 2, "AttrIndx");

    public static Field NS => new(5, 5, "NS");

    public static Field AP1 => new(6, 6, "AP1");

    public static Field AP2 => new(7, 7, "AP2");

    public static Field SH => new(9, 8, "SH");

    public static Field AF => new(10, 10, "AF");

    public static Field NG => new(11, 11, "nG");

    public static Field Address => new(47, 12, "address");

    public static Field DBM => new(51, 51, "DBM");

    public static Field PXN => new(53, 53, "PXN");

    public static Field UXN => new(54, 54, "UXN");

    public static Field NSTable => new(63, 63, "NSTable");

    public static readonly Layout Layout = new(
        "arm-smmuv3/s1_pte",
        64,
        PageTableEntries.Source,
        [
            PageTableEntries.TypeField(Type),
            LayoutField.Value(AttrIndx, "which of MAIR's eight attributes"),
            LayoutField.Value(NS, "non-secure output address"),
            LayoutField.Value(AP1, "EL0 may access"),
            LayoutField.Value(AP2, "read only"),
            PageTableEntries.Shareability(SH),
            LayoutField.Value(AF, "accessed; 0 faults unless hardware updates it"),
            LayoutField.Value(NG, "not global: tagged with the ASID"),
            LayoutField.Address(Address, "next table, block or page"),
            PageTableEntries.Upper(),
            LayoutField.Value(DBM, "dirty state is updated by hardware"),
            PageTableEntries.Contiguous(),
            LayoutField.Value(PXN, "EL1 may not execute"),
            LayoutField.Value(UXN, "EL0 may not execute"),
            LayoutField.Ignored(62, 55, "for software; of tables PXNTable, UXNTable and APTable"),
            LayoutField.Value(NSTable, "non-secure table"),
        ],
        PageTableEntries.Check);
}

/// <summary>Entry of a stage 2 page table.</summary>
internal static class Stage2PageTableEntry
{
    public static Field Type => new(1, 0, "type");

    public static Field MemAttr => new(5, 2, "MemAttr");

    public static Field S2AP => new(7, 6, "S2AP");

    public static Field SH => new(9, 8, "SH");

    public static Field AF => new(10, 10, "AF");

    public static Field Address => new(47, 12, "address");

    public static Field DBM => new(51, 51, "DBM");

    public static Field XN => new(54, 54, "XN");

    public static readonly Layout Layout = new(
        "arm-smmuv3/s2_pte",
        64,
        PageTableEntries.Source,
        [
            PageTableEntries.TypeField(Type),
            LayoutField.Value(MemAttr, "memory attribute"),
            LayoutField.Value(S2AP, "access", (0, "none"), (1, "read"), (2, "write"), (3, "read and write")),
            PageTableEntries.Shareability(SH),
            LayoutField.Value(AF, "accessed; 0 faults unless hardware updates it"),
            LayoutField.Ignored(11, 11),
            LayoutField.Address(Address, "next table, block or page"),
            PageTableEntries.Upper(),
            LayoutField.Value(DBM, "dirty state is updated by hardware"),
            PageTableEntries.Contiguous(),
            LayoutField.Ignored(53, 53, "with IDR3.XNX the lower bit of XN"),
            LayoutField.Value(XN, "no execution"),
            LayoutField.Ignored(63, 55, "for software"),
        ],
        PageTableEntries.Check);
}

/// <summary>What entries of both stages have in common.</summary>
internal static class PageTableEntries
{
    public const string Source = "Arm IHI 0070 3.4, Arm DDI 0487 D8.3";

    // Same positions in both stages.
    private static Field HighReserved => new(49, 48, "RSVD");

    private static Field BlockReserved => new(20, 17, "RSVD");

    public static LayoutField TypeField(Field type) => LayoutField.Value(
        type,
        "what the entry is",
        (0, "not present"),
        (Stage1PageTableEntry.TypeBlock, "block"),
        (2, "not present"),
        (Stage1PageTableEntry.TypeTableOrPage, "table, or page at the last level"));

    public static LayoutField Shareability(Field field) => LayoutField.Value(
        field, "shareability", (0, "non"), (1, "reserved"), (2, "outer"), (3, "inner"));

    /// <summary>
    /// Reserved in entries that are present (see <see cref="Check"/>): what is not present is software's own.
    /// </summary>
    public static LayoutField Upper() => LayoutField.Ignored(50, 48, "49:48 are 0 in an entry that is present");

    public static LayoutField Contiguous() => LayoutField.Ignored(52, 52, "hint that neighbours continue the mapping");

    /// <summary>
    /// What no entry that is present may have. Everything else of an entry whose bit 0 is 0 is not looked at, and
    /// SH of type 3 counts only at the last level.
    /// </summary>
    public static void Check(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        ulong type = words.Get(Stage1PageTableEntry.Type);
        if ((type & 1) == 0)
        {
            return;
        }

        MustBeZero(words, HighReserved, "without 52-bit descriptors", found);
        if (type != Stage1PageTableEntry.TypeBlock)
        {
            return;
        }

        if (words.Get(Stage1PageTableEntry.SH) == 1)
        {
            found.Add(new Violation(Stage1PageTableEntry.SH.Mnemonic, "is 1, a reserved encoding (DDI 0487 D8.3)"));
        }

        // The smallest block of all granules is 2 MiB; bits 15:12 may hold high address bits and 16 is nT.
        MustBeZero(words, BlockReserved, "in a block, the smallest of which is 2 MiB", found);
    }

    private static void MustBeZero(
        ReadOnlySpan<ulong> words, Field field, string where, ICollection<Violation> found)
    {
        ulong value = words.Get(field);
        if (value != 0)
        {
            found.Add(new Violation(field.ToString(), string.Create(
                CultureInfo.InvariantCulture, $"is 0x{value:x}, must be 0 {where} (DDI 0487 D8.3)")));
        }
    }
}
