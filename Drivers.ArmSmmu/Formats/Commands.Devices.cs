// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Formats;

// Arm IHI 0070 4.5 (ATS and PRI), 4.6 (stalls) and 4.7 (synchronisation).
internal static partial class Commands
{
    /// <summary>Size of ATC_INV that means every address.</summary>
    public const int AtcSizeAll = 52;
    public const ulong ResumeTerminate = 0;
    public const ulong ResumeRetry = 1;

    public static Field AtcSize => new(69, 64, "Size", "2^Size pages of 4 KiB");
    public static Field PRGI => new(72, 64, "PRGI", "page request group");
    public static Field PriResp => new(77, 76, "Resp", "the answer");
    public static Field ResumeResp => new(13, 12, "Resp", "the answer");
    public static Field STAG => new(79, 64, "STAG", "tag of the stalled transaction");
    public static Field CS => new(13, 12, "CS", "completion signal");

    public static Field MSH => new(23, 22, "MSH", "shareability of the message");
    public static Field MSIATTR => new(27, 24, "MSIATTR", "memory type of the message");
    public static Field MSIDATA => new(63, 32, "MSIDATA", "data of the message");
    public static Field MSIADDR => new(115, 66, "MSIADDR", "address of the message");
    /// <summary>Make a device forget translations of one PASID.</summary>
    /// <param name="address">Byte address, a multiple of the size.</param>
    /// <param name="sizeLog2">2^sizeLog2 pages of 4 KiB; <see cref="AtcSizeAll"/> is every address.</param>
    public static SmmuCommand AtcInv(uint sid, uint ssid, ulong address, int sizeLog2) => new(
        (ulong)SmmuOpcode.ATC_INV | Put(SSV, 1) | Put(SSID, ssid) | Put(SID, sid),
        address | Put(AtcSize, (ulong)sizeLog2));

    /// <summary>Make a device forget every translation of every PASID and of requests without one.</summary>
    /// <remarks>Without SSV the command reaches translations without PASID; Global widens one with SSV to all
    /// PASIDs.</remarks>
    /// <param name="withPasid">The one for translations with a PASID, or the one for those without.</param>
    public static SmmuCommand AtcInvAll(uint sid, bool withPasid) => new(
        (ulong)SmmuOpcode.ATC_INV | (withPasid ? Put(SSV, 1) | Put(Global, 1) : 0) | Put(SID, sid), AtcSizeAll);

    /// <summary>Answer a page request group.</summary>
    /// <param name="ssid">PASID, or null where the response carries none.</param>
    /// <param name="group">Index of the group, 9 bits.</param>
    /// <param name="response">0 failure, 1 invalid request, 2 success.</param>
    public static SmmuCommand PriRespond(uint sid, uint? ssid, uint group, ulong response) => new(
        (ulong)SmmuOpcode.PRI_RESP | Put(SSV, ssid is null ? 0UL : 1) | Put(SSID, ssid ?? 0) | Put(SID, sid),
        Put(PRGI, group) | Put(PriResp, response));

    /// <summary>Wait for everything before it; completion shows in the consumer index (CS 0).</summary>
    /// <param name="signal">CS: 0 none, 1 interrupt or message, 2 event.</param>
    public static SmmuCommand Sync(ulong signal = 0) => new((ulong)SmmuOpcode.SYNC | Put(CS, signal), 0);

    /// <summary>Answer a stalled transaction.</summary>
    /// <param name="response">0 terminate, 1 retry, 2 abort.</param>
    public static SmmuCommand Resume(uint sid, uint tag, ulong response) =>
        new((ulong)SmmuOpcode.RESUME | Put(ResumeResp, response) | Put(SID, sid), Put(STAG, tag));

    private static void CheckAtcSize(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        ulong size = words.Get(AtcSize);
        if (size > AtcSizeAll)
        {
            found.Add(AtcSize, $"is {size}, the limit is {AtcSizeAll} (4.5)");
        }
    }

    private static LayoutRule NotReserved(Field field, string section) => (words, found) =>
    {
        if (words.Get(field) == 3)
        {
            found.Add(field, $"is 3, a reserved encoding: CERROR_ILL ({section})");
        }
    };

    private static Layout[] DeviceLayouts() =>
    [
        Declare("atc_inv", SmmuOpcode.ATC_INV, "5", [
            Reserved(8, 8), Global, Reserved(10, 10),
            Value(SSV, "SSID counts"),
            SSID, SID,
            Value(AtcSize, (AtcSizeAll, "all")).Reads(
                size => size >= AtcSizeAll ? null : Text($"{1L << (int)size} pages")),
            Reserved(75, 70), Address(ADDR)], CheckAtcSize),
        Declare("pri_resp", SmmuOpcode.PRI_RESP, "5", [
            Reserved(10, 8),
            Value(SSV, "the response carries the PASID"),
            SSID, SID, PRGI, Reserved(75, 73),
            Value(PriResp, (0, "response failure"), (1, "invalid request"), (2, "success"), (3, "illegal")),
            Reserved(127, 78)], NotReserved(PriResp, "4.5")),
    ];

    private static Layout[] QueueLayouts() =>
    [
        Declare("resume", SmmuOpcode.RESUME, "6", [
            Reserved(11, 8),
            Value(ResumeResp, (ResumeTerminate, "terminate"), (ResumeRetry, "retry"), (2, "abort")),
            Reserved(31, 14), SID, STAG, Reserved(127, 80)], NotReserved(ResumeResp, "4.6")),
        Declare("stall_term", SmmuOpcode.STALL_TERM, "6", [Reserved(31, 8), SID, Reserved(127, 64)]),
        Declare("sync", SmmuOpcode.SYNC, "7", [
            Reserved(11, 8),
            Value(CS, (0, "none"), (1, "interrupt or message"), (2, "event")),
            Reserved(21, 14), MSH, MSIATTR, Reserved(31, 28), MSIDATA, Reserved(65, 64), Address(MSIADDR),
            Reserved(127, 116)], NotReserved(CS, "4.7")),
    ];
}
