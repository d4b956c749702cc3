// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Formats;

/// <summary>Exports <see cref="VirtioIommuLayouts"/> to whoever explains or encodes structures.</summary>
[StructureProvider("virtio-iommu")]
public sealed class VirtioIommuStructures : IStructureProvider
{
    public IReadOnlyList<Layout> Layouts => VirtioIommuLayouts.All;
}
