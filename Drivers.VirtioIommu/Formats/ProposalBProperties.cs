using PasidFramework.Records;

namespace PasidFramework.Drivers.VirtioIommu.Formats;

// PROPOSAL B (not standard): J.-P. Brucker, v0.9-devel header of the Linux branch. The value layouts are ASSUMED: the
// sources at hand give names and numbers only. Fields start where the standard's RESV_MEM has its own of that size.

/// <summary>Proposal B: page sizes that an endpoint's mappings can have (property 2).</summary>
internal static class ProposalBPageSizeMaskProperty
{
    public const int TypeNumber = 2;

    /// <summary>Bytes after the length.</summary>
    public const int ValueBytes = 12;

    public static Field Mask => new(127, 64, "mask");

    public static readonly Layout Layout = new(
        "virtio-iommu/proposalB/page_size_mask_property",
        128,
        RequestHead.ProposalB + ", property PAGE_SIZE_MASK; value layout assumed",
        [
            ProbeProperty.TypeField(TypeNumber, "PAGE_SIZE_MASK"),
            ProbeProperty.LengthField(ValueBytes),
            LayoutField.Reserved(63, 32),
            LayoutField.Value(Mask, "bit n: pages of 2^n bytes"),
        ],
        ProbeProperty.HasTypeAndLength(TypeNumber, ValueBytes));
}

/// <summary>Proposal B: addresses that an endpoint can use (property 3).</summary>
internal static class ProposalBInputRangeProperty
{
    public const int TypeNumber = 3;

    /// <summary>Bytes after the length.</summary>
    public const int ValueBytes = 20;

    public static Field Start => new(127, 64, "start");

    public static Field End => new(191, 128, "end");

    public static readonly Layout Layout = new(
        "virtio-iommu/proposalB/input_range_property",
        192,
        RequestHead.ProposalB + ", property INPUT_RANGE; value layout assumed",
        [
            ProbeProperty.TypeField(TypeNumber, "INPUT_RANGE"),
            ProbeProperty.LengthField(ValueBytes),
            LayoutField.Reserved(63, 32),
            LayoutField.Value(Start, "first byte of the range"),
            LayoutField.Value(End, "last byte of the range"),
        ],
        ProbeProperty.HasTypeAndLength(TypeNumber, ValueBytes),
        MapRequest.EndNotBelowStart(Start, End));
}

/// <summary>Proposal B: width of the addresses that tables may hold (property 4).</summary>
internal static class ProposalBOutputSizeProperty
{
    public const int TypeNumber = 4;

    /// <summary>Bytes after the length.</summary>
    public const int ValueBytes = 4;

    public static Field Bits => new(39, 32, "bits");

    public static readonly Layout Layout = new(
        "virtio-iommu/proposalB/output_size_property",
        64,
        RequestHead.ProposalB + ", property OUTPUT_SIZE; value layout assumed",
        [
            ProbeProperty.TypeField(TypeNumber, "OUTPUT_SIZE"),
            ProbeProperty.LengthField(ValueBytes),
            LayoutField.Value(Bits, "output address width in bits"),
            LayoutField.Reserved(63, 40),
        ],
        ProbeProperty.HasTypeAndLength(TypeNumber, ValueBytes));
}

/// <summary>Proposal B: PASID width of an endpoint (property 5).</summary>
internal static class ProposalBPasidSizeProperty
{
    public const int TypeNumber = 5;

    /// <summary>Bytes after the length.</summary>
    public const int ValueBytes = 4;

    public static Field Bits => new(39, 32, "bits");

    public static readonly Layout Layout = new(
        "virtio-iommu/proposalB/pasid_size_property",
        64,
        RequestHead.ProposalB + ", property PASID_SIZE; value layout assumed",
        [
            ProbeProperty.TypeField(TypeNumber, "PASID_SIZE"),
            ProbeProperty.LengthField(ValueBytes),
            LayoutField.Value(Bits, "PASID width in bits"),
            LayoutField.Reserved(63, 40),
        ],
        ProbeProperty.HasTypeAndLength(TypeNumber, ValueBytes));
}

/// <summary>Proposal B: a page table format that the endpoint can use, one property for each (property 6).</summary>
internal static class ProposalBPageTableFormatProperty
{
    public const int TypeNumber = 6;

    /// <summary>Bytes after the length.</summary>
    public const int ValueBytes = 4;

    public static Field Format => new(47, 32, "format");

    public static readonly Layout Layout = new(
        "virtio-iommu/proposalB/page_table_fmt_property",
        64,
        RequestHead.ProposalB + ", property PAGE_TABLE_FMT; value layout assumed",
        [
            ProbeProperty.TypeField(TypeNumber, "PAGE_TABLE_FMT"),
            ProbeProperty.LengthField(ValueBytes),
            LayoutField.Value(Format, "table format", (ProposalBAttachPgtArm.FormatArmLpae, "ARM_LPAE")),
            LayoutField.Reserved(63, 48),
        ],
        ProbeProperty.HasTypeAndLength(TypeNumber, ValueBytes));
}

/// <summary>Proposal B: a PASID table format that the endpoint can use, one property for each (property 7).</summary>
internal static class ProposalBPasidTableFormatProperty
{
    public const int TypeNumber = 7;

    /// <summary>Bytes after the length.</summary>
    public const int ValueBytes = 4;

    public static Field Format => new(47, 32, "format");

    public static readonly Layout Layout = new(
        "virtio-iommu/proposalB/pasid_table_fmt_property",
        64,
        RequestHead.ProposalB + ", property PASID_TABLE_FMT; value layout assumed",
        [
            ProbeProperty.TypeField(TypeNumber, "PASID_TABLE_FMT"),
            ProbeProperty.LengthField(ValueBytes),
            LayoutField.Value(Format, "table format", (ProposalBAttachPstArm.FormatArmSmmuV3, "ARM_SMMUV3")),
            LayoutField.Reserved(63, 48),
        ],
        ProbeProperty.HasTypeAndLength(TypeNumber, ValueBytes));
}
