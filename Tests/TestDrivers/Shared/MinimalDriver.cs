// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.TestDrivers;

/// <summary>The least that a driver does; exports are not inherited, so every test driver marks its own
/// class.</summary>
internal abstract class MinimalDriver : IPasidDriver
{
    public IIommuHardware CreateHardware(IPhysicalMemory memory, HardwareSetup setup) =>
        new MinimalHardware(memory, setup.Coherent);

    public OpResult<IIommuUnit> CreateUnit(UnitSetup setup) => setup.Options.Count == 0
        ? OpResult<IIommuUnit>.Ok(new MinimalUnit(UnitName(setup.Name), setup.PasidBits))
        : OpResult<IIommuUnit>.Refuse(Errno.EINVAL, $"unknown option '{setup.Options.First().Key}'; there are none");

    protected virtual string UnitName(string name) => name;
}
