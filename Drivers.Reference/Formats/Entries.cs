// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.Reference.Formats;

/// <summary>One entry per requester, index = requester ID. Reference architecture, section 3.1.</summary>
internal static class DeviceEntry
{
    public const int SizeBytes = 8;

    public static readonly Layout Layout = new("reference/device_entry", 64, "Reference architecture, section 3.1", [
        V, ATS, WIDTH, Reserved(11, 7), Address(TABLE), Reserved(63, 52),
    ], CheckWidth);

    public static Field V => new(0, 0, "V", "valid");
    public static Field ATS => new(1, 1, "ATS", "the device may ask for translations and keep them");
    public static Field WIDTH => new(6, 2, "WIDTH", "PASID width of the table in bits, 1 to 20");
    public static Field TABLE => new(51, 12, "TABLE", "PASID table: the directory");

    private static void CheckWidth(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        if (words[0].Has(V) && words[0].Get(WIDTH) is < 1 or > Pasid.MaxBits)
        {
            found.Add(WIDTH, $"is {words[0].Get(WIDTH)}, must be 1 to {Pasid.MaxBits}");
        }
    }
}

/// <summary>PASID directory entry, index = PASID[19:8]. Reference architecture, section 3.2.</summary>
internal static class DirectoryEntry
{
    public const int SizeBytes = 8;

    public static readonly Layout Layout = new("reference/directory_entry", 64, "Reference architecture, section 3.2", [
        V, Reserved(11, 1), Address(LEAF), Reserved(63, 52),
    ]);

    public static Field V => new(0, 0, "V", "valid");
    public static Field LEAF => new(51, 12, "LEAF", "leaf of 256 PASID entries, 4 KiB");
}

/// <summary>PASID entry, index in its leaf = PASID[7:0]. Reference architecture, section 3.3.</summary>
internal static class PasidEntry
{
    public const int Words = 2;
    public const int SizeBytes = 16;
    public const int IndexBits = 8;
    public const int LeafBytes = SizeBytes << IndexBits;

    public static readonly Layout Layout = new("reference/pasid_entry", 128, "Reference architecture, section 3.3", [
        V, Q, Reserved(11, 2), Address(ROOT), Reserved(63, 52), ASID, Reserved(127, 80),
    ]);

    public static Field V => new(0, 0, "V", "valid");
    public static Field Q => new(1, 1, "Q", "quiet: abort every access and record nothing");
    public static Field ROOT => new(51, 12, "ROOT", "the process's top page table; ignored where Q = 1");
    public static Field ASID => new(79, 64, "ASID", "tag of the process's translations; ignored where Q = 1");
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
        "reference/page_table_entry", 64, "Reference architecture, section 3.4", [
            P, W, Reserved(11, 2), Address(TARGET), Reserved(63, 52),
        ]);

    public static Field P => new(0, 0, "P", "present");
    public static Field W => new(1, 1, "W", "writes allowed, on this level; all levels must allow them");
    public static Field TARGET => new(51, 12, "TARGET", "next table, or on level 1 the page");
}
