// SPDX-License-Identifier: Apache-2.0
using PasidFramework.DriverKit.PageTables;

namespace PasidFramework.Drivers.ArmSmmu.Formats;

/// <summary>Every SMMUv3 structure that this assembly declares (Arm IHI 0070, issue H.a era).</summary>
public static class ArmSmmuLayouts
{
    public static IReadOnlyList<Layout> All { get; } =
    [
        StreamTableEntry.Layout,
        ContextDescriptor.Layout,
        L1ContextDescriptor.Layout,
        L1StreamDescriptor.Layout,
        .. Commands.All,
        .. Events.All,
        PageRequestEntry.Layout,
        ArmStage1Entry.Layout,
        ArmStage2Entry.Layout,
        .. IdRegisters.All,
    ];
}
