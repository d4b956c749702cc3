using PasidFramework.Records;

namespace PasidFramework.Drivers.VirtioIommu.Formats;

/// <summary>Every structure that this driver declares, by the ids that users type.</summary>
public static class VirtioIommuLayouts
{
    /// <summary>
    /// The standard's structures first, then the proposals' (ids <c>virtio-iommu/proposalB/...</c> and
    /// <c>virtio-iommu/proposalE/...</c>; their <see cref="Layout.Source"/> says PROPOSAL).
    /// </summary>
    /// <remarks>
    /// A request's layout includes the four bytes of the tail at its end, as ignored bits: the device writes them
    /// (<c>virtio-iommu/tail</c>). <c>probe_head</c> has none, the device's part of that request has a variable size.
    /// </remarks>
    public static IReadOnlyList<Layout> All { get; } =
    [
        AttachRequest.Layout,
        DetachRequest.Layout,
        MapRequest.Layout,
        UnmapRequest.Layout,
        ProbeRequest.Layout,
        ResvMemProperty.Layout,
        FaultEvent.Layout,
        RequestTail.Layout,
        ProposalBAttachPstArm.Layout,
        ProposalBInvalidate.Layout,
        FaultEvent.ProposalBLayout,
        ProposalBPasidSizeProperty.Layout,
        ProposalBPasidTableFormatProperty.Layout,
        ProposalEAttachArmSmmu3.Layout,
        ProposalEInvalidate.Layout,
        ProposalEArmProperty.Layout,
    ];
}
