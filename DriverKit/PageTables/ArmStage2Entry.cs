// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.PageTables;

/// <summary>Entry of a stage 2 page table.</summary>
public static class ArmStage2Entry
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
        ArmEntries.Source,
        [
            ArmEntries.TypeField(Type),
            LayoutField.Value(MemAttr, "memory attribute"),
            LayoutField.Value(S2AP, "access", (0, "none"), (1, "read"), (2, "write"), (3, "read and write")),
            ArmEntries.Shareability(SH),
            LayoutField.Value(AF, "accessed; 0 faults unless hardware updates it"),
            LayoutField.Ignored(11, 11),
            LayoutField.Address(Address, "next table, block or page"),
            ArmEntries.Upper(),
            LayoutField.Value(DBM, "dirty state is updated by hardware"),
            ArmEntries.Contiguous(),
            LayoutField.Ignored(53, 53, "with IDR3.XNX the lower bit of XN"),
            LayoutField.Value(XN, "no execution"),
            LayoutField.Ignored(63, 55, "for software"),
        ],
        ArmEntries.Check);
}
