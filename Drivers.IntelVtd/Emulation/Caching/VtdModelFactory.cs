// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Emulation.Caching;

/// <summary>
/// Makes software models of VT-d hardware in scalable mode; options as for the plain hardware (see the README). Intel
/// VT-d, D51397-018 (rev 5.10).
/// </summary>
[IommuModel("intel-vtd")]
public sealed class VtdModelFactory : IIommuModelFactory
{
    public string PageTables => X86PageTables.FourLevel.Name;

    public IIommuModel Create(HardwareSetup setup, StoreOrder order = StoreOrder.Immediate)
    {
        ArgumentNullException.ThrowIfNull(setup);
        return new VtdModel(new ModelMemory(setup.Coherent, order), setup);
    }
}
