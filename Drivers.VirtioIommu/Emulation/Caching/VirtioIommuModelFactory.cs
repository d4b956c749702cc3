// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Contracts;
using PasidFramework.DriverKit.Emulation;
using PasidFramework.Hardware;

namespace PasidFramework.Drivers.VirtioIommu.Emulation.Caching;

/// <summary>Makes strict software models of a virtio-iommu.</summary>
[IommuModel("virtio-iommu")]
public sealed class VirtioIommuModelFactory : IIommuModelFactory
{
    /// <inheritdoc/>
    public string PageTables => "arm-lpae-4k";

    /// <inheritdoc/>
    /// <remarks>
    /// Options: <c>dialect</c> = <c>none</c>, <c>B</c> (default) or <c>E</c>; <c>bypass</c> = <c>on</c> or <c>off</c>
    /// (default); <c>endpoints</c> = a comma-separated list of those that exist (all by default); <c>inputBits</c> = 12 to 63
    /// (no INPUT_RANGE by default).
    /// </remarks>
    public IIommuModel Create(HardwareSetup setup, StoreOrder order = StoreOrder.Immediate)
    {
        ArgumentNullException.ThrowIfNull(setup);
        return new VirtioIommuModel(new ModelMemory(setup.Coherent, order), setup);
    }
}
