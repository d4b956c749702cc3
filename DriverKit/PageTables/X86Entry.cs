// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.PageTables;

/// <summary>First-stage page table entry, the x86-64 format. Intel VT-d, D51397-018 (rev 5.10), section 9.7.</summary>
/// <remarks>
/// An entry does not say its level nor the host address width (HAW). What depends on them is a walker's to check: PS is
/// reserved in the two top levels, ADDR from HAW upwards, and bit 12 of a large page's ADDR is its PAT bit. There is no
/// execute-disable bit in rev 5.10.
/// </remarks>
public static class X86Entry
{
    public const int SizeBytes = 8;

    public static readonly Layout Layout = new(
        "intel-vtd/fs_pte", 64, "Intel VT-d D51397-018 (rev 5.10), section 9.7", [
            P, RW, US, PWT, PCD, A, D, PS, G, Ignored(9, 9), EA, Ignored(11, 11), Address(ADDR), Ignored(63, 52),
        ]);

    public static Field P => new(0, 0, "P", "present");
    public static Field RW => new(1, 1, "R/W", "writes allowed");
    public static Field US => new(2, 2, "U/S", "user requests allowed");
    public static Field PWT => new(3, 3, "PWT", "page-level write-through");
    public static Field PCD => new(4, 4, "PCD", "page-level cache disable");
    public static Field A => new(5, 5, "A", "accessed");
    public static Field D => new(6, 6, "D", "dirty (leaf)");
    public static Field PS => new(7, 7, "PS", "a leaf at the 1 GiB or 2 MiB level; reserved in the two top levels");
    public static Field G => new(8, 8, "G", "global; ignored");
    public static Field EA => new(10, 10, "EA", "extended accessed (PASID entry EAFE)");
    public static Field ADDR => new(
        51, 12, "ADDR",
        "page or next table; bits from the host address width are reserved; bit 12 is PAT in a large page");
}
