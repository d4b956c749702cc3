using PasidFramework.Records;

namespace PasidFramework.Drivers.VirtioIommu.Formats;

// PROPOSAL B (not standard): J.-P. Brucker, v0.9-devel header of the Linux branch. The sources at hand do not say how a
// u8 holds the granule; it is taken as log2 of its bytes, the only reading under which 4096 fits.

/// <summary>Proposal B: invalidates what the device caches of a domain's tables.</summary>
internal static class ProposalBInvalidate
{
    /// <summary>Bytes that the driver writes: all but the tail.</summary>
    public const int DriverBytes = 60;

    public const ushort ScopeDomain = 1;

    public const ushort ScopePasid = 2;

    public const ushort ScopeVa = 4;

    /// <summary>Flag: configuration (table entries) instead of translations.</summary>
    public const ushort FlagConfig = 1;

    /// <summary>Flag: only the last level changed.</summary>
    public const ushort FlagLeaf = 2;

    public static Field Scope => new(47, 32, "scope");

    public static Field Flags => new(63, 48, "flags");

    public static Field Domain => new(95, 64, "domain");

    public static Field Pasid => new(127, 96, "pasid");

    public static Field Id => new(191, 128, "id");

    public static Field VirtStart => new(255, 192, "virt_start");

    public static Field NrPages => new(319, 256, "nr_pages");

    public static Field Granule => new(327, 320, "granule");

    public static readonly Layout Layout = new(
        "virtio-iommu/proposalB/invalidate",
        512,
        RequestHead.ProposalB + ", INVALIDATE",
        [
            RequestHead.TypeField(RequestType.Invalidate, "INVALIDATE"),
            RequestHead.Reserved(),
            LayoutField.Value(Scope, "what is invalidated", (1, "DOMAIN"), (2, "PASID"), (4, "VA")),
            LayoutField.Value(Flags, "CONFIG 1, LEAF 2", (1, "CONFIG"), (2, "LEAF"), (3, "CONFIG|LEAF")),
            LayoutField.Value(Domain, "domain id"),
            LayoutField.Value(Pasid, "PASID, for scopes PASID and VA"),
            LayoutField.Value(Id, "tag of the translations (Arm: the ASID)"),
            LayoutField.Value(VirtStart, "first byte of the range, for scope VA"),
            LayoutField.Value(NrPages, "pages of the range, for scope VA"),
            LayoutField.Value(Granule, "log2 of the page size in bytes, for scope VA (assumed)"),
            LayoutField.Reserved(479, 328),
            RequestHead.Tail(480),
        ],
        RequestHead.HasType(RequestType.Invalidate),
        RequestHead.OneOf(Scope, ScopeDomain, ScopePasid, ScopeVa),
        RequestHead.OnlyFlags(Flags, FlagConfig | FlagLeaf));
}
