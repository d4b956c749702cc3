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
        "proposalA/attach_table", 672, RequestHead.ProposalA + ", ATTACH_TABLE; positions after flags assumed", [
            Value(AttachRequest.Flags, "PASID_TABLE 1, PAGE_TABLE 2", (1, "PASID_TABLE"), (2, "PAGE_TABLE")),
            Value(new(191, 128, "base"), "byte address of the table"),
            Value(new(223, 192, "size"), "size of the table; its unit is not known"),
            Value(new(231, 224, "format"), "table format"),
            Ignored(639, 232, "reserved, and by format; positions not known"),
        ],
        RequestHead.OnlyFlags(AttachRequest.Flags, 3));

    /// <summary>The common part; the bytes that the header calls reserved belong to the format.</summary>
    public static readonly Layout AttachTableB = RequestHead.AttachTable(
        "proposalB/attach_table", 640, RequestHead.ProposalB + ", ATTACH_TABLE, common part", [
            Value(ProposalBAttachPstArm.Format, "what the rest is", (FormatArmLpae, "page table ARM_LPAE"),
                (ProposalBAttachPstArm.FormatArmSmmuV3, "PASID table ARM_SMMUV3")),
            Ignored(607, 112, "by format"),
        ]);

    // tcr, ttbr0, ttbr1 and mair are the registers that an Arm SMMUv3 (IHI 0070) section 5.4 context descriptor stands
    // for; how tcr packs its fields is not said by the sources at hand.
    public static readonly Layout AttachPgtArmB = RequestHead.AttachTable(
        "proposalB/attach_pgt_arm", 640, RequestHead.ProposalB + ", ATTACH of an Arm page table", [
            .. ArmPageTable(),
            Value(new(255, 192, "ttbr0"), "TTBR0, the table of the lower addresses"),
            Value(new(319, 256, "ttbr1"), "TTBR1, the table of the upper addresses"),
            Value(new(383, 320, "mair"), "MAIR, the memory attributes"),
            Reserved(607, 384),
        ],
        RequestHead.HasValue(ProposalBAttachPstArm.Format, FormatArmLpae));

    // The value layouts of proposal B's properties are ASSUMED: the sources at hand give names and numbers only. Fields
    // start where the standard's RESV_MEM has its own of that size.
    public static readonly Layout PageSizeMaskB = ProbeProperty.ProposalB(
        2, "PAGE_SIZE_MASK", 128,
        [Reserved(63, 32), Value(new(127, 64, "mask"), "bit n: pages of 2^n bytes")]);

    public static readonly Layout InputRangeB = ProbeProperty.ProposalB(
        3, "INPUT_RANGE", 192, [
            Reserved(63, 32), ResvMemProperty.Start, ResvMemProperty.End,
        ],
        RequestHead.EndNotBelowStart(ResvMemProperty.Start, ResvMemProperty.End));

    public static readonly Layout OutputSizeB = ProbeProperty.ProposalB(
        4, "OUTPUT_SIZE", 64,
        [Value(new(39, 32, "bits"), "output address width in bits"), Reserved(63, 40)]);

    public static readonly Layout PageTableFormatB = ProbeProperty.ProposalB(
        6, "PAGE_TABLE_FMT", 64, [
            Value(new(47, 32, "format"), "table format", (FormatArmLpae, "ARM_LPAE")),
            Reserved(63, 48),
        ]);

    // The sources at hand say "as B, with a single ttbr": the positions after asid, and that the request is as long as
    // B's, are read from that. Its other attach is B's attach_pst_arm.
    public static readonly Layout AttachPgtArmC = RequestHead.AttachTable(
        "proposalC/attach_pgt_arm", 640,
        RequestHead.ProposalC + ", ATTACH of an Arm page table; positions after asid assumed", [
            .. ArmPageTable(),
            Value(new(255, 192, "ttbr"), "TTBR, the page table"),
            Value(new(319, 256, "mair"), "MAIR, the memory attributes"),
            Reserved(607, 320),
        ],
        RequestHead.HasValue(ProposalBAttachPstArm.Format, FormatArmLpae));

    // The sources at hand give no values for inv_gran, and no unit for granule, which is taken as log2 of the bytes, as
    // in proposal B.
    public static readonly Layout InvalidateC = RequestHead.Request(
        "proposalC/invalidate", 512, RequestHead.ProposalC + ", INVALIDATE", RequestType.Invalidate, "INVALIDATE", [
            Value(new(47, 32, "inv_gran"), "granularity; its values are not known"),
            Value(InvTypeC, (1, "IOTLB"), (2, "DEV_IOTLB"), (4, "PASID")),
            Value(InvFlagsC, (1, "PASID"), (2, "ARCHID"), (4, "LEAF")),
            Reserved(95, 80),
            Value(new(127, 96, "domain"), "domain id"),
            Value(new(159, 128, "pasid"), "PASID, if flag PASID"),
            Reserved(191, 160),
            Value(new(255, 192, "archid"), "tag of the translations (Arm: the ASID), if flag ARCHID"),
            Value(new(319, 256, "virt_start"), "first byte of the range"),
            Value(new(383, 320, "nr_pages"), "pages of the range"),
            Value(new(391, 384, "granule"), "log2 of the page size in bytes (assumed)"),
            Reserved(479, 392),
        ],
        RequestHead.OnlyFlags(InvTypeC, 7),
        RequestHead.OnlyFlags(InvFlagsC, 7));

    /// <summary>Answers a page request of an endpoint; the sources name no flag, so none is called unknown.</summary>
    public static readonly Layout PageResponseD = RequestHead.Request(
        "proposalD/page_resp", 320, RequestHead.ProposalD + ", PAGE_RESP", RequestType.PageResponse, "PAGE_RESP", [
            Value(RequestHead.Domain, "domain id"),
            RequestHead.Endpoint,
            Value(new(127, 96, "flags"), "flags; their values are not known"),
            Value(new(159, 128, "pasid"), "PASID of the request, if pasid_valid"),
            Value(new(191, 160, "grpid"), "page request group"),
            Value(ResponseCodeD, (0, "SUCCESS"), (1, "INVALID"), (2, "FAILURE")),
            Value(PasidValidD, (0, "no"), (1, "yes")),
            Reserved(287, 216),
        ],
        RequestHead.OnlyValues(ResponseCodeD, 0, 2),
        RequestHead.OnlyValues(PasidValidD, 0, 1));

    // A record of the event queue, as the page request RFC's review wanted it. reason and flags are taken as in the
    // standard's fault event, which it extends; the sources at hand give neither their positions nor values of their
    // own, so no flag is called unknown. private_data has two elements: a field holds at most 64 bits.
    public static readonly Layout PageRequestD = new(
        "virtio-iommu/proposalD/page_request", 384,
        RequestHead.ProposalD + ", page request event as its review proposed it; positions of reason and flags assumed",
        [
            Value(FaultEvent.Reason, "kind of the event; the value of a page request is not known"),
            Reserved(31, 8),
            Value(FaultEvent.Flags, "flags; their values are not known"),
            FaultEvent.Endpoint, FaultEvent.Pasid, FaultEvent.Address,
            Value(new(207, 192, "group_id"), "page request group, for the answer"),
            Reserved(255, 208),
            Value(new(319, 256, "private_data0"), "opaque, first word"),
            Value(new(383, 320, "private_data1"), "opaque, second word"),
        ]);

    private static Field InvTypeC => new(63, 48, "inv_type", "IOTLB 1, DEV_IOTLB 2, PASID 4");
    private static Field InvFlagsC =>
        new(79, 64, "flags", "PASID 1 (pasid is valid), ARCHID 2 (archid is valid), LEAF 4");
    private static Field ResponseCodeD => new(207, 192, "resp_code", "what became of the request");
    private static Field PasidValidD => new(215, 208, "pasid_valid", "whether pasid is valid");

    private static LayoutField[] ArmPageTable() =>
    [
        Value(ProposalBAttachPstArm.Format, "page table format", (FormatArmLpae, "ARM_LPAE")),
        Value(new(127, 112, "asid"), "ASID of the translations"),
        Value(new(191, 128, "tcr"), "TCR word of the context descriptor"),
    ];
}
