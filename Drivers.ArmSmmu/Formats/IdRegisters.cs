// SPDX-License-Identifier: Apache-2.0
// Arm IHI 0070 (SMMUv3), issue H.a era, section 6.3: identification registers, 32 bits each. Bits that neither the
// driver nor the stand-in hardware uses are declared as ignored.

namespace PasidFramework.Drivers.ArmSmmu.Formats;

/// <summary>What an implementation can do.</summary>
internal static class IdRegisters
{
    public static Field S2P => new(0, 0, "S2P");
    public static Field S1P => new(1, 1, "S1P");
    public static Field TTF => new(3, 2, "TTF");
    public static Field COHACC => new(4, 4, "COHACC");
    public static Field BTM => new(5, 5, "BTM");
    public static Field HTTU => new(7, 6, "HTTU");
    public static Field HYP => new(9, 9, "HYP");
    public static Field ATS => new(10, 10, "ATS");
    public static Field ASID16 => new(12, 12, "ASID16");
    public static Field MSI => new(13, 13, "MSI");
    public static Field SEV => new(14, 14, "SEV");
    public static Field PRI => new(16, 16, "PRI");
    public static Field VMID16 => new(18, 18, "VMID16");
    public static Field CD2L => new(19, 19, "CD2L");
    public static Field TTENDIAN => new(22, 21, "TTENDIAN");
    public static Field STALL_MODEL => new(25, 24, "STALL_MODEL");
    public static Field TERM_MODEL => new(26, 26, "TERM_MODEL");
    public static Field ST_LEVEL => new(28, 27, "ST_LEVEL");
    public static Field SIDSIZE => new(5, 0, "SIDSIZE");
    public static Field SSIDSIZE => new(10, 6, "SSIDSIZE");
    public static Field PRIQS => new(15, 11, "PRIQS");
    public static Field EVTQS => new(20, 16, "EVTQS");
    public static Field CMDQS => new(25, 21, "CMDQS");
    public static Field ATTR_PERMS_OVR => new(26, 26, "ATTR_PERMS_OVR");
    public static Field ATTR_TYPES_OVR => new(27, 27, "ATTR_TYPES_OVR");
    public static Field REL => new(28, 28, "REL");
    public static Field QUEUES_PRESET => new(29, 29, "QUEUES_PRESET");
    public static Field TABLES_PRESET => new(30, 30, "TABLES_PRESET");
    public static Field HAD => new(2, 2, "HAD");
    public static Field PBHA => new(3, 3, "PBHA");
    public static Field XNX => new(4, 4, "XNX");
    public static Field PPS => new(5, 5, "PPS");
    public static Field FWB => new(8, 8, "FWB");
    public static Field STT => new(9, 9, "STT");
    public static Field RIL => new(10, 10, "RIL");
    public static Field BBML => new(12, 11, "BBML");
    public static Field OAS => new(2, 0, "OAS");
    public static Field GRAN4K => new(4, 4, "GRAN4K");
    public static Field GRAN16K => new(5, 5, "GRAN16K");
    public static Field GRAN64K => new(6, 6, "GRAN64K");
    public static Field VAX => new(11, 10, "VAX");
    public static Field STALL_MAX => new(31, 16, "STALL_MAX");

    public static readonly Layout Idr0 = new(
        "arm-smmuv3/idr0",
        32,
        "Arm IHI 0070 6.3",
        [
            LayoutField.Value(S2P, "stage 2"),
            LayoutField.Value(S1P, "stage 1"),
            LayoutField.Value(TTF, "translation table formats", (1, "AArch32"), (2, "AArch64"), (3, "both")),
            LayoutField.Value(COHACC, "tables and queues are read coherently"),
            LayoutField.Value(BTM, "broadcast TLB maintenance"),
            LayoutField.Value(HTTU, "hardware updates access flag (1) and dirty state (2)"),
            LayoutField.Ignored(8, 8),
            LayoutField.Value(HYP, "EL2 translations"),
            LayoutField.Value(ATS, "ATS"),
            LayoutField.Ignored(11, 11),
            LayoutField.Value(ASID16, "16-bit ASIDs; 0: 8-bit"),
            LayoutField.Value(MSI, "message interrupts"),
            LayoutField.Value(SEV, "events wake CPUs"),
            LayoutField.Ignored(15, 15),
            LayoutField.Value(PRI, "page requests"),
            LayoutField.Ignored(17, 17),
            LayoutField.Value(VMID16, "16-bit VMIDs"),
            LayoutField.Value(CD2L, "two-level context descriptor tables"),
            LayoutField.Ignored(20, 20),
            LayoutField.Value(TTENDIAN, "endianness of page tables"),
            LayoutField.Ignored(23, 23),
            LayoutField.Value(
                STALL_MODEL, "stalls", (0, "stall and terminate"), (1, "no stalls"), (2, "stalls are forced")),
            LayoutField.Value(TERM_MODEL, "CD.A must be 1"),
            LayoutField.Value(ST_LEVEL, "stream table levels", (0, "linear"), (1, "two levels")),
            LayoutField.Ignored(31, 29),
        ],
        CheckStallModel);

    public static readonly Layout Idr1 = new(
        "arm-smmuv3/idr1",
        32,
        "Arm IHI 0070 6.3",
        [
            LayoutField.Value(SIDSIZE, "StreamID bits"),
            LayoutField.Value(SSIDSIZE, "SubstreamID bits, 0: none"),
            LayoutField.Value(PRIQS, "log2 of the largest PRI queue"),
            LayoutField.Value(EVTQS, "log2 of the largest event queue"),
            LayoutField.Value(CMDQS, "log2 of the largest command queue"),
            LayoutField.Value(ATTR_PERMS_OVR, "permission attributes can be overridden"),
            LayoutField.Value(ATTR_TYPES_OVR, "memory type attributes can be overridden"),
            LayoutField.Value(REL, "preset bases are relative"),
            LayoutField.Value(QUEUES_PRESET, "queue bases are fixed"),
            LayoutField.Value(TABLES_PRESET, "table bases are fixed"),
            LayoutField.Ignored(31, 31),
        ],
        CheckSizes);

    public static readonly Layout Idr3 = new(
        "arm-smmuv3/idr3",
        32,
        "Arm IHI 0070 6.3",
        [
            LayoutField.Ignored(1, 0),
            LayoutField.Value(HAD, "hierarchical attributes can be disabled"),
            LayoutField.Value(PBHA, "page-based hardware attributes"),
            LayoutField.Value(XNX, "EL0 and EL1 execute control at stage 2"),
            LayoutField.Value(PPS, "page request auto-responses carry a PASID"),
            LayoutField.Ignored(7, 6),
            LayoutField.Value(FWB, "stage 2 forced write-back"),
            LayoutField.Value(STT, "small translation tables"),
            LayoutField.Value(RIL, "range invalidation"),
            LayoutField.Value(BBML, "break-before-make level"),
            LayoutField.Ignored(31, 13),
        ]);

    public static readonly Layout Idr5 = new(
        "arm-smmuv3/idr5",
        32,
        "Arm IHI 0070 6.3",
        [
            LayoutField.Value(
                OAS,
                "output address size",
                (0, "32 bits"),
                (1, "36 bits"),
                (2, "40 bits"),
                (3, "42 bits"),
                (4, "44 bits"),
                (5, "48 bits"),
                (6, "52 bits")),
            LayoutField.Ignored(3, 3),
            LayoutField.Value(GRAN4K, "4 KiB granule"),
            LayoutField.Value(GRAN16K, "16 KiB granule"),
            LayoutField.Value(GRAN64K, "64 KiB granule"),
            LayoutField.Ignored(9, 7),
            LayoutField.Value(VAX, "virtual address extension"),
            LayoutField.Ignored(15, 12),
            LayoutField.Value(STALL_MAX, "most stalled transactions"),
        ]);

    private static void CheckStallModel(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        if (words.Get(STALL_MODEL) == 3)
        {
            found.Add(new Violation(STALL_MODEL.Mnemonic, "is 3, a reserved encoding (6.3)"));
        }
    }

    private static void CheckSizes(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        Check(SSIDSIZE, Pasid.MaxBits, words, found);
        Check(SIDSIZE, 32, words, found);

        static void Check(Field field, ulong limit, ReadOnlySpan<ulong> words, ICollection<Violation> found)
        {
            if (words.Get(field) > limit)
            {
                found.Add(new Violation(field.Mnemonic, Text($"is {words.Get(field)}, at most {limit} (6.3)")));
            }
        }
    }

    /// <summary>Every layout of an ID register.</summary>
    public static IReadOnlyList<Layout> All { get; } = [Idr0, Idr1, Idr3, Idr5];
}
