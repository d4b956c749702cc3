using PasidFramework.Records;

namespace PasidFramework.Drivers.VirtioIommu.Formats;

// PROPOSAL C (not standard): V. Gautam, RFC v1 (LKML 2021-01-15). The sources at hand say "as B, with a single ttbr":
// the positions after asid, and that the request is as long as B's, are read from that. Its other attach is B's
// attach_pst_arm.

/// <summary>Proposal C: as proposal B's, with one table base instead of two.</summary>
internal static class ProposalCAttachPgtArm
{
    /// <summary>Bytes that the driver writes: all but the tail.</summary>
    public const int DriverBytes = 76;

    public static Field Domain => new(63, 32, "domain");

    public static Field Endpoint => new(95, 64, "endpoint");

    public static Field Format => new(111, 96, "format");

    public static Field Asid => new(127, 112, "asid");

    public static Field Tcr => new(191, 128, "tcr");

    public static Field Ttbr => new(255, 192, "ttbr");

    public static Field Mair => new(319, 256, "mair");

    public static readonly Layout Layout = new(
        "virtio-iommu/proposalC/attach_pgt_arm",
        640,
        RequestHead.ProposalC + ", ATTACH of an Arm page table; positions after asid assumed",
        [
            RequestHead.TypeField(RequestType.AttachTable, "ATTACH_TABLE"),
            RequestHead.Reserved(),
            LayoutField.Value(Domain, "domain id, chosen by the driver"),
            LayoutField.Value(Endpoint, "endpoint id"),
            LayoutField.Value(Format, "page table format", (ProposalBAttachPgtArm.FormatArmLpae, "ARM_LPAE")),
            LayoutField.Value(Asid, "ASID of the translations"),
            LayoutField.Value(Tcr, "TCR word of the context descriptor"),
            LayoutField.Value(Ttbr, "TTBR, the page table"),
            LayoutField.Value(Mair, "MAIR, the memory attributes"),
            LayoutField.Reserved(607, 320),
            RequestHead.Tail(608),
        ],
        RequestHead.HasType(RequestType.AttachTable),
        RequestHead.HasValue(Format, ProposalBAttachPgtArm.FormatArmLpae));
}
