using PasidFramework.Records;

namespace PasidFramework.Drivers.VirtioIommu.Formats;

// OASIS virtio 1.2 to 1.4, IOMMU device, "PROBE properties": {type u16 (its low 12 bits), length u16, value[length]}, a
// type of 0 ends the list. Only RESV_MEM is standard. The value layouts of the two proposals' properties are ASSUMED:
// the sources at hand give their names and numbers only.

/// <summary>What all properties share.</summary>
internal static class ProbeProperty
{
    /// <summary>Bytes of type and length.</summary>
    public const int HeadBytes = 4;

    /// <summary>The bits of the type that count.</summary>
    public const int TypeMask = 0xFFF;

    /// <summary>End of the list.</summary>
    public const int TypeNone = 0;

    public static Field Type => new(15, 0, "type");

    public static Field Length => new(31, 16, "length");
}

/// <summary>A range of addresses that no mapping may use (standard property 1).</summary>
internal static class ResvMemProperty
{
    public const int TypeNumber = 1;

    public static Field Subtype => new(39, 32, "subtype");

    public static Field Start => new(127, 64, "start");

    public static Field End => new(191, 128, "end");

    public static readonly Layout Layout = new(
        "virtio-iommu/resv_mem_property",
        192,
        RequestHead.Standard + ", property RESV_MEM",
        [
            LayoutField.Value(ProbeProperty.Type, "property type, its low 12 bits", (TypeNumber, "RESV_MEM")),
            LayoutField.Value(ProbeProperty.Length, "bytes after this field, 20"),
            LayoutField.Value(Subtype, "0 reserved, 1 MSI", (0, "RESERVED"), (1, "MSI")),
            LayoutField.Reserved(63, 40),
            LayoutField.Value(Start, "first byte of the range"),
            LayoutField.Value(End, "last byte of the range"),
        ],
        MapRequest.EndNotBelowStart(Start, End));
}

/// <summary>Proposal B: PASID width of an endpoint (property 5).</summary>
internal static class ProposalBPasidSizeProperty
{
    public const int TypeNumber = 5;

    public static Field Bits => new(39, 32, "bits");

    public static readonly Layout Layout = new(
        "virtio-iommu/proposalB/pasid_size_property",
        64,
        RequestHead.ProposalB + ", property PASID_SIZE; value layout assumed",
        [
            LayoutField.Value(ProbeProperty.Type, "property type, its low 12 bits", (TypeNumber, "PASID_SIZE")),
            LayoutField.Value(ProbeProperty.Length, "bytes after this field, 4"),
            LayoutField.Value(Bits, "PASID width in bits"),
            LayoutField.Reserved(63, 40),
        ]);
}

/// <summary>Proposal B: a PASID table format that the endpoint can use (property 7); one for each format.</summary>
internal static class ProposalBPasidTableFormatProperty
{
    public const int TypeNumber = 7;

    public static Field Format => new(47, 32, "format");

    public static readonly Layout Layout = new(
        "virtio-iommu/proposalB/pasid_table_fmt_property",
        64,
        RequestHead.ProposalB + ", property PASID_TABLE_FMT; value layout assumed",
        [
            LayoutField.Value(ProbeProperty.Type, "property type, its low 12 bits", (TypeNumber, "PASID_TABLE_FMT")),
            LayoutField.Value(ProbeProperty.Length, "bytes after this field, 4"),
            LayoutField.Value(Format, "table format", (ProposalBAttachPstArm.FormatArmSmmuV3, "ARM_SMMUV3")),
            LayoutField.Reserved(63, 48),
        ]);
}

/// <summary>Proposal E: the SMMUv3 identification registers of the hardware behind an endpoint (type 2).</summary>
internal static class ProposalEArmProperty
{
    public const int TypeNumber = 2;

    public static Field Idr0 => new(63, 32, "idr0");

    public static Field Idr1 => new(95, 64, "idr1");

    public static Field Idr3 => new(127, 96, "idr3");

    public static Field Idr5 => new(159, 128, "idr5");

    public static readonly Layout Layout = new(
        "virtio-iommu/proposalE/arm_property",
        160,
        RequestHead.ProposalE + ", probe of hardware, Arm; value layout assumed",
        [
            LayoutField.Value(ProbeProperty.Type, "property type, its low 12 bits", (TypeNumber, "ARM")),
            LayoutField.Value(ProbeProperty.Length, "bytes after this field, 16"),
            LayoutField.Value(Idr0, "SMMU_IDR0"),
            LayoutField.Value(Idr1, "SMMU_IDR1; SSIDSIZE 10:6"),
            LayoutField.Value(Idr3, "SMMU_IDR3"),
            LayoutField.Value(Idr5, "SMMU_IDR5"),
        ]);
}
