// SPDX-License-Identifier: Apache-2.0
using System.Composition;
using PasidFramework.Drivers.VirtioIommu.Reader;

namespace PasidFramework.Drivers.VirtioIommu.Emulation.Caching;

[IommuModel("virtio-iommu")]
public sealed class VirtioIommuModelFactory : IIommuModelFactory
{
    /// <summary>Says what attached tables are made of; without it the model refuses to attach one.</summary>
    [Import(VirtioTableReader.ArmReader, AllowDefault = true)]
    public ITableReader? ArmSmmuV3Reader { get; set; }
    public string PageTables => "arm-lpae-4k";

    /// <remarks>Options: <c>dialect</c> = <c>none</c>, <c>B</c> (default) or <c>E</c>; <c>bypass</c> = <c>on</c> or
    /// <c>off</c> (default); <c>endpoints</c> = a comma-separated list of those that exist (all by default);
    /// <c>inputBits</c> = 12 to 63 (no INPUT_RANGE by default).</remarks>
    public IIommuModel Create(HardwareSetup setup, StoreOrder order = StoreOrder.Immediate)
    {
        ArgumentNullException.ThrowIfNull(setup);
        return new VirtioIommuModel(new ModelMemory(setup.Coherent, order), setup, ArmSmmuV3Reader);
    }
}
