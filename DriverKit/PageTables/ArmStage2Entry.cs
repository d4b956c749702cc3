// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.PageTables;

/// <summary>Entry of a stage 2 page table.</summary>
public static class ArmStage2Entry
{
    public static Field Type => new(1, 0, "type");
    public static Field MemAttr => new(5, 2, "MemAttr", "memory attribute");
    public static Field S2AP => new(7, 6, "S2AP", "access");
    public static Field SH => new(9, 8, "SH");
    public static Field AF => new(10, 10, "AF", "accessed; 0 faults unless hardware updates it");
    public static Field Address => new(47, 12, "address", "next table, block or page");
    public static Field DBM => new(51, 51, "DBM", "dirty state is updated by hardware");
    public static Field XN => new(54, 54, "XN", "no execution");

    public static readonly Layout Layout = new("arm-smmuv3/s2_pte", 64, ArmEntries.Source, [
        ArmEntries.TypeField(Type), MemAttr,
        Value(S2AP, (0, "none"), (1, "read"), (2, "write"), (3, "read and write")),
        ArmEntries.Shareability(SH), AF, Ignored(11, 11), LayoutField.Address(Address),
        ArmEntries.Upper(), DBM, ArmEntries.Contiguous(), Ignored(53, 53, "with IDR3.XNX the lower bit of XN"), XN,
        Ignored(63, 55, "for software"),
    ], ArmEntries.Check);
}
