// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Formats;

/// <summary>Scalable-mode root entry: one per bus. Intel VT-d, D51397-018 (rev 5.10), section 9.2.</summary>
internal static class RootEntry
{
    public const int Words = 2;
    public const int SizeBytes = 16;

    /// <summary>The whole table: 256 buses.</summary>
    public const int TableBytes = 256 * SizeBytes;

    public static readonly Layout Layout = new(
        "intel-vtd/sm_root_entry", 128, "Intel VT-d D51397-018 (rev 5.10), section 9.2", [
            LP, Reserved(11, 1), Address(LCTP), UP, Reserved(75, 65), Address(UCTP),
        ]);

    public static Field LP => new(0, 0, "LP", "lower half (devfn 0x00 to 0x7F) present");
    public static Field LCTP => new(63, 12, "LCTP", "lower context table");
    public static Field UP => new(64, 64, "UP", "upper half (devfn 0x80 to 0xFF) present");
    public static Field UCTP => new(127, 76, "UCTP", "upper context table");
}
