using PasidFramework.Records;

namespace PasidFramework.Drivers.VirtioIommu.Formats;

// PROPOSAL E (not standard): later draft, Qualcomm tree header and vSMMU driver. page_size is taken as log2 of its
// bytes, as the granule of proposal B: the sources at hand give one byte for it and no unit.

/// <summary>Proposal E: invalidates what the device caches of a domain's tables.</summary>
internal static class ProposalEInvalidate
{
    /// <summary>Bytes that the driver writes: all but the tail.</summary>
    public const int DriverBytes = 60;

    public const byte ScopeDomain = 1;

    public const byte ScopePasid = 2;

    public const byte ScopeAddress = 3;

    /// <summary>Cache: PASID table entries.</summary>
    public const byte CachePasid = 1;

    /// <summary>Cache: translations.</summary>
    public const byte CacheTlb = 2;

    /// <summary>Flag: only the last level changed.</summary>
    public const ushort FlagLeaf = 1;

    /// <summary>Flag: the field pasid is valid.</summary>
    public const ushort FlagPasid = 2;

    /// <summary>Flag: the field id is valid.</summary>
    public const ushort FlagId = 4;

    /// <summary>Flag: global translations too.</summary>
    public const ushort FlagGlobal = 8;

    public static Field Scope => new(39, 32, "scope");

    public static Field Caches => new(47, 40, "caches");

    public static Field Flags => new(63, 48, "flags");

    public static Field Domain => new(95, 64, "domain");

    public static Field Pasid => new(127, 96, "pasid");

    public static Field Id => new(191, 128, "id");

    public static Field Address => new(255, 192, "address");

    public static Field NrPages => new(319, 256, "nr_pages");

    public static Field PageSize => new(327, 320, "page_size");

    public static readonly Layout Layout = new(
        "virtio-iommu/proposalE/invalidate",
        512,
        RequestHead.ProposalE + ", INVALIDATE",
        [
            RequestHead.TypeField(RequestType.Invalidate, "INVALIDATE"),
            RequestHead.Reserved(),
            LayoutField.Value(Scope, "what is invalidated", (1, "DOMAIN"), (2, "PASID"), (3, "ADDRESS")),
            LayoutField.Value(Caches, "PASID 1, TLB 2", (1, "PASID"), (2, "TLB"), (3, "PASID|TLB")),
            LayoutField.Value(Flags, "LEAF 1, PASID 2, ID 4, GLOBAL 8"),
            LayoutField.Value(Domain, "domain id"),
            LayoutField.Value(Pasid, "PASID, if flag PASID"),
            LayoutField.Value(Id, "tag of the translations (Arm: the ASID), if flag ID"),
            LayoutField.Value(Address, "first byte of the range, for scope ADDRESS"),
            LayoutField.Value(NrPages, "pages of the range, for scope ADDRESS"),
            LayoutField.Value(PageSize, "log2 of the page size in bytes, for scope ADDRESS (assumed)"),
            LayoutField.Reserved(479, 328),
            RequestHead.Tail(480),
        ],
        RequestHead.HasType(RequestType.Invalidate),
        RequestHead.OnlyValues(Scope, ScopeDomain, ScopeAddress),
        RequestHead.OnlyFlags(Caches, CachePasid | CacheTlb),
        RequestHead.OnlyFlags(Flags, FlagLeaf | FlagPasid | FlagId | FlagGlobal));
}
