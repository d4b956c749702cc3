// SPDX-License-Identifier: Apache-2.0
// Arm IHI 0070 (SMMUv3), issue H.a era, section 5.4 "Context Descriptor": 512 bits, 64-byte aligned.
// Word 5 (PARTID, PMG) and the words after it belong to features that this framework does not use: written as 0.

namespace PasidFramework.Drivers.ArmSmmu.Formats;

/// <summary>Context descriptor (CD): the page tables of one substream, that is of one PASID.</summary>
internal static class ContextDescriptor
{
    /// <summary>Size in bytes, log2.</summary>
    public const int BytesLog2 = 6;

    /// <summary>Size in bytes.</summary>
    public const int Bytes = 1 << BytesLog2;

    /// <summary>Size in 64-bit words.</summary>
    public const int Words = Bytes / 8;

    /// <summary>TG0: 4 KiB pages.</summary>
    public const ulong Granule4K = 0;

    /// <summary>
    /// The memory attributes that Linux gives process page tables: index 0 = 0x44 (not cacheable), 1 = 0xff
    /// (write-back), 2 = 0x04 (device).
    /// </summary>
    public const ulong LinuxMair = 0x04_ff44;
    public static Field T0SZ => new(5, 0, "T0SZ");
    public static Field TG0 => new(7, 6, "TG0");
    public static Field IR0 => new(9, 8, "IR0");
    public static Field OR0 => new(11, 10, "OR0");
    public static Field SH0 => new(13, 12, "SH0");
    public static Field EPD0 => new(14, 14, "EPD0");
    public static Field ENDI => new(15, 15, "ENDI");
    public static Field T1SZ => new(21, 16, "T1SZ");
    public static Field TG1 => new(23, 22, "TG1");
    public static Field IR1 => new(25, 24, "IR1");
    public static Field OR1 => new(27, 26, "OR1");
    public static Field SH1 => new(29, 28, "SH1");
    public static Field EPD1 => new(30, 30, "EPD1");
    public static Field V => new(31, 31, "V");
    public static Field IPS => new(34, 32, "IPS");
    public static Field AFFD => new(35, 35, "AFFD");
    public static Field WXN => new(36, 36, "WXN");
    public static Field UWXN => new(37, 37, "UWXN");
    public static Field TBI0 => new(38, 38, "TBI0");
    public static Field TBI1 => new(39, 39, "TBI1");
    public static Field PAN => new(40, 40, "PAN");
    public static Field AA64 => new(41, 41, "AA64");
    public static Field HD => new(42, 42, "HD");
    public static Field HA => new(43, 43, "HA");
    public static Field S => new(44, 44, "S");
    public static Field R => new(45, 45, "R");
    public static Field A => new(46, 46, "A");
    public static Field ASET => new(47, 47, "ASET");
    public static Field ASID => new(63, 48, "ASID");
    public static Field NSCFG0 => new(64, 64, "NSCFG0");
    public static Field HAD0 => new(65, 65, "HAD0");
    public static Field E0PD0 => new(66, 66, "E0PD0");
    public static Field HAFT => new(67, 67, "HAFT");
    public static Field TTB0 => new(119, 68, "TTB0");
    public static Field PnCH => new(122, 122, "PnCH");
    public static Field EPAN => new(123, 123, "EPAN");
    public static Field NSCFG1 => new(128, 128, "NSCFG1");
    public static Field HAD1 => new(129, 129, "HAD1");
    public static Field E0PD1 => new(130, 130, "E0PD1");
    public static Field AIE => new(131, 131, "AIE");
    public static Field TTB1 => new(179, 132, "TTB1");
    public static Field DS => new(186, 186, "DS");
    public static Field PIE => new(187, 187, "PIE");
    public static Field MAIR => new(255, 192, "MAIR");
    public static Field AMAIR => new(319, 256, "AMAIR");

    public static readonly Layout Layout = new(
        "arm-smmuv3/cd",
        512,
        "Arm IHI 0070 5.4",
        [
            LayoutField.Value(T0SZ, "TTB0 covers 64 - T0SZ bits of address").Reads(Covered),
            LayoutField.Value(TG0, "granule of TTB0", (Granule4K, "4 KiB"), (1, "64 KiB"), (2, "16 KiB")),
            LayoutField.Value(IR0, "inner cacheability of TTB0 walks", WalkAttributes.Cacheability),
            LayoutField.Value(OR0, "outer cacheability of TTB0 walks", WalkAttributes.Cacheability),
            LayoutField.Value(SH0, "shareability of TTB0 walks", WalkAttributes.Shareability),
            LayoutField.Value(EPD0, "TTB0 is not walked: its addresses fault"),
            LayoutField.Value(ENDI, "page tables are big-endian"),
            LayoutField.Value(T1SZ, "TTB1 covers 64 - T1SZ bits of address").Reads(Covered),
            LayoutField.Value(TG1, "granule of TTB1", (1, "16 KiB"), (2, "4 KiB"), (3, "64 KiB")),
            LayoutField.Value(IR1, "inner cacheability of TTB1 walks", WalkAttributes.Cacheability),
            LayoutField.Value(OR1, "outer cacheability of TTB1 walks", WalkAttributes.Cacheability),
            LayoutField.Value(SH1, "shareability of TTB1 walks", WalkAttributes.Shareability),
            LayoutField.Value(EPD1, "TTB1 is not walked: its addresses fault"),
            LayoutField.Value(V, "the descriptor is valid"),
            LayoutField.Value(
                IPS,
                "size of output addresses",
                (0, "32 bits"),
                (1, "36 bits"),
                (2, "40 bits"),
                (3, "42 bits"),
                (4, "44 bits"),
                (5, "48 bits"),
                (6, "52 bits")),
            LayoutField.Value(AFFD, "access flag faults are off"),
            LayoutField.Value(WXN, "writable memory is never executable"),
            LayoutField.Value(UWXN, "memory that EL0 can write is never executable at EL1"),
            LayoutField.Value(TBI0, "the top byte of TTB0 addresses is ignored"),
            LayoutField.Value(TBI1, "the top byte of TTB1 addresses is ignored"),
            LayoutField.Value(PAN, "privileged accesses may not touch EL0 memory"),
            LayoutField.Value(AA64, "page tables are AArch64"),
            LayoutField.Value(HD, "hardware updates the dirty state"),
            LayoutField.Value(HA, "hardware updates the access flag"),
            LayoutField.Value(S, "faults stall"),
            LayoutField.Value(R, "faults are recorded"),
            LayoutField.Value(A, "faults abort; 0: reads return 0 and writes are ignored"),
            LayoutField.Value(ASET, "the ASID is private; 0: shared with the CPUs"),
            LayoutField.Value(ASID, "tag of the translations"),
            LayoutField.Value(NSCFG0, "non-secure attribute of TTB0 walks"),
            LayoutField.Value(HAD0, "hierarchical attributes of TTB0 are off"),
            LayoutField.Value(E0PD0, "EL0 accesses to TTB0 addresses fault"),
            LayoutField.Value(HAFT, "hardware updates access flags of tables"),
            LayoutField.Address(TTB0, "page table for low addresses"),
            LayoutField.Reserved(121, 120),
            LayoutField.Value(PnCH, "protected attribute"),
            LayoutField.Value(EPAN, "PAN extends to memory that EL0 can execute"),
            LayoutField.Reserved(127, 124),
            LayoutField.Value(NSCFG1, "non-secure attribute of TTB1 walks"),
            LayoutField.Value(HAD1, "hierarchical attributes of TTB1 are off"),
            LayoutField.Value(E0PD1, "EL0 accesses to TTB1 addresses fault"),
            LayoutField.Value(AIE, "attribute index extension"),
            LayoutField.Address(TTB1, "page table for high addresses"),
            LayoutField.Reserved(185, 180),
            LayoutField.Value(DS, "52-bit descriptors with small granules"),
            LayoutField.Value(PIE, "permission indirection"),
            LayoutField.Reserved(191, 188),
            LayoutField.Value(MAIR, "eight memory attributes"),
            LayoutField.Value(AMAIR, "implementation defined attributes"),
            LayoutField.Reserved(383, 320, "PARTID, PMG and the like, written as 0"),
            LayoutField.Reserved(511, 384),
        ],
        Check);

    // Illegal on every implementation; what depends on the ID registers is the walker's business.
    private static void Check(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        if (words.Get(V) == 0)
        {
            return;
        }

        if (words.Get(EPD0) == 0)
        {
            CheckTable(words, T0SZ, TG0, 3, TTB0, found);
        }

        if (words.Get(EPD1) == 0)
        {
            CheckTable(words, T1SZ, TG1, 0, TTB1, found);
        }
    }

    private static void CheckTable(
        ReadOnlySpan<ulong> words,
        Field inputSize,
        Field granule,
        ulong reservedGranule,
        Field table,
        ICollection<Violation> found)
    {
        // 52-bit input addresses: with the 64 KiB granule, or where DS makes room for them.
        ulong size = words.Get(inputSize);
        const ulong Granule64Of0 = 1;
        const ulong Granule64Of1 = 3;
        bool wide = words.Get(DS) == 1 || words.Get(granule) == (reservedGranule == 0 ? Granule64Of1 : Granule64Of0);
        if (size > 39 || size < (wide ? 12UL : 16UL))
        {
            found.Add(new Violation(
                inputSize.Mnemonic, Text($"is {size}, legal are 16 to 39, from 12 with DS or 64 KiB pages (5.4)")));
        }

        if (words.Get(granule) == reservedGranule)
        {
            found.Add(new Violation(granule.Mnemonic, Text($"is {reservedGranule}, a reserved encoding (5.4)")));
        }

        int ips = (int)words.Get(IPS);
        ulong root = words.GetAddress(table);
        if (root >> OutputBits(ips) != 0)
        {
            found.Add(new Violation(
                table.Mnemonic, Text($"0x{root:x} is outside of the {OutputBits(ips)} bits of IPS {ips} (5.4)")));
        }
    }

    private static string Covered(ulong size) => size is 0 or > 63 ? "all" : Text($"{64 - size} bits");

    /// <summary>Address bits of an encoding of IPS (and of IDR5.OAS, which is coded alike).</summary>
    /// <param name="encoding">0 to 7.</param>
    public static int OutputBits(int encoding) => encoding switch
    {
        0 => 32,
        1 => 36,
        2 => 40,
        3 => 42,
        4 => 44,
        5 => 48,
        6 => 52,
        _ => 56,
    };
}
