// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Formats;

/// <summary>
/// Scalable-mode PASID directory entry, index PASID[19:6]. Intel VT-d, D51397-018 (rev 5.10), section 9.5.
/// </summary>
internal static class PasidDirectoryEntry
{
    public const int SizeBytes = 8;

    public static readonly Layout Layout = new(
        "intel-vtd/pasid_dir_entry", 64, "Intel VT-d D51397-018 (rev 5.10), section 9.5", [
            P, FPD, Reserved(11, 2), Address(SMPTBLPTR),
        ]);

    public static Field P => new(0, 0, "P", "present");
    public static Field FPD => new(1, 1, "FPD", "fault processing disable");
    public static Field SMPTBLPTR => new(63, 12, "SMPTBLPTR", "PASID table of 64 entries, 4 KiB");
}
