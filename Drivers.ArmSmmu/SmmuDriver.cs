// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Drivers.ArmSmmu.Unit;

namespace PasidFramework.Drivers.ArmSmmu;

/// <summary>The driver for Arm SMMUv3 (IHI 0070, issue H.a era): stage 1 with substreams.</summary>
[PasidDriver(
    "arm-smmu",
    SmmuTableFormat.FormatName,
    Pasid.MaxBits,
    Vendor = "Arm",
    Capabilities = DriverCapabilities.Ats
        | DriverCapabilities.NonCoherent
        | DriverCapabilities.FaultRecords
        | DriverCapabilities.OwnAllocator)]
public sealed class SmmuDriver : IPasidDriver
{
    /// <exception cref="ArgumentException">An option is unknown or out of its range.</exception>
    public IIommuHardware CreateHardware(IPhysicalMemory memory, HardwareSetup setup)
    {
        ArgumentNullException.ThrowIfNull(memory);
        ArgumentNullException.ThrowIfNull(setup);
        return new SmmuHardware(memory, SmmuHardwareOptions.Parse(setup));
    }

    public OpResult<IIommuUnit> CreateUnit(UnitSetup setup)
    {
        ArgumentNullException.ThrowIfNull(setup);
        OpResult<SmmuUnit> unit = SmmuUnit.Start(setup);
        return unit.IsOk ? OpResult<IIommuUnit>.Ok(unit.Value) : OpResult<IIommuUnit>.Refuse(unit.Outcome);
    }
}
