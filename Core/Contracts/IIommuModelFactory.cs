// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Contracts;

/// <summary>Makes models of one IOMMU architecture; export it with <see cref="IommuModelAttribute"/>.</summary>
/// <remarks>The model belongs to the architecture, not to one driver: any driver of that architecture runs on
/// it.</remarks>
public interface IIommuModelFactory
{
    /// <summary>Name of the page table format that its walker reads, as <see cref="PageTableFormatAttribute"/> states
    /// it; empty where it stops at the root of a process's page table.</summary>
    string PageTables => string.Empty;

    /// <summary>Makes a model and its memory.</summary>
    /// <param name="setup">What it reports of itself; <see cref="HardwareSetup.Coherent"/> is the memory's too.</param>
    /// <param name="order">When its walker sees what the driver stored.</param>
    /// <exception cref="ArgumentException">An option is unknown or out of range.</exception>
    IIommuModel Create(HardwareSetup setup, StoreOrder order = StoreOrder.Immediate);
}
