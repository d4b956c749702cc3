// SPDX-License-Identifier: Apache-2.0
// Arm IHI 0070 (SMMUv3), issue H.a era, section 5.4 "Context Descriptor": 512 bits, 64-byte aligned.
// Word 5 (PARTID, PMG) and the words after it belong to features that this framework does not use: written as 0.

namespace PasidFramework.Drivers.ArmSmmu.Formats;

/// <summary>Context descriptor (CD): the page tables of one substream, that is of one PASID.</summary>
internal static class ContextDescriptor
{
    public const int BytesLog2 = 6;
    public const int Bytes = 1 << BytesLog2;
    public const int Words = Bytes / 8;
    public const ulong Granule4K = 0;

    /// <summary>
    /// The memory attributes that Linux gives process page tables: index 0 = 0x44 (not cacheable), 1 = 0xff
    /// (write-back), 2 = 0x04 (device).
    /// </summary>
    public const ulong LinuxMair = 0x04_ff44;
    public static Field T0SZ => new(5, 0, "T0SZ", "TTB0 covers 64 - T0SZ bits of address");
    public static Field TG0 => new(7, 6, "TG0", "granule of TTB0");
    public static Field IR0 => new(9, 8, "IR0", "inner cacheability of TTB0 walks");
    public static Field OR0 => new(11, 10, "OR0", "outer cacheability of TTB0 walks");
    public static Field SH0 => new(13, 12, "SH0", "shareability of TTB0 walks");
    public static Field EPD0 => new(14, 14, "EPD0", "TTB0 is not walked: its addresses fault");
    public static Field ENDI => new(15, 15, "ENDI", "page tables are big-endian");
    public static Field T1SZ => new(21, 16, "T1SZ", "TTB1 covers 64 - T1SZ bits of address");
    public static Field TG1 => new(23, 22, "TG1", "granule of TTB1");
    public static Field IR1 => new(25, 24, "IR1", "inner cacheability of TTB1 walks");
    public static Field OR1 => new(27, 26, "OR1", "outer cacheability of TTB1 walks");
    public static Field SH1 => new(29, 28, "SH1", "shareability of TTB1 walks");
    public static Field EPD1 => new(30, 30, "EPD1", "TTB1 is not walked: its addresses fault");
    public static Field V => new(31, 31, "V", "the descriptor is valid");
    public static Field IPS => new(34, 32, "IPS", "size of output addresses");
    public static Field AFFD => new(35, 35, "AFFD", "access flag faults are off");
    public static Field WXN => new(36, 36, "WXN", "writable memory is never executable");
    public static Field UWXN => new(37, 37, "UWXN", "memory that EL0 can write is never executable at EL1");
    public static Field TBI0 => new(38, 38, "TBI0", "the top byte of TTB0 addresses is ignored");
    public static Field TBI1 => new(39, 39, "TBI1", "the top byte of TTB1 addresses is ignored");
    public static Field PAN => new(40, 40, "PAN", "privileged accesses may not touch EL0 memory");
    public static Field AA64 => new(41, 41, "AA64", "page tables are AArch64");
    public static Field HD => new(42, 42, "HD", "hardware updates the dirty state");
    public static Field HA => new(43, 43, "HA", "hardware updates the access flag");
    public static Field S => new(44, 44, "S", "faults stall");
    public static Field R => new(45, 45, "R", "faults are recorded");
    public static Field A => new(46, 46, "A", "faults abort; 0: reads return 0 and writes are ignored");
    public static Field ASET => new(47, 47, "ASET", "the ASID is private; 0: shared with the CPUs");
    public static Field ASID => new(63, 48, "ASID", "tag of the translations");
    public static Field NSCFG0 => new(64, 64, "NSCFG0", "non-secure attribute of TTB0 walks");
    public static Field HAD0 => new(65, 65, "HAD0", "hierarchical attributes of TTB0 are off");
    public static Field E0PD0 => new(66, 66, "E0PD0", "EL0 accesses to TTB0 addresses fault");
    public static Field HAFT => new(67, 67, "HAFT", "hardware updates access flags of tables");
    public static Field TTB0 => new(119, 68, "TTB0", "page table for low addresses");
    public static Field PnCH => new(122, 122, "PnCH", "protected attribute");
    public static Field EPAN => new(123, 123, "EPAN", "PAN extends to memory that EL0 can execute");
    public static Field NSCFG1 => new(128, 128, "NSCFG1", "non-secure attribute of TTB1 walks");
    public static Field HAD1 => new(129, 129, "HAD1", "hierarchical attributes of TTB1 are off");
    public static Field E0PD1 => new(130, 130, "E0PD1", "EL0 accesses to TTB1 addresses fault");
    public static Field AIE => new(131, 131, "AIE", "attribute index extension");
    public static Field TTB1 => new(179, 132, "TTB1", "page table for high addresses");
    public static Field DS => new(186, 186, "DS", "52-bit descriptors with small granules");
    public static Field PIE => new(187, 187, "PIE", "permission indirection");
    public static Field MAIR => new(255, 192, "MAIR", "eight memory attributes");
    public static Field AMAIR => new(319, 256, "AMAIR", "implementation defined attributes");

    public static readonly Layout Layout = new("arm-smmuv3/cd", 512, "Arm IHI 0070 5.4", [
        Value(T0SZ).Reads(Covered),
        Value(TG0, (Granule4K, "4 KiB"), (1, "64 KiB"), (2, "16 KiB")),
        Value(IR0, WalkAttributes.Cacheability),
        Value(OR0, WalkAttributes.Cacheability),
        Value(SH0, WalkAttributes.Shareability),
        EPD0, ENDI,
        Value(T1SZ).Reads(Covered),
        Value(TG1, (1, "16 KiB"), (2, "4 KiB"), (3, "64 KiB")),
        Value(IR1, WalkAttributes.Cacheability),
        Value(OR1, WalkAttributes.Cacheability),
        Value(SH1, WalkAttributes.Shareability),
        EPD1, V,
        Value(
            IPS, (0, "32 bits"), (1, "36 bits"), (2, "40 bits"), (3, "42 bits"), (4, "44 bits"), (5, "48 bits"),
            (6, "52 bits")),
        AFFD, WXN, UWXN, TBI0, TBI1, PAN, AA64, HD, HA, S, R, A, ASET, ASID, NSCFG0, HAD0, E0PD0, HAFT,
        Address(TTB0), Reserved(121, 120), PnCH, EPAN, Reserved(127, 124), NSCFG1, HAD1, E0PD1, AIE, Address(TTB1),
        Reserved(185, 180), DS, PIE, Reserved(191, 188), MAIR, AMAIR,
        Reserved(383, 320, "PARTID, PMG and the like, written as 0"), Reserved(511, 384),
    ], Check);

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
            found.Add(inputSize, $"is {size}, legal are 16 to 39, from 12 with DS or 64 KiB pages (5.4)");
        }

        if (words.Get(granule) == reservedGranule)
        {
            found.Add(granule, $"is {reservedGranule}, a reserved encoding (5.4)");
        }

        int ips = (int)words.Get(IPS);
        ulong root = words.GetAddress(table);
        if (root >> OutputBits(ips) != 0)
        {
            found.Add(table, $"0x{root:x} is outside of the {OutputBits(ips)} bits of IPS {ips} (5.4)");
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
