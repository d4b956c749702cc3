using PasidFramework.Records;

namespace PasidFramework.Drivers.VirtioIommu.Formats;

// PROPOSAL E (not standard): later draft, Qualcomm tree header and vSMMU driver; feature bit 7. ste0 and ste1 are the
// first two words of an Arm SMMUv3 (IHI 0070) section 5.2 stream table entry.

/// <summary>Proposal E: puts an endpoint into a domain described by two raw words of a stream table entry.</summary>
internal static class ProposalEAttachArmSmmu3
{
    /// <summary>Bytes that the driver writes: all but the tail.</summary>
    public const int DriverBytes = 124;

    /// <summary>The number of the SMMUv3 format among attach formats.</summary>
    public const byte FormatArmSmmu3 = 1;

    public static Field Domain => new(63, 32, "domain");

    public static Field Endpoint => new(95, 64, "endpoint");

    public static Field Format => new(103, 96, "format");

    public static Field Ste0 => new(191, 128, "ste0");

    public static Field Ste1 => new(255, 192, "ste1");

    public static readonly Layout Layout = new(
        "virtio-iommu/proposalE/attach_arm_smmu3",
        1024,
        RequestHead.ProposalE + ", ATTACH_TABLE for Arm SMMUv3",
        [
            RequestHead.TypeField(RequestType.AttachTable, "ATTACH_TABLE"),
            RequestHead.Reserved(),
            LayoutField.Value(Domain, "domain id, chosen by the driver"),
            LayoutField.Value(Endpoint, "endpoint id"),
            LayoutField.Value(
                Format,
                "what the descriptor is",
                (FormatArmSmmu3, "ARM_SMMU3"), (2, "INTEL"), (4, "RISCV"), (5, "AMD_GCR3"), (6, "AMD_PT")),
            LayoutField.Reserved(127, 104),
            LayoutField.Value(Ste0, "word 0 of the stream table entry"),
            LayoutField.Value(Ste1, "word 1 of the stream table entry"),
            LayoutField.Reserved(991, 256),
            RequestHead.Tail(992),
        ],
        RequestHead.HasType(RequestType.AttachTable),
        RequestHead.HasValue(Format, FormatArmSmmu3));
}
