// SPDX-License-Identifier: Apache-2.0
// Arm IHI 0070 (SMMUv3), issue H.a era, section 6.3: identification registers, 32 bits each. Bits that neither the
// driver nor the stand-in hardware uses are declared as ignored.

namespace PasidFramework.Drivers.ArmSmmu.Formats;

/// <summary>What an implementation can do.</summary>
internal static class IdRegisters
{
    public static Field S2P => new(0, 0, "S2P", "stage 2");
    public static Field S1P => new(1, 1, "S1P", "stage 1");
    public static Field TTF => new(3, 2, "TTF", "translation table formats");
    public static Field COHACC => new(4, 4, "COHACC", "tables and queues are read coherently");
    public static Field BTM => new(5, 5, "BTM", "broadcast TLB maintenance");
    public static Field HTTU => new(7, 6, "HTTU", "hardware updates access flag (1) and dirty state (2)");
    public static Field HYP => new(9, 9, "HYP", "EL2 translations");
    public static Field ATS => new(10, 10, "ATS", "ATS");
    public static Field ASID16 => new(12, 12, "ASID16", "16-bit ASIDs; 0: 8-bit");
    public static Field MSI => new(13, 13, "MSI", "message interrupts");
    public static Field SEV => new(14, 14, "SEV", "events wake CPUs");
    public static Field PRI => new(16, 16, "PRI", "page requests");
    public static Field VMID16 => new(18, 18, "VMID16", "16-bit VMIDs");
    public static Field CD2L => new(19, 19, "CD2L", "two-level context descriptor tables");
    public static Field TTENDIAN => new(22, 21, "TTENDIAN", "endianness of page tables");
    public static Field STALL_MODEL => new(25, 24, "STALL_MODEL", "stalls");
    public static Field TERM_MODEL => new(26, 26, "TERM_MODEL", "CD.A must be 1");
    public static Field ST_LEVEL => new(28, 27, "ST_LEVEL", "stream table levels");
    public static Field SIDSIZE => new(5, 0, "SIDSIZE", "StreamID bits");
    public static Field SSIDSIZE => new(10, 6, "SSIDSIZE", "SubstreamID bits, 0: none");
    public static Field PRIQS => new(15, 11, "PRIQS", "log2 of the largest PRI queue");
    public static Field EVTQS => new(20, 16, "EVTQS", "log2 of the largest event queue");
    public static Field CMDQS => new(25, 21, "CMDQS", "log2 of the largest command queue");
    public static Field ATTR_PERMS_OVR => new(26, 26, "ATTR_PERMS_OVR", "permission attributes can be overridden");
    public static Field ATTR_TYPES_OVR => new(27, 27, "ATTR_TYPES_OVR", "memory type attributes can be overridden");
    public static Field REL => new(28, 28, "REL", "preset bases are relative");
    public static Field QUEUES_PRESET => new(29, 29, "QUEUES_PRESET", "queue bases are fixed");
    public static Field TABLES_PRESET => new(30, 30, "TABLES_PRESET", "table bases are fixed");
    public static Field HAD => new(2, 2, "HAD", "hierarchical attributes can be disabled");
    public static Field PBHA => new(3, 3, "PBHA", "page-based hardware attributes");
    public static Field XNX => new(4, 4, "XNX", "EL0 and EL1 execute control at stage 2");
    public static Field PPS => new(5, 5, "PPS", "page request auto-responses carry a PASID");
    public static Field FWB => new(8, 8, "FWB", "stage 2 forced write-back");
    public static Field STT => new(9, 9, "STT", "small translation tables");
    public static Field RIL => new(10, 10, "RIL", "range invalidation");
    public static Field BBML => new(12, 11, "BBML", "break-before-make level");
    public static Field OAS => new(2, 0, "OAS", "output address size");
    public static Field GRAN4K => new(4, 4, "GRAN4K", "4 KiB granule");
    public static Field GRAN16K => new(5, 5, "GRAN16K", "16 KiB granule");
    public static Field GRAN64K => new(6, 6, "GRAN64K", "64 KiB granule");
    public static Field VAX => new(11, 10, "VAX", "virtual address extension");
    public static Field STALL_MAX => new(31, 16, "STALL_MAX", "most stalled transactions");

    public static readonly Layout Idr0 = new("arm-smmuv3/idr0", 32, "Arm IHI 0070 6.3", [
        S2P, S1P,
        Value(TTF, (1, "AArch32"), (2, "AArch64"), (3, "both")),
        COHACC, BTM, HTTU, Ignored(8, 8), HYP, ATS, Ignored(11, 11), ASID16, MSI, SEV, Ignored(15, 15), PRI,
        Ignored(17, 17), VMID16, CD2L, Ignored(20, 20), TTENDIAN, Ignored(23, 23),
        Value(STALL_MODEL, (0, "stall and terminate"), (1, "no stalls"), (2, "stalls are forced")),
        TERM_MODEL,
        Value(ST_LEVEL, (0, "linear"), (1, "two levels")),
        Ignored(31, 29),
    ], CheckStallModel);

    public static readonly Layout Idr1 = new("arm-smmuv3/idr1", 32, "Arm IHI 0070 6.3", [
        SIDSIZE, SSIDSIZE, PRIQS, EVTQS, CMDQS, ATTR_PERMS_OVR, ATTR_TYPES_OVR, REL, QUEUES_PRESET, TABLES_PRESET,
        Ignored(31, 31),
    ], CheckSizes);

    public static readonly Layout Idr3 = new("arm-smmuv3/idr3", 32, "Arm IHI 0070 6.3", [
        Ignored(1, 0), HAD, PBHA, XNX, PPS, Ignored(7, 6), FWB, STT, RIL, BBML, Ignored(31, 13),
    ]);

    public static readonly Layout Idr5 = new("arm-smmuv3/idr5", 32, "Arm IHI 0070 6.3", [
        Value(
            OAS, (0, "32 bits"), (1, "36 bits"), (2, "40 bits"), (3, "42 bits"), (4, "44 bits"), (5, "48 bits"),
            (6, "52 bits")),
        Ignored(3, 3), GRAN4K, GRAN16K, GRAN64K, Ignored(9, 7), VAX, Ignored(15, 12), STALL_MAX,
    ]);

    private static void CheckStallModel(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        if (words.Get(STALL_MODEL) == 3)
        {
            found.Add(STALL_MODEL, "is 3, a reserved encoding (6.3)");
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
                found.Add(field, $"is {words.Get(field)}, at most {limit} (6.3)");
            }
        }
    }

    public static IReadOnlyList<Layout> All { get; } = [Idr0, Idr1, Idr3, Idr5];
}
