// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Identifiers;
using PasidFramework.Records;

namespace PasidFramework.Drivers.Reference.Formats;

/// <summary>One entry per requester, index = requester ID. Reference architecture, section 3.1.</summary>
internal static class DeviceEntry
{
    public const int SizeBytes = 8;

    public static readonly Layout Layout = new(
        "reference/device_entry",
        64,
        "Reference architecture, section 3.1",
        [
            LayoutField.Value(V, "valid"),
            LayoutField.Value(ATS, "the device may ask for translations and keep them"),
            LayoutField.Value(WIDTH, "PASID width of the table in bits, 1 to 20"),
            LayoutField.Reserved(11, 7),
            LayoutField.Address(TABLE, "PASID table: the directory"),
            LayoutField.Reserved(63, 52),
        ],
        CheckWidth);

    public static Field V => new(0, 0, "V");
    public static Field ATS => new(1, 1, "ATS");
    public static Field WIDTH => new(6, 2, "WIDTH");
    public static Field TABLE => new(51, 12, "TABLE");

    private static void CheckWidth(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        if (words[0].Has(V) && words[0].Get(WIDTH) is < 1 or > Pasid.MaxBits)
        {
            found.Add(new Violation("WIDTH", Text($"is {words[0].Get(WIDTH)}, must be 1 to {Pasid.MaxBits}")));
        }
    }
}

/// <summary>PASID directory entry, index = PASID[19:8]. Reference architecture, section 3.2.</summary>
internal static class DirectoryEntry
{
    public const int SizeBytes = 8;

    public static readonly Layout Layout = new(
        "reference/directory_entry",
        64,
        "Reference architecture, section 3.2",
        [
            LayoutField.Value(V, "valid"),
            LayoutField.Reserved(11, 1),
            LayoutField.Address(LEAF, "leaf of 256 PASID entries, 4 KiB"),
            LayoutField.Reserved(63, 52),
        ]);

    public static Field V => new(0, 0, "V");
    public static Field LEAF => new(51, 12, "LEAF");
}

/// <summary>PASID entry, index in its leaf = PASID[7:0]. Reference architecture, section 3.3.</summary>
internal static class PasidEntry
{
    public const int Words = 2;
    public const int SizeBytes = 16;
    public const int IndexBits = 8;
    public const int LeafBytes = SizeBytes << IndexBits;

    public static readonly Layout Layout = new(
        "reference/pasid_entry",
        128,
        "Reference architecture, section 3.3",
        [
            LayoutField.Value(V, "valid"),
            LayoutField.Value(Q, "quiet: abort every access and record nothing"),
            LayoutField.Reserved(11, 2),
            LayoutField.Address(ROOT, "the process's top page table; ignored where Q = 1"),
            LayoutField.Reserved(63, 52),
            LayoutField.Value(ASID, "tag of the process's translations; ignored where Q = 1"),
            LayoutField.Reserved(127, 80),
        ]);

    public static Field V => new(0, 0, "V");
    public static Field Q => new(1, 1, "Q");
    public static Field ROOT => new(51, 12, "ROOT");
    public static Field ASID => new(79, 64, "ASID");
}

/// <summary>
/// Entry of a page table, on each of its four levels: the format <c>reference-4k</c>. Reference architecture, section
/// 3.4.
/// </summary>
internal static class PageTableEntry
{
    public const int PageShift = 12;
    public const int TableBytes = 4096;

    public static readonly Layout Layout = new(
        "reference/page_table_entry",
        64,
        "Reference architecture, section 3.4",
        [
            LayoutField.Value(P, "present"),
            LayoutField.Value(W, "writes allowed, on this level; all levels must allow them"),
            LayoutField.Reserved(11, 2),
            LayoutField.Address(TARGET, "next table, or on level 1 the page"),
            LayoutField.Reserved(63, 52),
        ]);

    public static Field P => new(0, 0, "P");
    public static Field W => new(1, 1, "W");
    public static Field TARGET => new(51, 12, "TARGET");
}
