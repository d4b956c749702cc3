// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Formats;

// PROPOSALS (not standard) that no dialect of this driver writes, declared so that users can have them explained.

/// <summary>Structures of the proposals that this driver explains and does not use.</summary>
internal static class OtherProposals
{
    /// <summary>The number of the Arm LPAE format among page table formats of proposals B and C.</summary>
    private const ushort FormatArmLpae = 1;

    // The sources at hand give the position of flags and the order and sizes of what follows: base, size and format are
    // taken as following one another from byte 16. They give no position for Arm's s1fmt and s1dss, which lie somewhere
    // after format, so those bytes are not interpreted and not checked.
    public static readonly Layout AttachTableA = RequestHead.AttachTable(
        "proposalA/attach_table",
        672,
        RequestHead.ProposalA + ", ATTACH_TABLE; positions after flags assumed",
        [
            LayoutField.Value(
                AttachRequest.Flags, "PASID_TABLE 1, PAGE_TABLE 2", (1, "PASID_TABLE"), (2, "PAGE_TABLE")),
            LayoutField.Value(new(191, 128, "base"), "byte address of the table"),
            LayoutField.Value(new(223, 192, "size"), "size of the table; its unit is not known"),
            LayoutField.Value(new(231, 224, "format"), "table format"),
            LayoutField.Ignored(639, 232, "reserved, and by format; positions not known"),
        ],
        RequestHead.OnlyFlags(AttachRequest.Flags, 3));

    /// <summary>The common part; the bytes that the header calls reserved belong to the format.</summary>
    public static readonly Layout AttachTableB = RequestHead.AttachTable(
        "proposalB/attach_table",
        640,
        RequestHead.ProposalB + ", ATTACH_TABLE, common part",
        [
            LayoutField.Value(
                ProposalBAttachPstArm.Format,
                "what the rest is",
                (FormatArmLpae, "page table ARM_LPAE"),
                (ProposalBAttachPstArm.FormatArmSmmuV3, "PASID table ARM_SMMUV3")),
            LayoutField.Ignored(607, 112, "by format"),
        ]);

    // tcr, ttbr0, ttbr1 and mair are the registers that an Arm SMMUv3 (IHI 0070) section 5.4 context descriptor stands
    // for; how tcr packs its fields is not said by the sources at hand.
    public static readonly Layout AttachPgtArmB = RequestHead.AttachTable(
        "proposalB/attach_pgt_arm",
        640,
        RequestHead.ProposalB + ", ATTACH of an Arm page table",
        [
            .. ArmPageTable(),
            LayoutField.Value(new(255, 192, "ttbr0"), "TTBR0, the table of the lower addresses"),
            LayoutField.Value(new(319, 256, "ttbr1"), "TTBR1, the table of the upper addresses"),
            LayoutField.Value(new(383, 320, "mair"), "MAIR, the memory attributes"),
            LayoutField.Reserved(607, 384),
        ],
        RequestHead.HasValue(ProposalBAttachPstArm.Format, FormatArmLpae));

    // The value layouts of proposal B's properties are ASSUMED: the sources at hand give names and numbers only. Fields
    // start where the standard's RESV_MEM has its own of that size.
    public static readonly Layout PageSizeMaskB = ProbeProperty.Property(
        "proposalB/page_size_mask_property",
        128,
        RequestHead.ProposalB + ", property PAGE_SIZE_MASK; value layout assumed",
        2,
        "PAGE_SIZE_MASK",
        [LayoutField.Reserved(63, 32), LayoutField.Value(new(127, 64, "mask"), "bit n: pages of 2^n bytes")]);

    public static readonly Layout InputRangeB = ProbeProperty.Property(
        "proposalB/input_range_property",
        192,
        RequestHead.ProposalB + ", property INPUT_RANGE; value layout assumed",
        3,
        "INPUT_RANGE",
        [
            LayoutField.Reserved(63, 32),
            LayoutField.Value(ResvMemProperty.Start, "first byte of the range"),
            LayoutField.Value(ResvMemProperty.End, "last byte of the range"),
        ],
        RequestHead.EndNotBelowStart(ResvMemProperty.Start, ResvMemProperty.End));

    public static readonly Layout OutputSizeB = ProbeProperty.Property(
        "proposalB/output_size_property",
        64,
        RequestHead.ProposalB + ", property OUTPUT_SIZE; value layout assumed",
        4,
        "OUTPUT_SIZE",
        [LayoutField.Value(new(39, 32, "bits"), "output address width in bits"), LayoutField.Reserved(63, 40)]);

    public static readonly Layout PageTableFormatB = ProbeProperty.Property(
        "proposalB/page_table_fmt_property",
        64,
        RequestHead.ProposalB + ", property PAGE_TABLE_FMT; value layout assumed",
        6,
        "PAGE_TABLE_FMT",
        [
            LayoutField.Value(new(47, 32, "format"), "table format", (FormatArmLpae, "ARM_LPAE")),
            LayoutField.Reserved(63, 48),
        ]);

    // The sources at hand say "as B, with a single ttbr": the positions after asid, and that the request is as long as
    // B's, are read from that. Its other attach is B's attach_pst_arm.
    public static readonly Layout AttachPgtArmC = RequestHead.AttachTable(
        "proposalC/attach_pgt_arm",
        640,
        RequestHead.ProposalC + ", ATTACH of an Arm page table; positions after asid assumed",
        [
            .. ArmPageTable(),
            LayoutField.Value(new(255, 192, "ttbr"), "TTBR, the page table"),
            LayoutField.Value(new(319, 256, "mair"), "MAIR, the memory attributes"),
            LayoutField.Reserved(607, 320),
        ],
        RequestHead.HasValue(ProposalBAttachPstArm.Format, FormatArmLpae));

    // The sources at hand give no values for inv_gran, and no unit for granule, which is taken as log2 of the bytes, as
    // in proposal B.
    public static readonly Layout InvalidateC = RequestHead.Request(
        "proposalC/invalidate",
        512,
        RequestHead.ProposalC + ", INVALIDATE",
        RequestType.Invalidate,
        "INVALIDATE",
        [
            LayoutField.Value(new(47, 32, "inv_gran"), "granularity; its values are not known"),
            LayoutField.Value(
                InvTypeC, "IOTLB 1, DEV_IOTLB 2, PASID 4", (1, "IOTLB"), (2, "DEV_IOTLB"), (4, "PASID")),
            LayoutField.Value(
                InvFlagsC,
                "PASID 1 (pasid is valid), ARCHID 2 (archid is valid), LEAF 4",
                (1, "PASID"), (2, "ARCHID"), (4, "LEAF")),
            LayoutField.Reserved(95, 80),
            LayoutField.Value(new(127, 96, "domain"), "domain id"),
            LayoutField.Value(new(159, 128, "pasid"), "PASID, if flag PASID"),
            LayoutField.Reserved(191, 160),
            LayoutField.Value(new(255, 192, "archid"), "tag of the translations (Arm: the ASID), if flag ARCHID"),
            LayoutField.Value(new(319, 256, "virt_start"), "first byte of the range"),
            LayoutField.Value(new(383, 320, "nr_pages"), "pages of the range"),
            LayoutField.Value(new(391, 384, "granule"), "log2 of the page size in bytes (assumed)"),
            LayoutField.Reserved(479, 392),
        ],
        RequestHead.OnlyFlags(InvTypeC, 7),
        RequestHead.OnlyFlags(InvFlagsC, 7));

    /// <summary>Answers a page request of an endpoint; the sources name no flag, so none is called unknown.</summary>
    public static readonly Layout PageResponseD = RequestHead.Request(
        "proposalD/page_resp",
        320,
        RequestHead.ProposalD + ", PAGE_RESP",
        RequestType.PageResponse,
        "PAGE_RESP",
        [
            LayoutField.Value(RequestHead.Domain, "domain id"),
            LayoutField.Value(RequestHead.Endpoint, "endpoint id"),
            LayoutField.Value(new(127, 96, "flags"), "flags; their values are not known"),
            LayoutField.Value(new(159, 128, "pasid"), "PASID of the request, if pasid_valid"),
            LayoutField.Value(new(191, 160, "grpid"), "page request group"),
            LayoutField.Value(
                ResponseCodeD, "what became of the request", (0, "SUCCESS"), (1, "INVALID"), (2, "FAILURE")),
            LayoutField.Value(PasidValidD, "whether pasid is valid", (0, "no"), (1, "yes")),
            LayoutField.Reserved(287, 216),
        ],
        RequestHead.OnlyValues(ResponseCodeD, 0, 2),
        RequestHead.OnlyValues(PasidValidD, 0, 1));

    // A record of the event queue, as the page request RFC's review wanted it. reason and flags are taken as in the
    // standard's fault event, which it extends; the sources at hand give neither their positions nor values of their
    // own, so no flag is called unknown. private_data has two elements: a field holds at most 64 bits.
    public static readonly Layout PageRequestD = new(
        "virtio-iommu/proposalD/page_request",
        384,
        RequestHead.ProposalD + ", page request event as its review proposed it; positions of reason and flags assumed",
        [
            LayoutField.Value(FaultEvent.Reason, "kind of the event; the value of a page request is not known"),
            LayoutField.Reserved(31, 8),
            LayoutField.Value(FaultEvent.Flags, "flags; their values are not known"),
            LayoutField.Value(FaultEvent.Endpoint, "endpoint id"),
            LayoutField.Value(FaultEvent.Pasid, "PASID of the access"),
            LayoutField.Value(FaultEvent.Address, "untranslated address"),
            LayoutField.Value(new(207, 192, "group_id"), "page request group, for the answer"),
            LayoutField.Reserved(255, 208),
            LayoutField.Value(new(319, 256, "private_data0"), "opaque, first word"),
            LayoutField.Value(new(383, 320, "private_data1"), "opaque, second word"),
        ]);

    private static Field InvTypeC => new(63, 48, "inv_type");
    private static Field InvFlagsC => new(79, 64, "flags");
    private static Field ResponseCodeD => new(207, 192, "resp_code");
    private static Field PasidValidD => new(215, 208, "pasid_valid");

    private static LayoutField[] ArmPageTable() =>
    [
        LayoutField.Value(ProposalBAttachPstArm.Format, "page table format", (FormatArmLpae, "ARM_LPAE")),
        LayoutField.Value(new(127, 112, "asid"), "ASID of the translations"),
        LayoutField.Value(new(191, 128, "tcr"), "TCR word of the context descriptor"),
    ];
}
