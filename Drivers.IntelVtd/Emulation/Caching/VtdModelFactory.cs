using PasidFramework.Contracts;
using PasidFramework.Drivers.IntelVtd.PageTables;
using PasidFramework.Hardware;

namespace PasidFramework.Drivers.IntelVtd.Emulation.Caching;

/// <summary>
/// Makes software models of VT-d hardware in scalable mode; options as for the plain hardware (see the README). Intel
/// VT-d, D51397-018 (rev 5.10).
/// </summary>
[IommuModel("intel-vtd")]
public sealed class VtdModelFactory : IIommuModelFactory
{
    /// <inheritdoc/>
    public string PageTables => X86PageTableFormat.FormatName;

    /// <inheritdoc/>
    public IIommuModel Create(ModelMemory memory, HardwareSetup setup)
    {
        ArgumentNullException.ThrowIfNull(memory);
        ArgumentNullException.ThrowIfNull(setup);
        return memory.IsCoherent == setup.Coherent
            ? new VtdModel(memory, setup)
            : throw new ArgumentException(
                $"The setup says coherent = {setup.Coherent}, the memory {memory.IsCoherent}.", nameof(setup));
    }
}
