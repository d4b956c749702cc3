// SPDX-License-Identifier: Apache-2.0
using PasidFramework.DriverKit.PageTables;

namespace PasidFramework.Drivers.ArmSmmu.Emulation.Caching;

/// <summary>Makes <see cref="SmmuModel"/>s; options are those of the stand-in hardware, and <c>s2p</c>.</summary>
[IommuModel(ModelName)]
internal sealed class SmmuModelFactory : IIommuModelFactory
{
    public const string ModelName = "arm-smmuv3";

    public string PageTables => ArmPageTables.Granule4K.Name;

    public IIommuModel Create(HardwareSetup setup, StoreOrder order = StoreOrder.Immediate)
    {
        ArgumentNullException.ThrowIfNull(setup);
        return new SmmuModel(new ModelMemory(setup.Coherent, order), setup);
    }
}
