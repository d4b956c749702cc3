// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Formats;

// PROPOSAL E (not standard): later draft, Qualcomm tree header and vSMMU driver; feature bit 7. ste0 and ste1 are the
// first two words of an Arm SMMUv3 (IHI 0070) section 5.2 stream table entry. DriverBytes is what the driver writes of
// a request: all but the tail.

/// <summary>Proposal E: puts an endpoint into a domain described by two raw words of a stream table entry.</summary>
internal static class ProposalEAttachArmSmmu3
{
    public const int DriverBytes = 124;

    /// <summary>The number of the SMMUv3 format among attach formats.</summary>
    public const byte FormatArmSmmu3 = 1;
    public static Field Format => new(103, 96, "format", "what the descriptor is");
    public static Field Ste0 => new(191, 128, "ste0", "word 0 of the stream table entry");
    public static Field Ste1 => new(255, 192, "ste1", "word 1 of the stream table entry");

    public static readonly Layout Layout = RequestHead.AttachTable(
        "proposalE/attach_arm_smmu3", 1024, RequestHead.ProposalE + ", ATTACH_TABLE for Arm SMMUv3", [
            FormatField(), Reserved(127, 104), Ste0, Ste1, Reserved(991, 256),
        ],
        RequestHead.HasValue(Format, FormatArmSmmu3));

    /// <summary>What is common to every ATTACH_TABLE; where the descriptor begins is known for Arm alone.</summary>
    public static readonly Layout Common = RequestHead.AttachTable(
        "proposalE/attach_table", 1024, RequestHead.ProposalE + ", ATTACH_TABLE, common part",
        [FormatField(), Ignored(991, 104, "descriptor, by format")]);

    private static LayoutField FormatField() => Value(Format,
        (FormatArmSmmu3, "ARM_SMMU3"), (2, "INTEL"), (4, "RISCV"), (5, "AMD_GCR3"), (6, "AMD_PT"));
}

/// <summary>Proposal E: invalidates what the device caches of a domain's tables.</summary>
/// <remarks>page_size is taken as log2 of its bytes, as the granule of proposal B: the sources at hand give one byte
/// for it and no unit.</remarks>
internal static class ProposalEInvalidate
{
    public const int DriverBytes = 60;
    public const byte ScopeDomain = 1;
    public const byte ScopePasid = 2;
    public const byte ScopeAddress = 3;
    public const byte CachePasid = 1;
    public const byte CacheTlb = 2;

    /// <summary>Flag: only the last level changed.</summary>
    public const ushort FlagLeaf = 1;

    /// <summary>Flag: the field pasid is valid.</summary>
    public const ushort FlagPasid = 2;

    /// <summary>Flag: the field id is valid.</summary>
    public const ushort FlagId = 4;

    /// <summary>Flag: global translations too.</summary>
    public const ushort FlagGlobal = 8;
    public static Field Scope => new(39, 32, "scope", "what is invalidated");
    public static Field Caches => new(47, 40, "caches", "PASID 1, TLB 2");
    public static Field Flags => new(63, 48, "flags", "LEAF 1, PASID 2, ID 4, GLOBAL 8");
    public static Field Domain => new(95, 64, "domain", "domain id");
    public static Field Pasid => new(127, 96, "pasid", "PASID, if flag PASID");
    public static Field Id => new(191, 128, "id", "tag of the translations (Arm: the ASID), if flag ID");
    public static Field Address => new(255, 192, "address", "first byte of the range, for scope ADDRESS");
    public static Field NrPages => new(319, 256, "nr_pages", "pages of the range, for scope ADDRESS");
    public static Field PageSize =>
        new(327, 320, "page_size", "log2 of the page size in bytes, for scope ADDRESS (assumed)");

    public static readonly Layout Layout = RequestHead.Request(
        "proposalE/invalidate", 512, RequestHead.ProposalE + ", INVALIDATE", RequestType.Invalidate, "INVALIDATE", [
            Value(Scope, (1, "DOMAIN"), (2, "PASID"), (3, "ADDRESS")),
            Value(Caches, (1, "PASID"), (2, "TLB"), (3, "PASID|TLB")),
            Flags, Domain, Pasid, Id, Address, NrPages, PageSize, Reserved(479, 328),
        ],
        RequestHead.OnlyValues(Scope, ScopeDomain, ScopeAddress),
        RequestHead.OnlyFlags(Caches, CachePasid | CacheTlb),
        RequestHead.OnlyFlags(Flags, FlagLeaf | FlagPasid | FlagId | FlagGlobal));
}

/// <summary>Proposal E: the SMMUv3 identification registers of the hardware behind an endpoint (type 2).</summary>
/// <remarks>The positions are ASSUMED: the sources at hand give the type and name the four registers, IHI 0070
/// chapter 6.</remarks>
internal static class ProposalEArmProperty
{
    public const int TypeNumber = 2;
    public static Field Idr0 => new(63, 32, "idr0", "SMMU_IDR0");
    public static Field Idr1 => new(95, 64, "idr1", "SMMU_IDR1; SSIDSIZE 10:6");
    public static Field Idr5 => new(159, 128, "idr5", "SMMU_IDR5");

    public static readonly Layout Layout = ProbeProperty.Property(
        "proposalE/arm_property", 160, RequestHead.ProposalE + ", probe of hardware, Arm; value layout assumed",
        TypeNumber, "ARM", [
            Idr0, Idr1,
            Value(new(127, 96, "idr3"), "SMMU_IDR3"),
            Idr5,
        ]);
}
