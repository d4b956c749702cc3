// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Formats;

/// <summary>
/// Page request descriptor in the page request queue. Intel VT-d, D51397-018 (rev 5.10), section 7.5.1.
/// </summary>
/// <remarks>
/// Older revisions kept private data in words 2 and 3 and said so in bit 9; both are reserved now. A request with
/// LPIG = 1, RDR = WRR = 0 and PP = 1 is the stop marker: nothing is answered.
/// </remarks>
internal static class PageRequest
{
    public const int Words = 4;
    public const int SizeBytes = 32;

    public static readonly Layout Layout = new(
        "intel-vtd/page_request", 256, "Intel VT-d D51397-018 (rev 5.10), section 7.5.1", [
            Fixed(Type, 1), PP, Reserved(15, 9), RID, PASID, EXR, PMR, Reserved(63, 54), RDR, WRR, LPIG, PRGI,
            Address(ADDR), Reserved(255, 128),
        ], CheckStopMarker);

    public static Field Type => new(7, 0, "TYPE", "descriptor type");
    public static Field PP => new(8, 8, "PP", "the request has a PASID");
    public static Field RID => new(31, 16, "RID", "requester");
    public static Field PASID => new(51, 32, "PASID", "PASID (valid if PP)");
    public static Field EXR => new(52, 52, "EXR", "execute access is requested (valid if PP)");
    public static Field PMR => new(53, 53, "PMR", "privileged access is requested (valid if PP)");
    public static Field RDR => new(64, 64, "RDR", "read access is requested");
    public static Field WRR => new(65, 65, "WRR", "write access is requested");
    public static Field LPIG =>
        new(66, 66, "LPIG", "last request of its group, which gets one response; RDR = WRR = 0: stop marker");
    public static Field PRGI => new(75, 67, "PRGI", "page request group index");
    public static Field ADDR => new(127, 76, "ADDR", "page");

    // Only a stop marker asks for no access, and it says of which PASID.
    private static void CheckStopMarker(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        if (words.Get(LPIG) == 1 && words.Get(RDR) == 0 && words.Get(WRR) == 0 && words.Get(PP) == 0)
        {
            found.Add(PP, "is 0 with LPIG = 1 and RDR = WRR = 0: a stop marker has a PASID");
        }
    }
}
