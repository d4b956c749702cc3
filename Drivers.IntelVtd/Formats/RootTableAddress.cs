// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Formats;

/// <summary>Intel VT-d, D51397-018 (rev 5.10), Root Table Address Register (0x20).</summary>
/// <remarks>A write is latched only by GCMD.SRTP.</remarks>
internal static class RootTableAddress
{
    public const ulong LegacyMode = 0;
    public const ulong ScalableMode = 1;
    public const ulong AbortMode = 3;

    public static readonly Layout Layout = new(
        "intel-vtd/rtaddr", 64, "Intel VT-d D51397-018 (rev 5.10), Root Table Address Register", [
            Reserved(6, 0), SSIRWE, Reserved(9, 8),
            Value(TTM, (0, "legacy"), (1, "scalable"), (2, "reserved"), (3, "abort-DMA")),
            Address(RTA),
        ], CheckMode);

    public static Field SSIRWE => new(7, 7, "SSIRWE", "second-stage I/O read/write enable (rev 5.x only)");
    public static Field TTM => new(11, 10, "TTM", "translation table mode");
    public static Field RTA => new(63, 12, "RTA", "root table address");

    private static void CheckMode(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        if (words.Get(TTM) == 2)
        {
            found.Add(TTM, "is 2, a reserved mode (0 legacy, 1 scalable, 3 abort-DMA)");
        }
    }
}
