// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Formats;

/// <summary>Every structure of the format, for encoders, decoders and explanations.</summary>
public static class IntelVtdLayouts
{
    /// <summary>The structures, by ascending id. Source of all: Intel VT-d, D51397-018 (rev 5.10).</summary>
    public static IReadOnlyList<Layout> All { get; } =
    [
        CapabilityRegisters.Capability,
        CapabilityRegisters.ExtendedCapability,
        FaultRecord.Layout,
        X86Entry.Layout,
        InvContextCache.Layout,
        InvDeviceTlb.Layout,
        InvInterruptEntryCache.Layout,
        InvIotlb.Layout,
        InvPasidDeviceTlb.Layout,
        InvPasidIotlb.Layout,
        InvPasidCache.Layout,
        InvWait.Layout,
        PageGroupResponse.Layout,
        PageRequest.Layout,
        PasidDirectoryEntry.Layout,
        PasidEntry.Layout,
        RootTableAddress.Layout,
        ContextEntry.Layout,
        RootEntry.Layout,
        VtdSecondStageEntry.Layout,
        VirtualCommand.Layout,
        VirtualCommandResponse.Layout,
    ];
}
