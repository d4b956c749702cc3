// Arm IHI 0070 (SMMUv3), issue H.a era, section 7.3 "Event records": 256 bits each, event number in bits 7:0. Declared
// here are the records that the walker of this assembly can write.
using PasidFramework.Records;

namespace PasidFramework.Drivers.ArmSmmu.Formats;

/// <summary>Event numbers by their specification names (Arm IHI 0070 7.3).</summary>
internal enum SmmuEvent
{
    None = 0,
    C_BAD_STREAMID = 0x02,
    F_STE_FETCH = 0x03,
    C_BAD_STE = 0x04,
    F_STREAM_DISABLED = 0x06,
    C_BAD_SUBSTREAMID = 0x08,
    F_CD_FETCH = 0x09,
    C_BAD_CD = 0x0A,
    F_TRANSLATION = 0x10,
}

/// <summary>Records of the event queue.</summary>
internal static class Events
{
    /// <summary>Size in bytes, log2.</summary>
    public const int BytesLog2 = 5;

    /// <summary>Size in 64-bit words.</summary>
    public const int Words = 4;

    /// <summary>CLASS: the fault is in the input address.</summary>
    public const ulong ClassInput = 2;

    private const string Source = "Arm IHI 0070 7.3";

    public static Field ID => new(7, 0, "ID");

    public static Field SSV => new(11, 11, "SSV");

    public static Field SSID => new(31, 12, "SSID");

    public static Field SID => new(63, 32, "SID");

    public static Field STAG => new(79, 64, "STAG");

    public static Field Stall => new(95, 95, "Stall");

    public static Field PnU => new(97, 97, "PnU");

    public static Field InD => new(98, 98, "InD");

    public static Field RnW => new(99, 99, "RnW");

    public static Field S2 => new(103, 103, "S2");

    public static Field CLASS => new(105, 104, "CLASS");

    public static Field InputAddr => new(191, 128, "InputAddr");

    public static Field FetchAddr => new(247, 195, "FetchAddr");

    public static Field IPA => new(243, 204, "IPA");

    /// <summary>Every layout of an event.</summary>
    public static IReadOnlyList<Layout> All { get; } =
    [
        Stream("bad_streamid", SmmuEvent.C_BAD_STREAMID),
        Fetch("ste_fetch", SmmuEvent.F_STE_FETCH),
        Stream("bad_ste", SmmuEvent.C_BAD_STE),
        new(
            "arm-smmuv3/evt_stream_disabled",
            256,
            Source,
            [
                Number(SmmuEvent.F_STREAM_DISABLED),
                LayoutField.Reserved(31, 8),
                LayoutField.Value(SID, "StreamID"),
                LayoutField.Reserved(255, 64),
            ]),
        new(
            "arm-smmuv3/evt_bad_substreamid",
            256,
            Source,
            [
                Number(SmmuEvent.C_BAD_SUBSTREAMID),
                LayoutField.Reserved(11, 8),
                LayoutField.Value(SSID, "SubstreamID, always valid"),
                LayoutField.Value(SID, "StreamID"),
                LayoutField.Reserved(255, 64),
            ]),
        Fetch("cd_fetch", SmmuEvent.F_CD_FETCH),
        Stream("bad_cd", SmmuEvent.C_BAD_CD),
        new(
            "arm-smmuv3/evt_translation",
            256,
            Source,
            [
                Number(SmmuEvent.F_TRANSLATION),
                .. Requester(),
                LayoutField.Value(STAG, "tag of a stalled transaction"),
                LayoutField.Reserved(94, 80),
                LayoutField.Value(Stall, "the transaction waits for RESUME"),
                LayoutField.Reserved(96, 96),
                LayoutField.Value(PnU, "privileged access"),
                LayoutField.Value(InD, "instruction access"),
                LayoutField.Value(RnW, "read access"),
                LayoutField.Reserved(102, 100),
                LayoutField.Value(S2, "stage 2 fault"),
                LayoutField.Value(
                    CLASS, "what faulted", (0, "CD fetch"), (1, "translation table"), (2, "input address")),
                LayoutField.Reserved(127, 106),
                LayoutField.Value(InputAddr, "input address"),
                LayoutField.Reserved(203, 192),
                LayoutField.Address(IPA, "intermediate address of a stage 2 fault"),
                LayoutField.Reserved(255, 244),
            ]),
    ];

    private static LayoutField Number(SmmuEvent number) => LayoutField.Fixed(ID, (ulong)number, "what happened");

    private static LayoutField[] Requester() =>
    [
        LayoutField.Reserved(10, 8),
        LayoutField.Value(SSV, "SSID is valid"),
        LayoutField.Value(SSID, "SubstreamID"),
        LayoutField.Value(SID, "StreamID"),
    ];

    private static Layout Stream(string name, SmmuEvent number) => new(
        $"arm-smmuv3/evt_{name}", 256, Source, [Number(number), .. Requester(), LayoutField.Reserved(255, 64)]);

    private static Layout Fetch(string name, SmmuEvent number) => new(
        $"arm-smmuv3/evt_{name}",
        256,
        Source,
        [
            Number(number),
            .. Requester(),
            LayoutField.Reserved(194, 64),
            LayoutField.Address(FetchAddr, "address that could not be read"),
            LayoutField.Reserved(255, 248),
        ]);
}
