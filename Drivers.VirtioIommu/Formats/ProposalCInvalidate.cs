using PasidFramework.Records;

namespace PasidFramework.Drivers.VirtioIommu.Formats;

// PROPOSAL C (not standard): V. Gautam, RFC v1 (LKML 2021-01-15). The sources at hand give no values for inv_gran, and
// no unit for granule, which is taken as log2 of the bytes, as in proposal B.

/// <summary>Proposal C: invalidates what the device caches of a domain's tables.</summary>
internal static class ProposalCInvalidate
{
    /// <summary>Bytes that the driver writes: all but the tail.</summary>
    public const int DriverBytes = 60;

    /// <summary>Type: translations of the IOMMU.</summary>
    public const ushort TypeIotlb = 1;

    /// <summary>Type: translations of the device.</summary>
    public const ushort TypeDevIotlb = 2;

    /// <summary>Type: PASID table entries.</summary>
    public const ushort TypePasid = 4;

    /// <summary>Flag: the field pasid is valid.</summary>
    public const ushort FlagPasid = 1;

    /// <summary>Flag: the field archid is valid.</summary>
    public const ushort FlagArchId = 2;

    /// <summary>Flag: only the last level changed.</summary>
    public const ushort FlagLeaf = 4;

    public static Field InvGran => new(47, 32, "inv_gran");

    public static Field InvType => new(63, 48, "inv_type");

    public static Field Flags => new(79, 64, "flags");

    public static Field Domain => new(127, 96, "domain");

    public static Field Pasid => new(159, 128, "pasid");

    public static Field ArchId => new(255, 192, "archid");

    public static Field VirtStart => new(319, 256, "virt_start");

    public static Field NrPages => new(383, 320, "nr_pages");

    public static Field Granule => new(391, 384, "granule");

    public static readonly Layout Layout = new(
        "virtio-iommu/proposalC/invalidate",
        512,
        RequestHead.ProposalC + ", INVALIDATE",
        [
            RequestHead.TypeField(RequestType.Invalidate, "INVALIDATE"),
            RequestHead.Reserved(),
            LayoutField.Value(InvGran, "granularity; its values are not known"),
            LayoutField.Value(
                InvType, "IOTLB 1, DEV_IOTLB 2, PASID 4", (1, "IOTLB"), (2, "DEV_IOTLB"), (4, "PASID")),
            LayoutField.Value(
                Flags,
                "PASID 1 (pasid is valid), ARCHID 2 (archid is valid), LEAF 4",
                (1, "PASID"), (2, "ARCHID"), (4, "LEAF")),
            LayoutField.Reserved(95, 80),
            LayoutField.Value(Domain, "domain id"),
            LayoutField.Value(Pasid, "PASID, if flag PASID"),
            LayoutField.Reserved(191, 160),
            LayoutField.Value(ArchId, "tag of the translations (Arm: the ASID), if flag ARCHID"),
            LayoutField.Value(VirtStart, "first byte of the range"),
            LayoutField.Value(NrPages, "pages of the range"),
            LayoutField.Value(Granule, "log2 of the page size in bytes (assumed)"),
            LayoutField.Reserved(479, 392),
            RequestHead.Tail(480),
        ],
        RequestHead.HasType(RequestType.Invalidate),
        RequestHead.OnlyFlags(InvType, TypeIotlb | TypeDevIotlb | TypePasid),
        RequestHead.OnlyFlags(Flags, FlagPasid | FlagArchId | FlagLeaf));
}
