using PasidFramework.Records;

namespace PasidFramework.Drivers.VirtioIommu.Formats;

// PROPOSAL B (not standard): J.-P. Brucker, v0.9-devel header of the Linux branch; feature bit 5, which the standard
// gives to MMIO. tcr, ttbr0, ttbr1 and mair are the registers that an Arm SMMUv3 (IHI 0070) section 5.4 context
// descriptor stands for; how tcr packs its fields is not said by the sources at hand.

/// <summary>Proposal B: puts an endpoint into a domain with one page table in Arm LPAE format.</summary>
internal static class ProposalBAttachPgtArm
{
    /// <summary>Bytes that the driver writes: all but the tail.</summary>
    public const int DriverBytes = 76;

    /// <summary>The number of the Arm LPAE format among page table formats.</summary>
    public const ushort FormatArmLpae = 1;

    public static Field Domain => new(63, 32, "domain");

    public static Field Endpoint => new(95, 64, "endpoint");

    public static Field Format => new(111, 96, "format");

    public static Field Asid => new(127, 112, "asid");

    public static Field Tcr => new(191, 128, "tcr");

    public static Field Ttbr0 => new(255, 192, "ttbr0");

    public static Field Ttbr1 => new(319, 256, "ttbr1");

    public static Field Mair => new(383, 320, "mair");

    public static readonly Layout Layout = new(
        "virtio-iommu/proposalB/attach_pgt_arm",
        640,
        RequestHead.ProposalB + ", ATTACH of an Arm page table",
        [
            RequestHead.TypeField(RequestType.AttachTable, "ATTACH_TABLE"),
            RequestHead.Reserved(),
            LayoutField.Value(Domain, "domain id, chosen by the driver"),
            LayoutField.Value(Endpoint, "endpoint id"),
            LayoutField.Value(Format, "page table format", (FormatArmLpae, "ARM_LPAE")),
            LayoutField.Value(Asid, "ASID of the translations"),
            LayoutField.Value(Tcr, "TCR word of the context descriptor"),
            LayoutField.Value(Ttbr0, "TTBR0, the table of the lower addresses"),
            LayoutField.Value(Ttbr1, "TTBR1, the table of the upper addresses"),
            LayoutField.Value(Mair, "MAIR, the memory attributes"),
            LayoutField.Reserved(607, 384),
            RequestHead.Tail(608),
        ],
        RequestHead.HasType(RequestType.AttachTable),
        RequestHead.HasValue(Format, FormatArmLpae));
}
