// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.PageTables;

/// <summary>Entry of a stage 1 page table.</summary>
public static class ArmStage1Entry
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

    /// <summary>APTable[0]: takes EL0's access away from all below a table.</summary>
    public static Field APTable0 => new(61, 61, "APTable");

    /// <summary>APTable[1]: takes writes away from all below a table.</summary>
    public static Field APTable1 => new(62, 62, "APTable");
    public static Field NSTable => new(63, 63, "NSTable");

    public static readonly Layout Layout = new(
        "arm-smmuv3/s1_pte",
        64,
        ArmEntries.Source,
        [
            ArmEntries.TypeField(Type),
            LayoutField.Value(AttrIndx, "which of MAIR's eight attributes"),
            LayoutField.Value(NS, "non-secure output address"),
            LayoutField.Value(AP1, "EL0 may access"),
            LayoutField.Value(AP2, "read only"),
            ArmEntries.Shareability(SH),
            LayoutField.Value(AF, "accessed; 0 faults unless hardware updates it"),
            LayoutField.Value(NG, "not global: tagged with the ASID"),
            LayoutField.Address(Address, "next table, block or page"),
            ArmEntries.Upper(),
            LayoutField.Value(DBM, "dirty state is updated by hardware"),
            ArmEntries.Contiguous(),
            LayoutField.Value(PXN, "EL1 may not execute"),
            LayoutField.Value(UXN, "EL0 may not execute"),
            LayoutField.Ignored(62, 55, "for software; of tables PXNTable, UXNTable and APTable"),
            LayoutField.Value(NSTable, "non-secure table"),
        ],
        ArmEntries.Check);
}
