using PasidFramework.Drivers.ArmSmmu.Formats;
using PasidFramework.Records;

namespace PasidFramework.Drivers.ArmSmmu;

/// <summary>Exports <see cref="ArmSmmuLayouts"/> to whoever explains or encodes structures.</summary>
[StructureProvider("arm-smmuv3")]
internal sealed class ArmSmmuStructures : IStructureProvider
{
    /// <inheritdoc/>
    public IReadOnlyList<Layout> Layouts => ArmSmmuLayouts.All;
}
