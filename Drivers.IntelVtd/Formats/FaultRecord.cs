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
        "intel-vtd/fault_record",
        128,
        "Intel VT-d D51397-018 (rev 5.10), section 11.4.14",
        [
            LayoutField.Reserved(11, 0),
            LayoutField.Address(FI, "page of the faulting address"),
            LayoutField.Value(SID, "requester"),
            LayoutField.Reserved(91, 80),
            LayoutField.Value(T2, "type of the request, with T1").ReadsWith(Type),
            LayoutField.Value(PRIV, "privileged (valid if PP)"),
            LayoutField.Value(EXE, "execute (valid if PP)"),
            LayoutField.Value(PP, "the request had a PASID"),
            LayoutField.Value(FR, "reason", FaultReasonNames.All),
            LayoutField.Value(PV, "the request's PASID"),
            LayoutField.Value(
                AT,
                "address type of the request",
                (0, "untranslated"),
                (1, "translation request"),
                (2, "translated")),
            LayoutField.Value(T1, "type of the request, with T2").ReadsWith(Type),
            LayoutField.Value(F, "a fault is recorded; writing 1 clears it"),
        ]);

    // {T1,T2}: 00 write, 01 page request, 10 read, 11 atomic.
    private static string Type(ReadOnlySpan<ulong> words) => (words.Get(T1), words.Get(T2)) switch
    {
        (0, 0) => "a write",
        (0, _) => "a page request",
        (_, 0) => "a read",
        _ => "an atomic operation",
    };

    public static Field FI => new(63, 12, "FI");
    public static Field SID => new(79, 64, "SID");
    public static Field T2 => new(92, 92, "T2");
    public static Field PRIV => new(93, 93, "PRIV");
    public static Field EXE => new(94, 94, "EXE");
    public static Field PP => new(95, 95, "PP");
    public static Field FR => new(103, 96, "FR");
    public static Field PV => new(123, 104, "PV");
    public static Field AT => new(125, 124, "AT");
    public static Field T1 => new(126, 126, "T1");
    public static Field F => new(127, 127, "F");
}
