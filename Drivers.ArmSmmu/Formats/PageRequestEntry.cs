// SPDX-License-Identifier: Apache-2.0
// Arm IHI 0070 (SMMUv3), issue H.a era, section 8.1 "PRI queue": 128 bits. Last with neither Read nor Write is a stop
// marker, which is legal and gets no response.

namespace PasidFramework.Drivers.ArmSmmu.Formats;

/// <summary>One entry of the PRI queue: a page request of a device.</summary>
internal static class PageRequestEntry
{
    public const int BytesLog2 = 4;
    public const int Words = 2;
    public static Field SID => new(31, 0, "SID", "StreamID");
    public static Field SSID => new(51, 32, "SSID", "SubstreamID (PASID)");
    public static Field Priv => new(58, 58, "Priv", "privileged access");
    public static Field Exec => new(59, 59, "Exec", "execute access");
    public static Field Read => new(60, 60, "Read", "read access");
    public static Field Write => new(61, 61, "Write", "write access; Last without Read and Write is a stop marker");
    public static Field Last => new(62, 62, "Last", "last request of its group, the one that is answered");
    public static Field SSV => new(63, 63, "SSV", "SSID is valid");
    public static Field PRGI => new(72, 64, "PRGI", "page request group");
    public static Field ADDR => new(127, 76, "ADDR", "page that is asked for");

    public static readonly Layout Layout = new("arm-smmuv3/priq_entry", 128, "Arm IHI 0070 8.1", [
        SID, SSID, Reserved(57, 52), Priv, Exec, Read, Write, Last, SSV, PRGI, Reserved(75, 73), Address(ADDR),
    ], CheckStopMarker);

    // PCI Express, Page Request Interface: a stop marker names the PASID whose requests have ended.
    private static void CheckStopMarker(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        if (words.Get(Last) == 1 && words.Get(Read) == 0 && words.Get(Write) == 0 && words.Get(SSV) == 0)
        {
            found.Add(SSV, "is 0: a stop marker (Last without Read and Write) has a PASID");
        }
    }
}
