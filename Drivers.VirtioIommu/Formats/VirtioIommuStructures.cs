using PasidFramework.Records;

namespace PasidFramework.Drivers.VirtioIommu.Formats;

/// <summary>Exports <see cref="VirtioIommuLayouts"/> to whoever explains or encodes structures.</summary>
[StructureProvider("virtio-iommu")]
public sealed class VirtioIommuStructures : IStructureProvider
{
    /// <inheritdoc/>
    public IReadOnlyList<Layout> Layouts => VirtioIommuLayouts.All;
}
