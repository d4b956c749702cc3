// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Formats;

/// <summary>Scalable-mode context entry: one per device. Intel VT-d, D51397-018 (rev 5.10), section 9.4.</summary>
internal static class ContextEntry
{
    public const int Words = 4;
    public const int SizeBytes = 32;

    /// <summary>A context table: 128 device-and-function numbers, half a bus.</summary>
    public const int TableBytes = 128 * SizeBytes;

    /// <summary>Bits of a PASID at PDTS = 0: 2^7 directory entries of 2^6 table entries.</summary>
    public const int MinPasidBits = 13;

    public static readonly Layout Layout = new(
        "intel-vtd/sm_context_entry", 256, "Intel VT-d D51397-018 (rev 5.10), section 9.4", [
            P, FPD, DTE, PASIDE, PRE, HPTE, EPTR, Reserved(8, 7),
            Value(PDTS).Reads(size => Text($"{1 << ((int)size + 7)} entries, {(int)size + MinPasidBits} bits")),
            Address(PASIDDIRPTR), RID_PASID, RID_PRIV, Reserved(255, 85),
        ], Check);

    public static Field P => new(0, 0, "P", "present");
    public static Field FPD => new(1, 1, "FPD", "fault processing disable; used also when P is 0");
    public static Field DTE => new(2, 2, "DTE", "device-TLB (ATS) enable");
    public static Field PASIDE => new(3, 3, "PASIDE", "requests with PASID allowed");
    public static Field PRE => new(4, 4, "PRE", "page requests allowed");
    public static Field HPTE => new(5, 5, "HPTE", "hypervisor page table enable (rev 5.x, needs ECAP.HPTS)");
    public static Field EPTR => new(6, 6, "EPTR", "rev 5.x, needs ECAP.PTRS");
    public static Field PDTS =>
        new(11, 9, "PDTS", "the PASID directory has 2^(PDTS+7) entries, PASIDs have PDTS+13 bits");
    public static Field PASIDDIRPTR => new(63, 12, "PASIDDIRPTR", "PASID directory");
    public static Field RID_PASID =>
        new(83, 64, "RID_PASID", "PASID of requests without one (ECAP.RPS; else 0 is used)");
    public static Field RID_PRIV => new(84, 84, "RID_PRIV", "requests without PASID are privileged (ECAP.RPRIVS)");

    /// <summary>Whether fields contradict each other; what hardware answers with fault 43h.</summary>
    internal static void Check(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        if (words.Get(P) == 0)
        {
            return;
        }

        if (words.Get(PRE) == 1 && words.Get(DTE) == 0)
        {
            found.Add(PRE, "is 1 with DTE = 0: page requests need the device TLB enabled");
        }

        if (words.Get(EPTR) == 1 && words.Get(PASIDE) == 0)
        {
            found.Add(EPTR, "is 1 with PASIDE = 0");
        }

        int bits = (int)words.Get(PDTS) + MinPasidBits;
        if (words.Get(RID_PASID) >> bits != 0)
        {
            found.Add(
                RID_PASID,
                $"is 0x{words.Get(RID_PASID):x}, PDTS = {words.Get(PDTS)} allows less than 0x{1UL << bits:x}");
        }
    }
}
