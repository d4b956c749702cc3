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
        "intel-vtd/ss_pte", 64, "Intel VT-d D51397-018 (rev 5.10), section 9.8", [
            R, W, Ignored(2, 2), EMT, IPAT, PS, A, D, Ignored(10, 10), SNP, Address(ADDR), Ignored(60, 52), IR, IW,
            Ignored(63, 63),
        ]);

    public static Field R => new(0, 0, "R", "reads allowed");
    public static Field W => new(1, 1, "W", "writes allowed");
    public static Field EMT => new(5, 3, "EMT", "extended memory type (leaf; PASID entry EMTE)");
    public static Field IPAT => new(6, 6, "IPAT", "ignore PAT (leaf)");
    public static Field PS => new(7, 7, "PS", "a leaf above the lowest level");
    public static Field A => new(8, 8, "A", "accessed");
    public static Field D => new(9, 9, "D", "dirty (PASID entry SSADE)");
    public static Field SNP => new(11, 11, "SNP", "snoop; only in a leaf, else reserved");
    public static Field ADDR =>
        new(51, 12, "ADDR", "page or next table; bits from the host address width are reserved");
    public static Field IR =>
        new(61, 61, "IR", "reads by devices allowed (root table address SSIRWE, rev 5.x; else ignored)");
    public static Field IW =>
        new(62, 62, "IW", "writes by devices allowed (root table address SSIRWE, rev 5.x; else ignored)");
}
