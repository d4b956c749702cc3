using PasidFramework.Records;

namespace PasidFramework.Drivers.VirtioIommu.Formats;

// PROPOSAL B (not standard): J.-P. Brucker, v0.9-devel header of the Linux branch. What all its attach requests have in
// common; the bytes that the header calls reserved belong to the format.

/// <summary>Proposal B: the common part of every ATTACH_TABLE; <c>format</c> says what the rest is.</summary>
internal static class ProposalBAttachTable
{
    public static Field Domain => new(63, 32, "domain");

    public static Field Endpoint => new(95, 64, "endpoint");

    public static Field Format => new(111, 96, "format");

    public static readonly Layout Layout = new(
        "virtio-iommu/proposalB/attach_table",
        640,
        RequestHead.ProposalB + ", ATTACH_TABLE, common part",
        [
            RequestHead.TypeField(RequestType.AttachTable, "ATTACH_TABLE"),
            RequestHead.Reserved(),
            LayoutField.Value(Domain, "domain id, chosen by the driver"),
            LayoutField.Value(Endpoint, "endpoint id"),
            LayoutField.Value(
                Format,
                "what the rest is",
                (ProposalBAttachPgtArm.FormatArmLpae, "page table ARM_LPAE"),
                (ProposalBAttachPstArm.FormatArmSmmuV3, "PASID table ARM_SMMUV3")),
            LayoutField.Ignored(607, 112, "by format"),
            RequestHead.Tail(608),
        ],
        RequestHead.HasType(RequestType.AttachTable));
}

// PROPOSAL E (not standard): later draft, Qualcomm tree header and vSMMU driver; feature bit 7. 128 bytes for every
// format; where the descriptor begins is known for Arm alone.

/// <summary>Proposal E: the common part of every ATTACH_TABLE; <c>format</c> says what the descriptor is.</summary>
internal static class ProposalEAttachTable
{
    public static Field Domain => new(63, 32, "domain");

    public static Field Endpoint => new(95, 64, "endpoint");

    public static Field Format => new(103, 96, "format");

    public static readonly Layout Layout = new(
        "virtio-iommu/proposalE/attach_table",
        1024,
        RequestHead.ProposalE + ", ATTACH_TABLE, common part",
        [
            RequestHead.TypeField(RequestType.AttachTable, "ATTACH_TABLE"),
            RequestHead.Reserved(),
            LayoutField.Value(Domain, "domain id, chosen by the driver"),
            LayoutField.Value(Endpoint, "endpoint id"),
            LayoutField.Value(
                Format,
                "what the descriptor is",
                (ProposalEAttachArmSmmu3.FormatArmSmmu3, "ARM_SMMU3"),
                (2, "INTEL"), (4, "RISCV"), (5, "AMD_GCR3"), (6, "AMD_PT")),
            LayoutField.Ignored(991, 104, "descriptor, by format"),
            RequestHead.Tail(992),
        ],
        RequestHead.HasType(RequestType.AttachTable));
}
