// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Contracts;

/// <summary>
/// What a driver can do beyond the required part of the contract. It says so before any of its code runs; what it does
/// not declare it must refuse.
/// </summary>
[Flags]
public enum DriverCapabilities
{
    /// <summary>The required part only.</summary>
    None = 0,

    /// <summary>
    /// Devices with <see cref="DeviceFeatures.Ats"/>: what their device TLBs hold is invalidated with the rest. Without
    /// it <see cref="IIommuUnit.AddDevice"/> refuses such a device with EOPNOTSUPP.
    /// </summary>
    Ats = 1,

    /// <summary>
    /// Hardware whose walker does not snoop the CPU's caches. Without it <see cref="IPasidDriver.CreateUnit"/> refuses
    /// such hardware with ENODEV.
    /// </summary>
    NonCoherent = 2,

    /// <summary>Decoding of fault records. Without it <see cref="IIommuUnit.TakeFaults"/> answers EOPNOTSUPP.</summary>
    FaultRecords = 4,

    /// <summary>
    /// A PASID allocator of its own. Without it <see cref="IIommuUnit.CreateAllocator"/> returns null.
    /// </summary>
    OwnAllocator = 8,

    /// <summary>
    /// A limit, not a feature: the format has no quiet entry per PASID (AMD has one bit per device), so that after
    /// <see cref="IIommuUnit.Exit"/> accesses are refused with records until the last detach. Without it they leave
    /// none (D12).
    /// </summary>
    NoQuietEntry = 16,
}
