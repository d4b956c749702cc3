// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Contracts;

/// <summary>Optional capabilities of a device (PCIe ATS and PRI capabilities).</summary>
[Flags]
public enum DeviceFeatures
{
    None = 0,

    /// <summary>It caches translations: its device TLB must be invalidated.</summary>
    Ats = 1,

    /// <summary>It can request pages.</summary>
    Pri = 2,
}
