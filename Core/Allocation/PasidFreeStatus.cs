// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Allocation;

/// <summary>The result of giving a PASID back.</summary>
public enum PasidFreeStatus
{
    /// <summary>It was live and is free now (or on its way to be, in a quarantine).</summary>
    Freed,

    /// <summary>It was not live; nothing changed.</summary>
    NotAllocated,

    /// <summary>A delegate answered something it should not; the PASID stays live.</summary>
    DeviceError,
}
