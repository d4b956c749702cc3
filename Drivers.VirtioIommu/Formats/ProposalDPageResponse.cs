using PasidFramework.Records;

namespace PasidFramework.Drivers.VirtioIommu.Formats;

// PROPOSAL D (not standard): V. Gautam, page request RFC (LKML 2021-04-23). The sources at hand name no flag, so none
// is called unknown.

/// <summary>Proposal D: answers a page request of an endpoint.</summary>
internal static class ProposalDPageResponse
{
    /// <summary>Bytes that the driver writes: all but the tail.</summary>
    public const int DriverBytes = 36;

    public const ushort Success = 0;

    public const ushort Invalid = 1;

    public const ushort Failure = 2;

    public static Field Domain => new(63, 32, "domain");

    public static Field Endpoint => new(95, 64, "endpoint");

    public static Field Flags => new(127, 96, "flags");

    public static Field Pasid => new(159, 128, "pasid");

    public static Field GroupId => new(191, 160, "grpid");

    public static Field ResponseCode => new(207, 192, "resp_code");

    public static Field PasidValid => new(215, 208, "pasid_valid");

    public static readonly Layout Layout = new(
        "virtio-iommu/proposalD/page_resp",
        320,
        RequestHead.ProposalD + ", PAGE_RESP",
        [
            RequestHead.TypeField(RequestType.PageResponse, "PAGE_RESP"),
            RequestHead.Reserved(),
            LayoutField.Value(Domain, "domain id"),
            LayoutField.Value(Endpoint, "endpoint id"),
            LayoutField.Value(Flags, "flags; their values are not known"),
            LayoutField.Value(Pasid, "PASID of the request, if pasid_valid"),
            LayoutField.Value(GroupId, "page request group"),
            LayoutField.Value(
                ResponseCode,
                "what became of the request",
                (Success, "SUCCESS"), (Invalid, "INVALID"), (Failure, "FAILURE")),
            LayoutField.Value(PasidValid, "whether pasid is valid", (0, "no"), (1, "yes")),
            LayoutField.Reserved(287, 216),
            RequestHead.Tail(288),
        ],
        RequestHead.HasType(RequestType.PageResponse),
        RequestHead.OnlyValues(ResponseCode, Success, Failure),
        RequestHead.OnlyValues(PasidValid, 0, 1));
}
