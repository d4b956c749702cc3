// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Formats;

/// <summary>
/// Scalable-mode PASID table entry, index PASID[5:0]. Intel VT-d, D51397-018 (rev 5.10), section 9.6.
/// </summary>
/// <remarks>
/// Bits 5, 129, 133 and 134 had a meaning in revisions 3.x (SLEE, ERE, NXE, SMEP); they are written as 0. A field whose
/// capability bit is 0 is reserved too; that depends on the hardware and is checked where its capabilities are known.
/// </remarks>
internal static class PasidEntry
{
    public const int Words = 8;
    public const int SizeBytes = 64;

    /// <summary>A PASID table: 64 entries.</summary>
    public const int TableBytes = 64 * SizeBytes;

    public const ulong FirstStage = 1;
    public const ulong SecondStage = 2;
    public const ulong Nested = 3;
    public const ulong PassThrough = 4;

    public static readonly Layout Layout = new(
        "intel-vtd/pasid_entry", 512, "Intel VT-d D51397-018 (rev 5.10), section 9.6", [
            P, FPD,
            Value(AW, (1, "39-bit, 3-level"), (2, "48-bit, 4-level"), (3, "57-bit, 5-level")),
            Reserved(5, 5),
            Value(PGTT, (1, "first-stage only"), (2, "second-stage only"), (3, "nested"), (4, "pass-through")),
            SSADE, Reserved(11, 10), Address(SSPTPTR), DID, Reserved(86, 80), PWSNP, PGSNP, CD, EMTE, Reserved(95, 91),
            Value(PAT).Reads(Types),
            SRE, Reserved(129, 129),
            Value(FSPM, (0, "4-level"), (1, "5-level")),
            WPE, Ignored(134, 133, "ignored (NXE, SMEP in revisions 3.x)"), EAFE, Reserved(139, 136), Address(FSPTPTR),
            Reserved(255, 192), HPTSZ, HPTPFD, Reserved(267, 259), Address(HPTPTR), HPTDID, Reserved(511, 336),
        ], CheckTypes, CheckNestedRoot, CheckMemoryTypes);

    public static Field P => new(0, 0, "P", "present");
    public static Field FPD => new(1, 1, "FPD", "fault processing disable; used also when P is 0");
    public static Field AW => new(4, 2, "AW", "second-stage address width");
    public static Field PGTT => new(8, 6, "PGTT", "translation type");
    public static Field SSADE => new(9, 9, "SSADE", "second-stage accessed/dirty enable (ECAP.SSADS)");
    public static Field SSPTPTR => new(63, 12, "SSPTPTR", "second-stage page table");
    public static Field DID => new(79, 64, "DID", "domain id; bits beyond CAP.ND are reserved");
    public static Field PWSNP => new(87, 87, "PWSNP", "page walks snoop (ECAP.SMPWCS)");
    public static Field PGSNP => new(88, 88, "PGSNP", "accesses snoop (ECAP.SC)");
    public static Field CD => new(89, 89, "CD", "cache disable (ECAP.MTS)");
    public static Field EMTE => new(90, 90, "EMTE", "extended memory type enable (ECAP.MTS)");
    public static Field PAT => new(127, 96, "PAT", "page attribute table: 8 types of 4 bits, PA0 lowest");
    public static Field SRE => new(128, 128, "SRE", "supervisor requests allowed (ECAP.SRS)");
    public static Field FSPM => new(131, 130, "FSPM", "first-stage paging mode");
    public static Field WPE => new(132, 132, "WPE", "write protect for supervisor requests");
    public static Field EAFE => new(135, 135, "EAFE", "extended accessed flag enable (ECAP.EAFS)");
    public static Field FSPTPTR => new(191, 140, "FSPTPTR", "first-stage page table; a guest address when PGTT = 3");
    public static Field HPTSZ => new(257, 256, "HPTSZ", "hypervisor page table size (rev 5.x, ECAP.HPTS)");
    public static Field HPTPFD => new(258, 258, "HPTPFD", "hypervisor page table fault disable (rev 5.x, ECAP.HPTS)");
    public static Field HPTPTR => new(319, 268, "HPTPTR", "hypervisor page table (rev 5.x, ECAP.HPTS)");
    public static Field HPTDID => new(335, 320, "HPTDID", "hypervisor page table's domain id (rev 5.x, ECAP.HPTS)");

    /// <summary>Whether type, width and mode are ones that exist; what hardware answers with fault 5Bh.</summary>
    internal static void CheckTypes(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        if (words.Get(P) == 0)
        {
            return;
        }

        ulong type = words.Get(PGTT);
        if (type is < FirstStage or > PassThrough)
        {
            found.Add(PGTT, $"is {type}, reserved (1 first-stage, 2 second-stage, 3 nested, 4 pass-through)");
        }

        if (type is SecondStage or Nested && words.Get(AW) is < 1 or > 3)
        {
            found.Add(AW, $"is {words.Get(AW)} with PGTT = {type}, reserved (1 to 3)");
        }

        if (type is FirstStage or Nested && words.Get(FSPM) > 1)
        {
            found.Add(FSPM, $"is {words.Get(FSPM)}, reserved (0 4-level, 1 5-level)");
        }
    }

    // A nested entry's first-stage root is a guest address: the second stage translates 39, 48 or 57 bits. Fault 5Bh.
    private static void CheckNestedRoot(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        if (words.Get(P) == 0 || words.Get(PGTT) != Nested || words.Get(AW) is < 1 or > 3)
        {
            return;
        }

        int bits = 30 + (9 * (int)words.Get(AW));
        if (words.GetAddress(FSPTPTR) >> bits != 0)
        {
            found.Add(
                FSPTPTR, $"is 0x{words.GetAddress(FSPTPTR):x} with PGTT = 3, AW = {words.Get(AW)} allows {bits} bits");
        }
    }

    private static string? Types(ulong table)
    {
        if (table == 0)
        {
            return null;
        }

        string[] names = ["UC", "WC", "2?", "3?", "WT", "WP", "WB", "UC-"];
        return string.Join(' ', Enumerable.Range(0, 8).Select(i => (table >> (4 * i)) & 0xF).Select(
            t => t < 8 ? names[t] : Text($"{t}?")));
    }

    private static void CheckMemoryTypes(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        if (words.Get(P) == 0 || words.Get(PGTT) is not (FirstStage or Nested))
        {
            return;
        }

        for (int i = 0; i < 8; i++)
        {
            ulong memoryType = (words.Get(PAT) >> (4 * i)) & 0xF;
            if (memoryType is 2 or 3 or > 7)
            {
                found.Add(PAT, $"PA{i} is {memoryType}, reserved (0 UC, 1 WC, 4 WT, 5 WP, 6 WB, 7 UC-)");
            }
        }
    }
}
