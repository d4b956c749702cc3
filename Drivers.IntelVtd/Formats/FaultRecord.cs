// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Formats;

/// <summary>
/// Fault recording register, NFR+1 of them from 16*FRO. Intel VT-d, D51397-018 (rev 5.10), section 11.4.14.
/// </summary>
internal static class FaultRecord
{
    public const int Words = 2;
    public const int SizeBytes = 16;

    public static readonly Layout Layout = new(
        "intel-vtd/fault_record", 128, "Intel VT-d D51397-018 (rev 5.10), section 11.4.14", [
            Reserved(11, 0), Address(FI), SID, Reserved(91, 80),
            Value(T2).ReadsWith(Type),
            PRIV, EXE, PP,
            Value(FR, FaultReasonNames.All),
            PV,
            Value(AT, (0, "untranslated"), (1, "translation request"), (2, "translated")),
            Value(T1).ReadsWith(Type),
            F,
        ]);

    // {T1,T2}: 00 write, 01 page request, 10 read, 11 atomic.
    private static string Type(ReadOnlySpan<ulong> words) => (words.Get(T1), words.Get(T2)) switch
    {
        (0, 0) => "a write",
        (0, _) => "a page request",
        (_, 0) => "a read",
        _ => "an atomic operation",
    };

    public static Field FI => new(63, 12, "FI", "page of the faulting address");
    public static Field SID => new(79, 64, "SID", "requester");
    public static Field T2 => new(92, 92, "T2", "type of the request, with T1");
    public static Field PRIV => new(93, 93, "PRIV", "privileged (valid if PP)");
    public static Field EXE => new(94, 94, "EXE", "execute (valid if PP)");
    public static Field PP => new(95, 95, "PP", "the request had a PASID");
    public static Field FR => new(103, 96, "FR", "reason");
    public static Field PV => new(123, 104, "PV", "the request's PASID");
    public static Field AT => new(125, 124, "AT", "address type of the request");
    public static Field T1 => new(126, 126, "T1", "type of the request, with T2");
    public static Field F => new(127, 127, "F", "a fault is recorded; writing 1 clears it");
}
