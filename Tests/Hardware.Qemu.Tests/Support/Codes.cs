// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Qemu.Tests.Support;

/// <summary>Fault codes by architecture.</summary>
internal static class Codes
{
    /// <summary>No PASID entry: VT-d D51397-018 table 29, directory entry (51h) or PASID entry (59h) not present, or,
    /// as QEMU looks at PGTT before it looks at P, an entry of zeros (5Bh); Arm IHI 0070 7.3.12, C_BAD_CD.</summary>
    public static int[] NoEntry(string architecture) => architecture == "intel-vtd" ? [0x51, 0x59, 0x5B] : [0x0A];

    /// <summary>Nothing mapped: VT-d table 29, 71h (first stage); Arm IHI 0070 7.3.13, F_TRANSLATION.</summary>
    public static int[] NotMapped(string architecture) => architecture == "intel-vtd" ? [0x71] : [0x10];

    /// <summary>No device entry: VT-d 02h (context entry); Arm C_BAD_STE.</summary>
    public static int[] NoDevice(string architecture) => architecture == "intel-vtd" ? [0x02] : [0x04];
}
