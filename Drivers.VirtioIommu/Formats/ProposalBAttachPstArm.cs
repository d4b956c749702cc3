using PasidFramework.Records;

namespace PasidFramework.Drivers.VirtioIommu.Formats;

// PROPOSAL B (not standard): J.-P. Brucker, v0.9-devel header of the Linux branch; feature bit 5, which the standard
// gives to MMIO. Meaning of s1fmt, s1dss, s1contextptr, s1cdmax: Arm SMMUv3 (IHI 0070) section 5.2, the STE.

/// <summary>Proposal B: puts an endpoint into a domain whose PASID table has the SMMUv3 format.</summary>
internal static class ProposalBAttachPstArm
{
    /// <summary>Bytes that the driver writes: all but the tail.</summary>
    public const int DriverBytes = 76;

    /// <summary>The number of the SMMUv3 format among PASID table formats.</summary>
    public const ushort FormatArmSmmuV3 = 2;

    public static Field Domain => new(63, 32, "domain");

    public static Field Endpoint => new(95, 64, "endpoint");

    public static Field Format => new(111, 96, "format");

    public static Field S1Fmt => new(119, 112, "s1fmt");

    public static Field S1Dss => new(127, 120, "s1dss");

    public static Field S1ContextPtr => new(191, 128, "s1contextptr");

    public static Field S1CdMax => new(223, 192, "s1cdmax");

    public static readonly Layout Layout = new(
        "virtio-iommu/proposalB/attach_pst_arm",
        640,
        RequestHead.ProposalB + ", ATTACH of an Arm PASID table",
        [
            RequestHead.TypeField(RequestType.AttachTable, "ATTACH_TABLE"),
            RequestHead.Reserved(),
            LayoutField.Value(Domain, "domain id, chosen by the driver"),
            LayoutField.Value(Endpoint, "endpoint id"),
            LayoutField.Value(Format, "PASID table format", (FormatArmSmmuV3, "ARM_SMMUV3")),
            LayoutField.Value(
                S1Fmt,
                "shape of the table",
                (0, "linear"), (1, "two-level, 4 KiB leaves"), (2, "two-level, 64 KiB leaves")),
            LayoutField.Value(
                S1Dss,
                "requests without a PASID",
                (0, "terminated"), (1, "bypass stage 1"), (2, "use CD 0")),
            LayoutField.Value(S1ContextPtr, "byte address of the table"),
            LayoutField.Value(S1CdMax, "log2 of the number of context descriptors"),
            LayoutField.Reserved(607, 224),
            RequestHead.Tail(608),
        ],
        RequestHead.HasType(RequestType.AttachTable),
        RequestHead.HasValue(Format, FormatArmSmmuV3),
        RequestHead.OnlyValues(S1Fmt, 0, 2),
        RequestHead.OnlyValues(S1Dss, 0, 2));
}
