// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Formats;

/// <summary>Every structure that this driver declares, by the ids that users type.</summary>
public static class VirtioIommuLayouts
{
    /// <summary>The standard's structures first, then the proposals' (ids <c>virtio-iommu/proposalA/...</c> to
    /// <c>virtio-iommu/proposalE/...</c>; their <see cref="Layout.Source"/> says PROPOSAL and what is
    /// assumed).</summary>
    /// <remarks>A request's layout includes the four bytes of the tail at its end, as ignored bits: the device writes
    /// them (<c>virtio-iommu/tail</c>). <c>probe_head</c> has none, the device's part of that request has a variable
    /// size.</remarks>
    public static IReadOnlyList<Layout> All { get; } =
    [
        AttachRequest.Layout, DetachRequest.Layout, MapRequest.Layout, UnmapRequest.Layout, ProbeRequest.Layout,
        ResvMemProperty.Layout, FaultEvent.Layout, RequestTail.Layout,
        OtherProposals.AttachTableA, OtherProposals.AttachTableB, ProposalBAttachPstArm.Layout,
        OtherProposals.AttachPgtArmB, ProposalBInvalidate.Layout, FaultEvent.ProposalBLayout,
        OtherProposals.PageSizeMaskB, OtherProposals.InputRangeB, OtherProposals.OutputSizeB,
        ProposalBPasidSizeProperty.Layout, OtherProposals.PageTableFormatB, ProposalBPasidTableFormatProperty.Layout,
        OtherProposals.AttachPgtArmC, OtherProposals.InvalidateC, OtherProposals.PageResponseD,
        OtherProposals.PageRequestD,
        ProposalEAttachArmSmmu3.Common, ProposalEAttachArmSmmu3.Layout, ProposalEInvalidate.Layout,
        ProposalEArmProperty.Layout,
    ];
}
