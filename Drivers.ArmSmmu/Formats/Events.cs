// SPDX-License-Identifier: Apache-2.0
// Arm IHI 0070 (SMMUv3), issue H.a era, section 7.3 "Event records": 256 bits each, event number in bits 7:0. A record
// has the fields that its event defines, at positions that all events share. Bits that hold details of the
// implementation or of a rare event only (Reason, the span of ATS requests) are declared as ignored.

namespace PasidFramework.Drivers.ArmSmmu.Formats;

/// <summary>Event numbers by their specification names (Arm IHI 0070 7.3).</summary>
internal enum SmmuEvent
{
    None = 0,
    F_UUT = 0x01,
    C_BAD_STREAMID = 0x02,
    F_STE_FETCH = 0x03,
    C_BAD_STE = 0x04,
    F_BAD_ATS_TREQ = 0x05,
    F_STREAM_DISABLED = 0x06,
    F_TRANSL_FORBIDDEN = 0x07,
    C_BAD_SUBSTREAMID = 0x08,
    F_CD_FETCH = 0x09,
    C_BAD_CD = 0x0A,
    F_WALK_EABT = 0x0B,
    F_TRANSLATION = 0x10,
    F_ADDR_SIZE = 0x11,
    F_ACCESS = 0x12,
    F_PERMISSION = 0x13,
    F_TLB_CONFLICT = 0x20,
    F_CFG_CONFLICT = 0x21,
    E_PAGE_REQUEST = 0x24,
}

/// <summary>Records of the event queue.</summary>
internal static class Events
{
    public const int BytesLog2 = 5;
    public const int Words = 4;
    public const ulong ClassContext = 0;
    public const ulong ClassTable = 1;
    public const ulong ClassInput = 2;
    public static Field ID => new(7, 0, "ID", "what happened");
    public static Field SSV => new(11, 11, "SSV", "SSID is valid");
    public static Field SSID => new(31, 12, "SSID", "SubstreamID");
    public static Field SID => new(63, 32, "SID", "StreamID");
    public static Field STAG => new(79, 64, "STAG", "tag of a stalled transaction");
    public static Field Stall => new(95, 95, "Stall", "the transaction waits for RESUME");
    public static Field PnU => new(97, 97, "PnU", "privileged access");
    public static Field InD => new(98, 98, "InD", "instruction access");
    public static Field RnW => new(99, 99, "RnW", "read access");
    public static Field S2 => new(103, 103, "S2", "stage 2 fault");
    public static Field CLASS => new(105, 104, "CLASS", "what faulted");
    public static Field InputAddr => new(191, 128, "InputAddr", "input address");
    public static Field FetchAddr => new(247, 195, "FetchAddr", "address that could not be read");
    public static Field IPA => new(243, 204, "IPA", "intermediate address of a stage 2 fault");

    /// <summary>Every layout of an event, by event number.</summary>
    public static IReadOnlyList<Layout> All { get; } =
    [
        Declare("uut", SmmuEvent.F_UUT, [
            .. Requester(), Ignored(95, 64, "reason, implementation defined"), Reserved(96, 96), .. Access(),
            Reserved(127, 100), InputAddr, Reserved(255, 192)]),
        Declare("bad_streamid", SmmuEvent.C_BAD_STREAMID, [.. Requester(), Reserved(255, 64)]),
        Declare("ste_fetch", SmmuEvent.F_STE_FETCH, Fetch()),
        Declare("bad_ste", SmmuEvent.C_BAD_STE, [.. Requester(), Reserved(255, 64)]),
        Declare("bad_ats_treq", SmmuEvent.F_BAD_ATS_TREQ, [
            .. Requester(), Ignored(127, 64, "span and permissions of the ATS request"), InputAddr,
            Reserved(255, 192)]),
        Declare("stream_disabled", SmmuEvent.F_STREAM_DISABLED, [Reserved(31, 8), SID, Reserved(255, 64)]),
        Declare("transl_forbidden", SmmuEvent.F_TRANSL_FORBIDDEN, [
            .. Requester(), Reserved(98, 64), RnW, Reserved(127, 100), InputAddr, Reserved(255, 192)]),
        Declare("bad_substreamid", SmmuEvent.C_BAD_SUBSTREAMID, [
            Reserved(11, 8), Value(SSID, "SubstreamID, always valid"), SID, Reserved(255, 64)]),
        Declare("cd_fetch", SmmuEvent.F_CD_FETCH, Fetch()),
        Declare("bad_cd", SmmuEvent.C_BAD_CD, [.. Requester(), Reserved(255, 64)]),
        Declare(
            "walk_eabt",
            SmmuEvent.F_WALK_EABT,
            [
                .. Requester(), .. Stalled(), .. Access(), .. Stage(),
                Ignored(127, 106, "reason, implementation defined"), InputAddr, Reserved(194, 192), Address(FetchAddr),
                Reserved(255, 248),
            ],
            CheckClass),
        Declare("translation", SmmuEvent.F_TRANSLATION, Fault(), CheckClass),
        Declare("addr_size", SmmuEvent.F_ADDR_SIZE, Fault(), CheckClass),
        Declare("access", SmmuEvent.F_ACCESS, Fault(), CheckClass),
        Declare("permission", SmmuEvent.F_PERMISSION, Fault(), CheckClass),
        Declare("tlb_conflict", SmmuEvent.F_TLB_CONFLICT, [
            .. Requester(), Ignored(95, 64, "reason, implementation defined"), Reserved(96, 96), .. Access(),
            Reserved(102, 100), S2, Reserved(127, 104), InputAddr, .. Intermediate()]),
        Declare("cfg_conflict", SmmuEvent.F_CFG_CONFLICT, [
            .. Requester(), Ignored(95, 64, "reason, implementation defined"), Reserved(255, 96)]),
        Declare("page_request", SmmuEvent.E_PAGE_REQUEST, [
            .. Requester(), Ignored(127, 64, "span and permissions of the hint"), InputAddr, Reserved(255, 192)]),
    ];

    private static Layout Declare(
        string name, SmmuEvent number, LayoutField[] fields, params LayoutRule[] rules) => new(
            $"arm-smmuv3/evt_{name}", 256, "Arm IHI 0070 7.3", [Fixed(ID, (ulong)number), .. fields], rules);

    private static LayoutField[] Requester() => [Reserved(10, 8), SSV, SSID, SID];

    private static LayoutField[] Stalled() => [STAG, Reserved(94, 80), Stall, Reserved(96, 96)];

    private static LayoutField[] Access() => [PnU, InD, RnW];

    private static LayoutField[] Stage() =>
    [
        Reserved(102, 100), S2,
        Value(CLASS, (0, "CD fetch"), (1, "translation table"), (ClassInput, "input address")),
    ];

    private static LayoutField[] Intermediate() => [Reserved(203, 192), Address(IPA), Reserved(255, 244)];

    private static LayoutField[] Fault() =>
        [.. Requester(), .. Stalled(), .. Access(), .. Stage(), Reserved(127, 106), InputAddr, .. Intermediate()];

    private static LayoutField[] Fetch() => [.. Requester(), Reserved(194, 64), Address(FetchAddr), Reserved(255, 248)];

    private static void CheckClass(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        if (words.Get(CLASS) == 3)
        {
            found.Add(CLASS, "is 3, a reserved encoding (7.3)");
        }
    }
}
