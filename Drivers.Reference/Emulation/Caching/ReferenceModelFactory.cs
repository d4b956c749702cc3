// SPDX-License-Identifier: Apache-2.0
using PasidFramework.DriverKit.Emulation;

namespace PasidFramework.Drivers.Reference.Emulation.Caching;

/// <summary>Makes software models of the reference IOMMU; options as for the plain hardware. Reference architecture,
/// section 6.</summary>
[IommuModel("reference")]
public sealed class ReferenceModelFactory : IIommuModelFactory
{
    public string PageTables => Reference.PageTables.ReferencePageTableFormat.FormatName;

    public IIommuModel Create(HardwareSetup setup, StoreOrder order = StoreOrder.Immediate)
    {
        ArgumentNullException.ThrowIfNull(setup);
        return new ReferenceModel(new ModelMemory(setup.Coherent, order), setup);
    }
}
