// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Drivers.Reference.Emulation.Functional;
using PasidFramework.Drivers.Reference.Unit;

namespace PasidFramework.Drivers.Reference;

/// <summary>
/// The simplest correct driver: read it first, copy it, and measure others by it. It drives an invented IOMMU that has
/// everything a real one has once. Reference architecture, <c>README.md</c>.
/// </summary>
[PasidDriver(
    "reference",
    "reference",
    Pasid.MaxBits,
    Vendor = "PASID framework",
    Capabilities = DriverCapabilities.Ats | DriverCapabilities.NonCoherent | DriverCapabilities.FaultRecords
        | DriverCapabilities.OwnAllocator)]
public sealed class ReferenceDriver : IPasidDriver
{
    /// <remarks>Options: <c>asid-bits</c> 1 to 16 (16), <c>ats</c> 0 or 1 (1), <c>fault-records</c> 1 to 64 (16).
    /// </remarks>
    /// <exception cref="ArgumentException">An option is unknown or out of its range, or the width is not 0 to 20.
    /// </exception>
    public IIommuHardware CreateHardware(IPhysicalMemory memory, HardwareSetup setup)
    {
        ArgumentNullException.ThrowIfNull(memory);
        return new ReferenceHardware(memory, memory, setup);
    }

    /// <remarks>Options: <c>requester-bits</c> 1 to 16 (16): the device table has 2^this entries; <c>timeout-ms</c> 1
    /// to 60000 (1000).</remarks>
    public OpResult<IIommuUnit> CreateUnit(UnitSetup setup)
    {
        ArgumentNullException.ThrowIfNull(setup);
        return ReferenceUnit.Start(setup);
    }
}
