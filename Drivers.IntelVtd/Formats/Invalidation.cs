// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Formats;

/// <summary>
/// What all invalidation descriptors share: 256 bits, type in bits 3:0, bits 11:9 (further type bits) 0, upper half 0.
/// Intel VT-d, D51397-018 (rev 5.10), section 6.5.2.
/// </summary>
internal static class Invalidation
{
    public const int Words = 4;
    public const int SizeBytes = 32;
    public const ulong ContextCache = 1;
    public const ulong Iotlb = 2;
    public const ulong DeviceTlb = 3;
    public const ulong InterruptEntryCache = 4;
    public const ulong Wait = 5;
    public const ulong PasidIotlb = 6;
    public const ulong PasidCache = 7;
    public const ulong PasidDeviceTlb = 8;
    public const ulong PageGroupResponse = 9;
    public static Field Type => new(3, 0, "TYPE", "descriptor type");
    public static LayoutField TypeIs(ulong type) => Fixed(Type, type);

    public static string Source(string section) => $"Intel VT-d D51397-018 (rev 5.10), section 6.5.2, {section}";

    public static void CheckGranularity(
        ReadOnlySpan<ulong> words, Field granularity, int allowed, ICollection<Violation> found)
    {
        ulong value = words.Get(granularity);
        if (((allowed >> (int)value) & 1) == 0)
        {
            found.Add(granularity, $"is {value}, a reserved granularity");
        }
    }

    /// <summary>A page-selective descriptor covers 2^AM pages from an address aligned to them.</summary>
    public static void CheckAlignment(
        ReadOnlySpan<ulong> words, Field addressMask, Field address, ICollection<Violation> found)
    {
        int mask = (int)words.Get(addressMask);
        ulong low = mask >= 52 ? ulong.MaxValue : (1UL << (12 + mask)) - 1;
        if ((words.GetAddress(address) & low) != 0)
        {
            found.Add(address, $"is 0x{words.GetAddress(address):x}, not aligned to the 2^{mask} pages of AM");
        }
    }

    /// <summary>With S = 1 the lowest 0 bit of the address, from bit 12, gives the size: one must be there.</summary>
    public static void CheckSize(ReadOnlySpan<ulong> words, Field size, Field address, ICollection<Violation> found)
    {
        if (words.Get(size) == 1 && words.Get(address) == address.ValueMask)
        {
            found.Add(
                address,
                "has no 0 bit with S = 1: the size has no end (everything is bits 62:12 all 1 and bit 63 = 0)");
        }
    }
}

/// <summary>Context-cache invalidation, type 1.</summary>
internal static class InvContextCache
{
    public const ulong Global = 1;
    public const ulong Domain = 2;
    public const ulong Device = 3;

    public static readonly Layout Layout = new(
        "intel-vtd/inv_context_cache", 256, Invalidation.Source("context-cache invalidate descriptor"), [
            Invalidation.TypeIs(Invalidation.ContextCache),
            Value(G, (1, "global"), (2, "domain"), (3, "device")),
            Reserved(15, 6), DID, SID, FM, Reserved(255, 50),
        ], Check);

    public static Field G => new(5, 4, "G", "granularity; domain acts as global in scalable mode");
    public static Field DID => new(31, 16, "DID", "domain id; ignored in scalable mode");
    public static Field SID => new(47, 32, "SID", "requester");
    public static Field FM => new(49, 48, "FM", "function mask");

    internal static void Check(ReadOnlySpan<ulong> words, ICollection<Violation> found) =>
        Invalidation.CheckGranularity(words, G, 0b1110, found);
}

/// <summary>IOTLB invalidation, type 2.</summary>
internal static class InvIotlb
{
    public const ulong Global = 1;
    public const ulong Domain = 2;
    public const ulong Page = 3;

    public static readonly Layout Layout = new(
        "intel-vtd/inv_iotlb", 256, Invalidation.Source("IOTLB invalidate descriptor"), [
            Invalidation.TypeIs(Invalidation.Iotlb),
            Value(G, (1, "global"), (2, "domain"), (3, "page in domain")),
            DW, DR, Reserved(15, 8), DID, Reserved(63, 32), AM, IH, Reserved(75, 71), Address(ADDR),
            Reserved(255, 128),
        ], Check);

    public static Field G => new(5, 4, "G", "granularity");
    public static Field DW => new(6, 6, "DW", "drain writes");
    public static Field DR => new(7, 7, "DR", "drain reads");
    public static Field DID => new(31, 16, "DID", "domain id");
    public static Field AM => new(69, 64, "AM", "2^AM pages, at most CAP.MAMV");
    public static Field IH => new(70, 70, "IH", "only leaf entries have changed");
    public static Field ADDR => new(127, 76, "ADDR", "first page");

    internal static void Check(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        Invalidation.CheckGranularity(words, G, 0b1110, found);
        if (words.Get(G) == Page)
        {
            Invalidation.CheckAlignment(words, AM, ADDR, found);
        }
    }
}

/// <summary>Device-TLB invalidation without PASID, type 3.</summary>
internal static class InvDeviceTlb
{
    public static readonly Layout Layout = new(
        "intel-vtd/inv_dev_tlb", 256, Invalidation.Source("device-TLB invalidate descriptor"), [
            Invalidation.TypeIs(Invalidation.DeviceTlb),
            Reserved(11, 4), MIP, Reserved(31, 21), SID, Reserved(51, 48),
            Split("requester of the physical function", PfsidLow, PfsidHigh), S, Reserved(75, 65), Address(ADDR),
            Reserved(255, 128),
        ], Check);

    public static Field PfsidLow => new(15, 12, "PFSID");
    public static Field PfsidHigh => new(63, 52, "PFSID");
    public static Field MIP => new(20, 16, "MIP", "most invalidations pending at the device, 0 = 32");
    public static Field SID => new(47, 32, "SID", "requester");
    public static Field S => new(64, 64, "S", "more than one page: the lowest 0 bit of ADDR gives the size");
    public static Field ADDR => new(127, 76, "ADDR", "page, with the size in its low bits if S");

    internal static void Check(ReadOnlySpan<ulong> words, ICollection<Violation> found) =>
        Invalidation.CheckSize(words, S, ADDR, found);
}

/// <summary>Interrupt entry cache invalidation, type 4.</summary>
internal static class InvInterruptEntryCache
{
    public static readonly Layout Layout = new(
        "intel-vtd/inv_iec", 256, Invalidation.Source("interrupt entry cache invalidate descriptor"), [
            Invalidation.TypeIs(Invalidation.InterruptEntryCache),
            Value(G, (0, "global"), (1, "index")),
            Reserved(26, 5), IM, IIDX, Reserved(255, 48),
        ]);

    public static Field G => new(4, 4, "G", "granularity");
    public static Field IM => new(31, 27, "IM", "2^IM entries");
    public static Field IIDX => new(47, 32, "IIDX", "first entry");
}

/// <summary>Invalidation wait, type 5: completes after everything ahead of it.</summary>
internal static class InvWait
{
    public static readonly Layout Layout = new(
        "intel-vtd/inv_wait", 256, Invalidation.Source("invalidation wait descriptor"), [
            Invalidation.TypeIs(Invalidation.Wait),
            IF, SW, FN, PD, Reserved(31, 8), STATUS_DATA, Reserved(65, 64), Address(STATUS_ADDR), Reserved(255, 128),
        ]);

    public static Field IF => new(4, 4, "IF", "interrupt on completion");
    public static Field SW => new(5, 5, "SW", "write STATUS_DATA on completion");
    public static Field FN => new(6, 6, "FN", "fence: holds back later descriptors too");
    public static Field PD => new(7, 7, "PD", "page-request drain (ECAP.PDS)");
    public static Field STATUS_DATA => new(63, 32, "STATUS_DATA", "what SW writes");
    public static Field STATUS_ADDR => new(127, 66, "STATUS_ADDR", "where SW writes, a multiple of 4");
}

/// <summary>PASID-based IOTLB invalidation, type 6.</summary>
internal static class InvPasidIotlb
{
    public const ulong Pasid = 2;
    public const ulong Page = 3;

    public static readonly Layout Layout = new(
        "intel-vtd/inv_p_iotlb", 256, Invalidation.Source("PASID-based IOTLB invalidate descriptor"), [
            Invalidation.TypeIs(Invalidation.PasidIotlb),
            Value(G, (2, "PASID"), (3, "page in PASID")),
            Reserved(15, 6), DID, PASID, Reserved(63, 52), AM, IH, Reserved(75, 71), Address(ADDR), Reserved(255, 128),
        ], Check);

    public static Field G => new(5, 4, "G", "granularity");
    public static Field DID => new(31, 16, "DID", "domain id");
    public static Field PASID => new(51, 32, "PASID", "PASID");
    public static Field AM => new(69, 64, "AM", "2^AM pages, at most CAP.MAMV");
    public static Field IH => new(70, 70, "IH", "only leaf entries have changed");
    public static Field ADDR => new(127, 76, "ADDR", "first page");

    internal static void Check(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        Invalidation.CheckGranularity(words, G, 0b1100, found);
        if (words.Get(G) == Page)
        {
            Invalidation.CheckAlignment(words, AM, ADDR, found);
        }
    }
}

/// <summary>PASID-cache invalidation, type 7.</summary>
internal static class InvPasidCache
{
    public const ulong Domain = 0;
    public const ulong PasidInDomain = 1;
    public const ulong Global = 3;

    public static readonly Layout Layout = new(
        "intel-vtd/inv_pasid_cache", 256, Invalidation.Source("PASID-cache invalidate descriptor"), [
            Invalidation.TypeIs(Invalidation.PasidCache),
            Value(G, (0, "domain"), (1, "PASID in domain"), (3, "global")),
            Reserved(15, 6), DID, PASID, Reserved(255, 52),
        ], Check);

    public static Field G => new(5, 4, "G", "granularity");
    public static Field DID => new(31, 16, "DID", "domain id");
    public static Field PASID => new(51, 32, "PASID", "PASID");

    internal static void Check(ReadOnlySpan<ulong> words, ICollection<Violation> found) =>
        Invalidation.CheckGranularity(words, G, 0b1011, found);
}

/// <summary>PASID-based device-TLB invalidation, type 8. SID lies at 31:16, not at 47:32 as in type 3.</summary>
internal static class InvPasidDeviceTlb
{
    public static readonly Layout Layout = new(
        "intel-vtd/inv_p_dev_tlb", 256, Invalidation.Source("PASID-based device-TLB invalidate descriptor"), [
            Invalidation.TypeIs(Invalidation.PasidDeviceTlb),
            MIP, Reserved(11, 9), SID, PASID, Split("requester of the physical function", PfsidLow, PfsidHigh), GI,
            Reserved(74, 65), S, Address(ADDR), Reserved(255, 128),
        ], Check);

    public static Field MIP => new(8, 4, "MIP", "most invalidations pending at the device, 0 = 32");
    public static Field PfsidLow => new(15, 12, "PFSID");
    public static Field PfsidHigh => new(63, 52, "PFSID");
    public static Field SID => new(31, 16, "SID", "requester");
    public static Field PASID => new(51, 32, "PASID", "PASID");
    public static Field GI => new(64, 64, "GI", "for every PASID");
    public static Field S => new(75, 75, "S", "more than one page: the lowest 0 bit of ADDR gives the size");
    public static Field ADDR => new(127, 76, "ADDR", "page, with the size in its low bits if S");

    internal static void Check(ReadOnlySpan<ulong> words, ICollection<Violation> found) =>
        Invalidation.CheckSize(words, S, ADDR, found);
}

/// <summary>Page group response, type 9.</summary>
internal static class PageGroupResponse
{
    public const ulong Success = 0;
    public const ulong InvalidRequest = 1;
    public const ulong Failure = 0xF;

    public static readonly Layout Layout = new(
        "intel-vtd/page_group_response", 256, Invalidation.Source("page group response descriptor"), [
            Invalidation.TypeIs(Invalidation.PageGroupResponse),
            PP, Reserved(11, 5),
            Value(RC, (Success, "success"), (InvalidRequest, "invalid request"), (Failure, "failure")),
            RID, PASID, Reserved(66, 52), PRGI, Reserved(255, 76),
        ], CheckResponse);

    public static Field PP => new(4, 4, "PP", "the response carries the PASID");
    public static Field RC => new(15, 12, "RC", "response");
    public static Field RID => new(31, 16, "RID", "requester");
    public static Field PASID => new(51, 32, "PASID", "PASID");
    public static Field PRGI => new(75, 67, "PRGI", "page request group index");

    internal static void CheckResponse(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        if (words.Get(RC) is not (Success or InvalidRequest or Failure))
        {
            found.Add(RC, $"is {words.Get(RC)}, a reserved response (0 success, 1 invalid request, 15 failure)");
        }
    }
}
