// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Formats;

/// <summary>The structures of Intel VT-d in scalable mode. Source: D51397-018 (rev 5.10).</summary>
[StructureProvider("intel-vtd")]
internal sealed class IntelVtdStructures : IStructureProvider
{
    public IReadOnlyList<Layout> Layouts => IntelVtdLayouts.All;
}
