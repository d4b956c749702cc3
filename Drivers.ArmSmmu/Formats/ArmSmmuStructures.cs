using PasidFramework.Drivers.ArmSmmu.Tables;
using PasidFramework.Records;

namespace PasidFramework.Drivers.ArmSmmu.Formats;

/// <summary>Exports <see cref="ArmSmmuLayouts"/> to whoever explains or encodes structures.</summary>
[StructureProvider(SmmuTableFormat.FormatName)]
public sealed class ArmSmmuStructures : IStructureProvider
{
    /// <inheritdoc/>
    public IReadOnlyList<Layout> Layouts => ArmSmmuLayouts.All;
}
