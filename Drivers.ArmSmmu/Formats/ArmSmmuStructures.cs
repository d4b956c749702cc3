// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Formats;

/// <summary>Exports <see cref="ArmSmmuLayouts"/> to all that explain or encode structures.</summary>
[StructureProvider("arm-smmuv3")]
internal sealed class ArmSmmuStructures : IStructureProvider
{
    public IReadOnlyList<Layout> Layouts => ArmSmmuLayouts.All;
}
