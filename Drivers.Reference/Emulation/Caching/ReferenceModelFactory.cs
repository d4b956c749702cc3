using PasidFramework.Contracts;
using PasidFramework.Hardware;

namespace PasidFramework.Drivers.Reference.Emulation.Caching;

/// <summary>Makes software models of the reference IOMMU; options as for the plain hardware. Reference architecture,
/// section 6.</summary>
[IommuModel("reference")]
public sealed class ReferenceModelFactory : IIommuModelFactory
{
    /// <inheritdoc/>
    public string PageTables => Reference.PageTables.ReferencePageTableFormat.FormatName;

    /// <inheritdoc/>
    public IIommuModel Create(ModelMemory memory, HardwareSetup setup)
    {
        ArgumentNullException.ThrowIfNull(memory);
        ArgumentNullException.ThrowIfNull(setup);
        return memory.IsCoherent == setup.Coherent
            ? new ReferenceModel(memory, setup)
            : throw new ArgumentException(
                $"The setup says coherent = {setup.Coherent}, the memory {memory.IsCoherent}.", nameof(setup));
    }
}
