using PasidFramework.Records;

namespace PasidFramework.Drivers.VirtioIommu.Formats;

// PROPOSAL D (not standard): the review of V. Gautam's page request RFC (LKML 2021-04-23), which wanted page requests
// on the event queue. reason and flags are taken as in the standard's fault event, which it extends; the sources at
// hand give neither their positions nor values of their own, so no flag is called unknown.

/// <summary>Proposal D, as reviewed: an endpoint asks for a page; a record of the event queue.</summary>
internal static class ProposalDPageRequest
{
    public const int Bytes = 48;

    public static Field Reason => new(7, 0, "reason");

    public static Field Flags => new(63, 32, "flags");

    public static Field Endpoint => new(95, 64, "endpoint");

    public static Field Pasid => new(127, 96, "pasid");

    public static Field Address => new(191, 128, "address");

    public static Field GroupId => new(207, 192, "group_id");

    /// <summary>Elements 0 and 1 of private_data; a field holds at most 64 bits.</summary>
    public static Field PrivateData0 => new(319, 256, "private_data0");

    public static Field PrivateData1 => new(383, 320, "private_data1");

    public static readonly Layout Layout = new(
        "virtio-iommu/proposalD/page_request",
        384,
        RequestHead.ProposalD + ", page request event as its review proposed it; positions of reason and flags assumed",
        [
            LayoutField.Value(Reason, "kind of the event; the value of a page request is not known"),
            LayoutField.Reserved(31, 8),
            LayoutField.Value(Flags, "flags; their values are not known"),
            LayoutField.Value(Endpoint, "endpoint id"),
            LayoutField.Value(Pasid, "PASID of the access"),
            LayoutField.Value(Address, "untranslated address"),
            LayoutField.Value(GroupId, "page request group, for the answer"),
            LayoutField.Reserved(255, 208),
            LayoutField.Value(PrivateData0, "opaque, first word"),
            LayoutField.Value(PrivateData1, "opaque, second word"),
        ]);
}
