// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Drivers.IntelVtd.Unit;

namespace PasidFramework.Drivers.IntelVtd;

/// <summary>
/// Driver of Intel VT-d in scalable mode: PASID directory and 64-byte PASID entries, first-stage translation. Source:
/// Intel VT-d architecture specification D51397-018 (rev 5.10).
/// </summary>
[PasidDriver(
    "intel-vtd",
    "intel-vtd",
    Pasid.MaxBits,
    Vendor = "Intel",
    Capabilities = DriverCapabilities.Ats
        | DriverCapabilities.NonCoherent
        | DriverCapabilities.FaultRecords
        | DriverCapabilities.OwnAllocator)]
public sealed class VtdDriver : IPasidDriver
{
    /// <exception cref="ArgumentException">An option is unknown or out of its range.</exception>
    public IIommuHardware CreateHardware(IPhysicalMemory memory, HardwareSetup setup) => new VtdHardware(memory, setup);

    public OpResult<IIommuUnit> CreateUnit(UnitSetup setup)
    {
        ArgumentNullException.ThrowIfNull(setup);
        OpResult<VtdUnit> unit = VtdUnit.Start(setup);
        return unit.IsOk ? OpResult<IIommuUnit>.Ok(unit.Value) : OpResult<IIommuUnit>.Refuse(unit.Outcome);
    }
}
