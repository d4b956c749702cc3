// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.PageTables;

/// <summary>Second-stage page table entry. Intel VT-d, D51397-018 (rev 5.10), section 9.8.</summary>
/// <remarks>
/// Not present is R = W = 0. An entry does not say its level nor the host address width (HAW): SNP is reserved where
/// the entry is no leaf, ADDR from HAW upwards; that is a walker's to check.
/// </remarks>
public static class VtdSecondStageEntry
{
    public const int SizeBytes = 8;

    public static readonly Layout Layout = new(
        "intel-vtd/ss_pte",
        64,
        "Intel VT-d D51397-018 (rev 5.10), section 9.8",
        [
            LayoutField.Value(R, "reads allowed"),
            LayoutField.Value(W, "writes allowed"),
            LayoutField.Ignored(2, 2),
            LayoutField.Value(EMT, "extended memory type (leaf; PASID entry EMTE)"),
            LayoutField.Value(IPAT, "ignore PAT (leaf)"),
            LayoutField.Value(PS, "a leaf above the lowest level"),
            LayoutField.Value(A, "accessed"),
            LayoutField.Value(D, "dirty (PASID entry SSADE)"),
            LayoutField.Ignored(10, 10),
            LayoutField.Value(SNP, "snoop; only in a leaf, else reserved"),
            LayoutField.Address(ADDR, "page or next table; bits from the host address width are reserved"),
            LayoutField.Ignored(60, 52),
            LayoutField.Value(IR, "reads by devices allowed (root table address SSIRWE, rev 5.x; else ignored)"),
            LayoutField.Value(IW, "writes by devices allowed (root table address SSIRWE, rev 5.x; else ignored)"),
            LayoutField.Ignored(63, 63),
        ]);

    public static Field R => new(0, 0, "R");
    public static Field W => new(1, 1, "W");
    public static Field EMT => new(5, 3, "EMT");
    public static Field IPAT => new(6, 6, "IPAT");
    public static Field PS => new(7, 7, "PS");
    public static Field A => new(8, 8, "A");
    public static Field D => new(9, 9, "D");
    public static Field SNP => new(11, 11, "SNP");
    public static Field ADDR => new(51, 12, "ADDR");
    public static Field IR => new(61, 61, "IR");
    public static Field IW => new(62, 62, "IW");
}
