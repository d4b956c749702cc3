// SPDX-License-Identifier: Apache-2.0
// Arm IHI 0070 (SMMUv3), issue H.a era, section 5.2 "Stream Table Entry": 512 bits, 64-byte aligned.
// Words 4 to 7 (MPAM, MEC, VMS, Secure stage 2) belong to features that this framework does not use: written as 0.
using System.Numerics;

namespace PasidFramework.Drivers.ArmSmmu.Formats;

/// <summary>Stream table entry (STE): what happens to the traffic of one StreamID.</summary>
internal static class StreamTableEntry
{
    public const int BytesLog2 = 6;
    public const int Bytes = 1 << BytesLog2;
    public const int Words = Bytes / 8;

    /// <summary>Config: bypass both stages. Values 0 to 3 abort without an event.</summary>
    public const ulong ConfigBypass = 4;
    public const ulong ConfigStage1 = 5;
    public const ulong ConfigStage2 = 6;
    public const ulong ConfigNested = 7;
    public const ulong S1FmtLinear = 0;
    public const ulong S1Fmt4KLeaf = 1;
    public const ulong S1Fmt64KLeaf = 2;
    public const ulong S1DssTerminate = 0;
    public const ulong S1DssBypass = 1;

    /// <summary>S1DSS: requests without a substream use descriptor 0; substream 0 itself is then invalid.</summary>
    public const ulong S1DssSubstream0 = 2;
    public const ulong EatsNone = 0;
    public const ulong EatsFull = 1;
    public const ulong EatsSplit = 2;
    public static Field V => new(0, 0, "V", "the entry is valid");
    public static Field Config => new(3, 1, "Config", "which stages translate; 0xx aborts without an event");
    public static Field S1Fmt => new(5, 4, "S1Fmt", "shape of the context descriptor table");
    public static Field S1ContextPtr => new(55, 6, "S1ContextPtr", "context descriptor table");
    public static Field S1CDMax =>
        new(63, 59, "S1CDMax", "the table has 2^S1CDMax context descriptors; 0: only descriptor 0");
    public static Field S1DSS => new(65, 64, "S1DSS", "requests without a substream");
    public static Field S1CIR => new(67, 66, "S1CIR", "inner cacheability of descriptor fetches");
    public static Field S1COR => new(69, 68, "S1COR", "outer cacheability of descriptor fetches");
    public static Field S1CSH => new(71, 70, "S1CSH", "shareability of descriptor fetches");
    public static Field DRE => new(76, 76, "DRE", "destructive reads are allowed");
    public static Field CONT => new(80, 77, "CONT", "contiguity hint, log2 of StreamIDs with the same entry");
    public static Field DCP => new(81, 81, "DCP", "directed cache prefetch is allowed");
    public static Field PPAR => new(82, 82, "PPAR", "page request auto-responses carry a PASID");
    public static Field MEV => new(83, 83, "MEV", "similar events may be merged");
    public static Field S2FWB => new(89, 89, "S2FWB", "stage 2 forces write-back");
    public static Field S1STALLD => new(91, 91, "S1STALLD", "stage 1 may not stall");
    public static Field EATS => new(93, 92, "EATS", "ATS");
    public static Field STRW => new(95, 94, "STRW", "translation regime");
    public static Field MemAttr => new(99, 96, "MemAttr", "memory type override");
    public static Field MTCFG => new(100, 100, "MTCFG", "whether MemAttr overrides the incoming type");
    public static Field ALLOCCFG => new(104, 101, "ALLOCCFG", "allocation hints override");
    public static Field SHCFG => new(109, 108, "SHCFG", "shareability override");
    public static Field NSCFG => new(111, 110, "NSCFG", "non-secure attribute override");
    public static Field PRIVCFG => new(113, 112, "PRIVCFG", "privileged attribute override");
    public static Field INSTCFG => new(115, 114, "INSTCFG", "instruction attribute override");
    public static Field S2VMID => new(143, 128, "S2VMID", "tag of stage 2 translations");
    public static Field S2T0SZ => new(165, 160, "S2T0SZ", "stage 2 input size is 64 - S2T0SZ bits");
    public static Field S2SL0 => new(167, 166, "S2SL0", "stage 2 start level");
    public static Field S2IR0 => new(169, 168, "S2IR0", "inner cacheability of stage 2 walks");
    public static Field S2OR0 => new(171, 170, "S2OR0", "outer cacheability of stage 2 walks");
    public static Field S2SH0 => new(173, 172, "S2SH0", "shareability of stage 2 walks");
    public static Field S2TG => new(175, 174, "S2TG", "stage 2 granule");
    public static Field S2PS => new(178, 176, "S2PS", "stage 2 output size");
    public static Field S2AA64 => new(179, 179, "S2AA64", "stage 2 tables are AArch64");
    public static Field S2ENDI => new(180, 180, "S2ENDI", "stage 2 tables are big-endian");
    public static Field S2AFFD => new(181, 181, "S2AFFD", "stage 2 access flag faults are off");
    public static Field S2PTW => new(182, 182, "S2PTW", "protected stage 1 walks");
    public static Field S2HD => new(183, 183, "S2HD", "hardware updates the dirty state");
    public static Field S2HA => new(184, 184, "S2HA", "hardware updates the access flag");
    public static Field S2S => new(185, 185, "S2S", "stage 2 faults stall");
    public static Field S2R => new(186, 186, "S2R", "stage 2 faults are recorded");
    public static Field S2TTB => new(247, 196, "S2TTB", "stage 2 page table");

    public static readonly Layout Layout = new("arm-smmuv3/ste", 512, "Arm IHI 0070 5.2", [
        V,
        Value(
            Config, (0, "abort"), (1, "abort"), (2, "abort"), (3, "abort"), (ConfigBypass, "bypass"),
            (ConfigStage1, "stage 1"), (ConfigStage2, "stage 2"), (ConfigNested, "stage 1 and 2")),
        Value(
            S1Fmt, (S1FmtLinear, "linear"), (S1Fmt4KLeaf, "two levels, 4 KiB leaves"),
            (S1Fmt64KLeaf, "two levels, 64 KiB leaves")),
        Address(S1ContextPtr), Reserved(58, 56),
        Value(S1CDMax).Reads(log2 => Text($"{1L << (int)log2} descriptors")),
        Value(
            S1DSS, (S1DssTerminate, "terminated"), (S1DssBypass, "bypass stage 1"),
            (S1DssSubstream0, "use descriptor 0")),
        Value(S1CIR, WalkAttributes.Cacheability),
        Value(S1COR, WalkAttributes.Cacheability),
        Value(S1CSH, WalkAttributes.Shareability),
        Reserved(75, 72), DRE, CONT, DCP, PPAR, MEV, Reserved(88, 84), S2FWB, Reserved(90, 90), S1STALLD,
        Value(EATS, (EatsNone, "none"), (EatsFull, "full"), (EatsSplit, "split-stage"), (3, "DPT")),
        Value(STRW, (0, "NS-EL1"), (2, "NS-EL2")),
        MemAttr, MTCFG, ALLOCCFG, Reserved(107, 105),
        Value(SHCFG, (0, "non"), (1, "use incoming"), (2, "outer"), (3, "inner")),
        NSCFG, PRIVCFG, INSTCFG, Reserved(127, 116), S2VMID, Reserved(159, 144),
        Value(S2T0SZ).Reads(size => size == 0 ? null : Text($"{64 - size} bits")),
        S2SL0,
        Value(S2IR0, WalkAttributes.Cacheability),
        Value(S2OR0, WalkAttributes.Cacheability),
        Value(S2SH0, WalkAttributes.Shareability),
        Value(S2TG, (0, "4 KiB"), (1, "64 KiB"), (2, "16 KiB")),
        Value(S2PS).Reads(size => Text($"{ContextDescriptor.OutputBits((int)size)} bits")),
        S2AA64, S2ENDI, S2AFFD, S2PTW, S2HD, S2HA, S2S, S2R, Reserved(191, 187), Reserved(195, 192),
        Address(S2TTB), Reserved(255, 248),
        Reserved(511, 256, "features of later revisions and of the Secure state, written as 0"),
    ], CheckStage1, CheckStage2, CheckAts);

    // Combinations that are illegal on every implementation; what depends on the ID registers is the walker's business.
    private static void CheckStage1(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        ulong config = words.Get(Config);
        if (words.Get(V) == 0 || config is not (ConfigStage1 or ConfigNested))
        {
            return;
        }

        int cdMax = (int)words.Get(S1CDMax);
        ulong format = words.Get(S1Fmt);
        if (cdMax > Pasid.MaxBits)
        {
            found.Add(S1CDMax, $"is {cdMax}, IDR1.SSIDSIZE is never above {Pasid.MaxBits} (5.2)");
        }

        if (format == 3 && cdMax != 0)
        {
            found.Add(S1Fmt, "is 3, a reserved encoding (5.2)");
        }

        if (words.Get(S1DSS) == 3 && cdMax != 0)
        {
            found.Add(S1DSS, "is 3, a reserved encoding (5.2)");
        }

        // With stage 2 the regime is NS-EL1 whatever STRW says.
        ulong regime = words.Get(STRW);
        if (config == ConfigStage1 && regime is (1 or 3))
        {
            found.Add(STRW, $"is {regime}, reserved in a Non-secure stream table (5.2)");
        }

        ulong pointer = words.GetAddress(S1ContextPtr);
        ulong alignment = ContextTableAlignment(format, cdMax);
        if ((pointer & (alignment - 1)) != 0)
        {
            found.Add(
                S1ContextPtr,
                $"0x{pointer:x} is not a multiple of 0x{alignment:x} (5.2, S1Fmt {format}, S1CDMax {cdMax})");
        }
    }

    private static void CheckStage2(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        if (words.Get(V) != 0 && words.Get(Config) is (ConfigStage2 or ConfigNested) && words.Get(S2TG) == 3)
        {
            found.Add(S2TG, "is 3, a reserved encoding (5.2)");
        }
    }

    private static void CheckAts(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        // The rest of an entry that aborts is ignored.
        if (words.Get(V) != 0 && words.Get(EATS) == EatsSplit
            && words.Get(Config) is >= ConfigBypass and not ConfigNested)
        {
            found.Add(EATS, "is 2 (split-stage ATS), which needs Config 111 (5.2)");
        }
    }

    /// <summary>Alignment of a context descriptor table in bytes (5.2, S1ContextPtr).</summary>
    public static ulong ContextTableAlignment(ulong format, int cdMax)
    {
        int leafBits = format switch
        {
            S1Fmt4KLeaf => 6,
            S1Fmt64KLeaf => 10,
            _ => -1,
        };
        return cdMax == 0 || leafBits < 0
            ? 1UL << (BytesLog2 + cdMax)
            : Math.Max((ulong)Bytes, BitOperations.RoundUpToPowerOf2(8UL << Math.Max(0, cdMax - leafBits)));
    }
}
