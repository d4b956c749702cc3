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
    public static Field AttrIndx => new(4, 2, "AttrIndx", "which of MAIR's eight attributes");
    public static Field NS => new(5, 5, "NS", "non-secure output address");
    public static Field AP1 => new(6, 6, "AP1", "EL0 may access");
    public static Field AP2 => new(7, 7, "AP2", "read only");
    public static Field SH => new(9, 8, "SH");
    public static Field AF => new(10, 10, "AF", "accessed; 0 faults unless hardware updates it");
    public static Field NG => new(11, 11, "nG", "not global: tagged with the ASID");
    public static Field Address => new(47, 12, "address", "next table, block or page");
    public static Field DBM => new(51, 51, "DBM", "dirty state is updated by hardware");
    public static Field PXN => new(53, 53, "PXN", "EL1 may not execute");
    public static Field UXN => new(54, 54, "UXN", "EL0 may not execute");

    /// <summary>APTable[0]: takes EL0's access away from all below a table.</summary>
    public static Field APTable0 => new(61, 61, "APTable");

    /// <summary>APTable[1]: takes writes away from all below a table.</summary>
    public static Field APTable1 => new(62, 62, "APTable");
    public static Field NSTable => new(63, 63, "NSTable", "non-secure table");

    public static readonly Layout Layout = new("arm-smmuv3/s1_pte", 64, ArmEntries.Source, [
        ArmEntries.TypeField(Type), AttrIndx, NS, AP1, AP2, ArmEntries.Shareability(SH), AF, NG,
        LayoutField.Address(Address),
        ArmEntries.Upper(), DBM, ArmEntries.Contiguous(), PXN, UXN,
        Ignored(62, 55, "for software; of tables PXNTable, UXNTable and APTable"), NSTable,
    ], ArmEntries.Check);
}
