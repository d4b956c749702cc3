// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Formats;

// PROPOSAL B (not standard): J.-P. Brucker, v0.9-devel header of the Linux branch; feature bit 5, which the standard
// gives to MMIO. DriverBytes is what the driver writes of a request: all but the tail.

/// <summary>Proposal B: puts an endpoint into a domain whose PASID table has the SMMUv3 format.</summary>
/// <remarks>Meaning of s1fmt, s1dss, s1contextptr, s1cdmax: Arm SMMUv3 (IHI 0070) section 5.2, the STE.</remarks>
internal static class ProposalBAttachPstArm
{
    public const int DriverBytes = 76;

    /// <summary>The number of the SMMUv3 format among PASID table formats.</summary>
    public const ushort FormatArmSmmuV3 = 2;
    public static Field Format => new(111, 96, "format", "PASID table format");
    public static Field S1Fmt => new(119, 112, "s1fmt", "shape of the table");
    public static Field S1Dss => new(127, 120, "s1dss", "requests without a PASID");
    public static Field S1ContextPtr => new(191, 128, "s1contextptr", "byte address of the table");
    public static Field S1CdMax => new(223, 192, "s1cdmax", "log2 of the number of context descriptors");

    public static readonly Layout Layout = RequestHead.AttachTable(
        "proposalB/attach_pst_arm", 640, RequestHead.ProposalB + ", ATTACH of an Arm PASID table", [
            Value(Format, (FormatArmSmmuV3, "ARM_SMMUV3")),
            Value(S1Fmt, (0, "linear"), (1, "two-level, 4 KiB leaves"), (2, "two-level, 64 KiB leaves")),
            Value(S1Dss, (0, "terminated"), (1, "bypass stage 1"), (2, "use CD 0")),
            S1ContextPtr, S1CdMax, Reserved(607, 224),
        ],
        RequestHead.HasValue(Format, FormatArmSmmuV3),
        RequestHead.OnlyValues(S1Fmt, 0, 2),
        RequestHead.OnlyValues(S1Dss, 0, 2));
}

/// <summary>Proposal B: invalidates what the device caches of a domain's tables.</summary>
/// <remarks>The sources at hand do not say how a u8 holds the granule; it is taken as log2 of its bytes, the only
/// reading under which 4096 fits.</remarks>
internal static class ProposalBInvalidate
{
    public const int DriverBytes = 60;
    public const ushort ScopeDomain = 1;
    public const ushort ScopePasid = 2;
    public const ushort ScopeVa = 4;

    /// <summary>Flag: configuration (table entries) instead of translations.</summary>
    public const ushort FlagConfig = 1;

    /// <summary>Flag: only the last level changed.</summary>
    public const ushort FlagLeaf = 2;
    public static Field Scope => new(47, 32, "scope", "what is invalidated");
    public static Field Flags => new(63, 48, "flags", "CONFIG 1, LEAF 2");
    public static Field Domain => new(95, 64, "domain", "domain id");
    public static Field Pasid => new(127, 96, "pasid", "PASID, for scopes PASID and VA");
    public static Field Id => new(191, 128, "id", "tag of the translations (Arm: the ASID)");
    public static Field VirtStart => new(255, 192, "virt_start", "first byte of the range, for scope VA");
    public static Field NrPages => new(319, 256, "nr_pages", "pages of the range, for scope VA");
    public static Field Granule => new(327, 320, "granule", "log2 of the page size in bytes, for scope VA (assumed)");

    public static readonly Layout Layout = RequestHead.Request(
        "proposalB/invalidate", 512, RequestHead.ProposalB + ", INVALIDATE", RequestType.Invalidate, "INVALIDATE", [
            Value(Scope, (1, "DOMAIN"), (2, "PASID"), (4, "VA")),
            Value(Flags, (1, "CONFIG"), (2, "LEAF"), (3, "CONFIG|LEAF")),
            Domain, Pasid, Id, VirtStart, NrPages, Granule, Reserved(479, 328),
        ],
        RequestHead.OneOf(Scope, ScopeDomain, ScopePasid, ScopeVa),
        RequestHead.OnlyFlags(Flags, FlagConfig | FlagLeaf));
}

/// <summary>Proposal B: PASID width of an endpoint (property 5).</summary>
/// <remarks>The value layouts of the properties are ASSUMED: the sources at hand give names and numbers only.</remarks>
internal static class ProposalBPasidSizeProperty
{
    public const int TypeNumber = 5;
    public static Field Bits => new(39, 32, "bits", "PASID width in bits");

    public static readonly Layout Layout = ProbeProperty.ProposalB(
        TypeNumber, "PASID_SIZE", 64,
        [Bits, Reserved(63, 40)]);
}

/// <summary>Proposal B: a PASID table format that the endpoint can use, one property for each (property 7).</summary>
internal static class ProposalBPasidTableFormatProperty
{
    public const int TypeNumber = 7;
    public static Field Format => new(47, 32, "format", "table format");

    public static readonly Layout Layout = ProbeProperty.ProposalB(
        TypeNumber, "PASID_TABLE_FMT", 64, [
            Value(Format, (ProposalBAttachPstArm.FormatArmSmmuV3, "ARM_SMMUV3")),
            Reserved(63, 48),
        ]);
}
