// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Contracts;

/// <summary>
/// A vendor's driver: what a plug-in assembly exports. It is a factory for units and for hardware to run them on; all
/// state is in the units.
/// </summary>
public interface IPasidDriver
{
    /// <summary>
    /// Makes a stand-in for the vendor's hardware on plain memory: registers that answer, a queue consumer that reads
    /// the real commands and refuses ill-formed ones, a walker of the configuration structures.
    /// </summary>
    /// <param name="memory">The memory that driver and hardware share.</param>
    /// <param name="setup">Capabilities that the hardware is to report.</param>
    IIommuHardware CreateHardware(IPhysicalMemory memory, HardwareSetup setup);

    /// <summary>Starts one unit: reads its capabilities, builds the root structures, enables it.</summary>
    /// <param name="setup">Hardware and limits.</param>
    /// <returns>The unit; or ENODEV (hardware lacks what is needed), ENOMEM, EINVAL (an option), ETIMEDOUT.</returns>
    OpResult<IIommuUnit> CreateUnit(UnitSetup setup);
}
