// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Contracts;
using PasidFramework.Drivers.Reference.Emulation.Functional;
using PasidFramework.Drivers.Reference.Unit;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace Acme.Iommu;

/// <summary>Acme's driver for an IOMMU of the reference architecture.</summary>
[PasidDriver(
    "acme",
    "reference",
    Pasid.MaxBits,
    Vendor = "Acme",
    Capabilities = DriverCapabilities.Ats | DriverCapabilities.NonCoherent | DriverCapabilities.FaultRecords
        | DriverCapabilities.OwnAllocator)]
public sealed class AcmeDriver : IPasidDriver
{
    /// <inheritdoc/>
    public IIommuHardware CreateHardware(IPhysicalMemory memory, HardwareSetup setup) =>
        new ReferenceHardware(memory, memory, setup);

    /// <inheritdoc/>
    public OpResult<IIommuUnit> CreateUnit(UnitSetup setup)
    {
#if BROKEN
        setup = setup with { Hardware = new ForgetfulHardware(setup.Hardware) };
#endif
        return ReferenceUnit.Start(setup);
    }
}
