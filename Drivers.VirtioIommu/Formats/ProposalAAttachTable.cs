using PasidFramework.Records;

namespace PasidFramework.Drivers.VirtioIommu.Formats;

// PROPOSAL A (not standard): J.-P. Brucker, v0.7 era header of a QEMU tree (2018); feature bit 5, which the standard
// gives to MMIO. The sources at hand give the position of flags and the order and sizes of what follows: base, size and
// format are taken as following one another from byte 16. They give no position for Arm's s1fmt and s1dss, which lie
// somewhere after format, so those bytes are not interpreted and not checked.

/// <summary>Proposal A: puts an endpoint into a domain with a PASID table or page table in memory.</summary>
internal static class ProposalAAttachTable
{
    /// <summary>Bytes that the driver writes: all but the tail.</summary>
    public const int DriverBytes = 80;

    /// <summary>Flag: the table is a PASID table.</summary>
    public const uint FlagPasidTable = 1;

    /// <summary>Flag: the table is a page table.</summary>
    public const uint FlagPageTable = 2;

    public static Field Domain => new(63, 32, "domain");

    public static Field Endpoint => new(95, 64, "endpoint");

    public static Field Flags => new(127, 96, "flags");

    public static Field Base => new(191, 128, "base");

    public static Field Size => new(223, 192, "size");

    public static Field Format => new(231, 224, "format");

    public static readonly Layout Layout = new(
        "virtio-iommu/proposalA/attach_table",
        672,
        RequestHead.ProposalA + ", ATTACH_TABLE; positions after flags assumed",
        [
            RequestHead.TypeField(RequestType.AttachTable, "ATTACH_TABLE"),
            RequestHead.Reserved(),
            LayoutField.Value(Domain, "domain id, chosen by the driver"),
            LayoutField.Value(Endpoint, "endpoint id"),
            LayoutField.Value(Flags, "PASID_TABLE 1, PAGE_TABLE 2", (1, "PASID_TABLE"), (2, "PAGE_TABLE")),
            LayoutField.Value(Base, "byte address of the table"),
            LayoutField.Value(Size, "size of the table; its unit is not known"),
            LayoutField.Value(Format, "table format"),
            LayoutField.Ignored(639, 232, "reserved, and by format; positions not known"),
            RequestHead.Tail(640),
        ],
        RequestHead.HasType(RequestType.AttachTable),
        RequestHead.OnlyFlags(Flags, FlagPasidTable | FlagPageTable));
}
