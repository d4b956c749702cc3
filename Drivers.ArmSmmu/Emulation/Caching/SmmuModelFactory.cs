using PasidFramework.Contracts;
using PasidFramework.Drivers.ArmSmmu.Emulation.Functional;
using PasidFramework.Drivers.ArmSmmu.PageTables;
using PasidFramework.Hardware;

namespace PasidFramework.Drivers.ArmSmmu.Emulation.Caching;

/// <summary>Makes <see cref="SmmuModel"/>s; options are those of the stand-in hardware, and <c>s2p</c>.</summary>
[IommuModel(ModelName)]
internal sealed class SmmuModelFactory : IIommuModelFactory
{
    /// <summary>Name of the architecture.</summary>
    public const string ModelName = "arm-smmuv3";

    /// <inheritdoc/>
    public string PageTables => LpaePageTableFormat.FormatName;

    /// <inheritdoc/>
    public IIommuModel Create(ModelMemory memory, HardwareSetup setup)
    {
        ArgumentNullException.ThrowIfNull(memory);
        ArgumentNullException.ThrowIfNull(setup);
        if (setup.Coherent != memory.IsCoherent)
        {
            throw new ArgumentException(
                $"The setup says Coherent = {setup.Coherent}, the memory IsCoherent = {memory.IsCoherent}.",
                nameof(setup));
        }

        return new SmmuModel(memory, SmmuHardwareOptions.Parse(setup, isModel: true));
    }
}
