using PasidFramework.Records;

namespace PasidFramework.Drivers.VirtioIommu.Formats;

// PROPOSAL E (not standard): later draft, Qualcomm tree header and vSMMU driver. The positions are ASSUMED: the sources
// at hand give the type and name the four registers, Arm SMMUv3 (IHI 0070) chapter 6.

/// <summary>Proposal E: the SMMUv3 identification registers of the hardware behind an endpoint (type 2).</summary>
internal static class ProposalEArmProperty
{
    public const int TypeNumber = 2;

    /// <summary>Bytes after the length.</summary>
    public const int ValueBytes = 16;

    public static Field Idr0 => new(63, 32, "idr0");

    public static Field Idr1 => new(95, 64, "idr1");

    public static Field Idr3 => new(127, 96, "idr3");

    public static Field Idr5 => new(159, 128, "idr5");

    public static readonly Layout Layout = new(
        "virtio-iommu/proposalE/arm_property",
        160,
        RequestHead.ProposalE + ", probe of hardware, Arm; value layout assumed",
        [
            ProbeProperty.TypeField(TypeNumber, "ARM"),
            ProbeProperty.LengthField(ValueBytes),
            LayoutField.Value(Idr0, "SMMU_IDR0"),
            LayoutField.Value(Idr1, "SMMU_IDR1; SSIDSIZE 10:6"),
            LayoutField.Value(Idr3, "SMMU_IDR3"),
            LayoutField.Value(Idr5, "SMMU_IDR5"),
        ],
        ProbeProperty.HasTypeAndLength(TypeNumber, ValueBytes));
}
