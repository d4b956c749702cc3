// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Emulation.Functional;

/// <summary>Which entries an implementation refuses: C_BAD_STE and C_BAD_CD (Arm IHI 0070 5.2, 5.4, 7.3).</summary>
internal static class SmmuRules
{
    /// <summary>Checks a stream table entry against what the hardware supports.</summary>
    /// <returns>The fault; the default where the entry is legal.</returns>
    public static SmmuFault CheckStreamEntry(SmmuHardwareOptions options, ReadOnlySpan<ulong> ste)
    {
        if (ste.Get(StreamTableEntry.V) == 0)
        {
            return BadSte("V is 0");
        }

        ulong config = ste.Get(StreamTableEntry.Config);
        if (config < StreamTableEntry.ConfigBypass)
        {
            return default;
        }

        bool hasStage1 = config is StreamTableEntry.ConfigStage1 or StreamTableEntry.ConfigNested;
        bool hasStage2 = config is StreamTableEntry.ConfigStage2 or StreamTableEntry.ConfigNested;
        if (hasStage2 && !options.HasStage2)
        {
            return BadSte(Text($"Config {config} needs stage 2, IDR0.S2P is 0"));
        }

        ulong eats = ste.Get(StreamTableEntry.EATS);
        if (eats > StreamTableEntry.EatsSplit
            || (eats == StreamTableEntry.EatsSplit && config != StreamTableEntry.ConfigNested))
        {
            return BadSte(Text($"EATS {eats} is not possible here"));
        }

        if (hasStage1 && CheckStage1(options, ste) is { IsFault: true } first)
        {
            return first;
        }

        return hasStage2 ? CheckStage2(options, ste) : default;
    }

    /// <summary>Checks a context descriptor.</summary>
    public static SmmuFault CheckContext(SmmuHardwareOptions options, ReadOnlySpan<ulong> ste, ReadOnlySpan<ulong> cd)
    {
        if (cd.Get(ContextDescriptor.V) == 0)
        {
            return BadCd("V is 0");
        }

        if (cd.Get(ContextDescriptor.AA64) == 0)
        {
            return BadCd("AA64 is 0, IDR0.TTF has AArch64 only");
        }

        if (!options.HasWideAsids && cd.Get(ContextDescriptor.ASID) > 0xFF)
        {
            return BadCd(Text($"ASID 0x{cd.Get(ContextDescriptor.ASID):x} with IDR0.ASID16 0"));
        }

        if (cd.Get(ContextDescriptor.ENDI) != 0)
        {
            return BadCd("ENDI is 1, tables are little-endian");
        }

        if (cd.Get(ContextDescriptor.HA) != 0 || cd.Get(ContextDescriptor.HD) != 0)
        {
            return BadCd("HA or HD is 1, IDR0.HTTU is 0");
        }

        bool stalls = cd.Get(ContextDescriptor.S) != 0;
        if (stalls && (options.StallModel == 1 || ste.Get(StreamTableEntry.S1STALLD) != 0))
        {
            return BadCd(Text($"S is 1 with IDR0.STALL_MODEL {options.StallModel}"));
        }

        if (!stalls && options.StallModel == 2)
        {
            return BadCd("S is 0 with IDR0.STALL_MODEL 2");
        }

        if (cd.Get(ContextDescriptor.EPD0) == 0
            && CheckTable(options, cd, ContextDescriptor.T0SZ, ContextDescriptor.TG0, ContextDescriptor.TTB0, 0)
                is { IsFault: true } low)
        {
            return low;
        }

        return cd.Get(ContextDescriptor.EPD1) == 0
            ? CheckTable(options, cd, ContextDescriptor.T1SZ, ContextDescriptor.TG1, ContextDescriptor.TTB1, 1)
            : default;
    }

    /// <summary>log2 of the granule that TG0 or S2TG names; 0 for a reserved encoding.</summary>
    public static int GranuleShift(ulong encoding) => encoding switch
    {
        0 => 12,
        1 => 16,
        2 => 14,
        _ => 0,
    };

    /// <summary>log2 of the granule that TG1 names; 0 for a reserved encoding.</summary>
    public static int UpperGranuleShift(ulong encoding) => encoding switch
    {
        1 => 14,
        2 => 12,
        3 => 16,
        _ => 0,
    };

    /// <summary>Level at which a stage 2 walk starts; -1 for a reserved encoding of S2SL0.</summary>
    /// <param name="granuleShift">log2 of the granule.</param>
    public static int Stage2StartLevel(int granuleShift, ulong encoding) => encoding > 2
        ? -1
        : granuleShift == 12 ? 2 - (int)encoding : 3 - (int)encoding;

    private static SmmuFault CheckStage1(SmmuHardwareOptions options, ReadOnlySpan<ulong> ste)
    {
        int cdMax = (int)ste.Get(StreamTableEntry.S1CDMax);
        ulong format = ste.Get(StreamTableEntry.S1Fmt);
        if (cdMax > options.SubstreamBits)
        {
            return BadSte(Text($"S1CDMax {cdMax} is above IDR1.SSIDSIZE {options.SubstreamBits}"));
        }

        if (cdMax != 0 && (format == 3 || (format != StreamTableEntry.S1FmtLinear && !options.HasTwoLevelContexts)))
        {
            return BadSte(Text($"S1Fmt {format} is not possible here"));
        }

        if (cdMax != 0 && ste.Get(StreamTableEntry.S1DSS) == 3)
        {
            return BadSte("S1DSS 3 is reserved");
        }

        if (ste.Get(StreamTableEntry.S1STALLD) != 0 && options.StallModel != 0)
        {
            return BadSte(Text($"S1STALLD with IDR0.STALL_MODEL {options.StallModel}"));
        }

        ulong pointer = ste.GetAddress(StreamTableEntry.S1ContextPtr);
        return (pointer & (StreamTableEntry.ContextTableAlignment(format, cdMax) - 1)) == 0
            ? default
            : BadSte(Text($"S1ContextPtr 0x{pointer:x} is not aligned to the table"));
    }

    private static SmmuFault CheckStage2(SmmuHardwareOptions options, ReadOnlySpan<ulong> ste)
    {
        if (ste.Get(StreamTableEntry.S2AA64) == 0 || ste.Get(StreamTableEntry.S2ENDI) != 0)
        {
            return BadSte("S2AA64 is 0 or S2ENDI is 1");
        }

        if (ste.Get(StreamTableEntry.S2HA) != 0 || ste.Get(StreamTableEntry.S2HD) != 0)
        {
            return BadSte("S2HA or S2HD is 1, IDR0.HTTU is 0");
        }

        if (ste.Get(StreamTableEntry.S2S) != 0
            && (options.StallModel == 1 || ste.Get(StreamTableEntry.EATS) == StreamTableEntry.EatsFull))
        {
            return BadSte(Text($"S2S is 1 with IDR0.STALL_MODEL {options.StallModel} or full ATS"));
        }

        int granule = GranuleShift(ste.Get(StreamTableEntry.S2TG));
        if (!options.HasGranule(granule))
        {
            return BadSte(Text($"S2TG {ste.Get(StreamTableEntry.S2TG)} is not supported"));
        }

        int start = Stage2StartLevel(granule, ste.Get(StreamTableEntry.S2SL0));
        int bits = 64 - (int)ste.Get(StreamTableEntry.S2T0SZ);
        if (start < 0 || bits is < 25 or > 48)
        {
            return BadSte(Text(
                $"S2SL0 {ste.Get(StreamTableEntry.S2SL0)} or S2T0SZ {ste.Get(StreamTableEntry.S2T0SZ)} is not "
                    + $"possible"));
        }

        // Up to 16 tables may stand side by side at the start level.
        int covered = granule + ((granule - 3) * (4 - start));
        if (bits > covered + 4 || bits <= covered - (granule - 3))
        {
            return BadSte(Text($"S2T0SZ {64 - bits} does not fit start level {start}"));
        }

        int output = Math.Min(ContextDescriptor.OutputBits((int)ste.Get(StreamTableEntry.S2PS)), options.OutputBits);
        ulong root = ste.GetAddress(StreamTableEntry.S2TTB);
        return root >> output == 0 ? default : BadSte(Text($"S2TTB 0x{root:x} is beyond {output} bits"));
    }

    private static SmmuFault CheckTable(
        SmmuHardwareOptions options, ReadOnlySpan<ulong> cd, Field inputSize, Field granule, Field table, int half)
    {
        ulong size = cd.Get(inputSize);
        if (size is < 16 or > 39)
        {
            return BadCd(Text($"{inputSize.Mnemonic} {size} is not 16 to 39"));
        }

        ulong encoding = cd.Get(granule);
        if (!options.HasGranule(half == 0 ? GranuleShift(encoding) : UpperGranuleShift(encoding)))
        {
            return BadCd(Text($"{granule.Mnemonic} {encoding} is a granule that IDR5 does not have"));
        }

        int bits = Math.Min(ContextDescriptor.OutputBits((int)cd.Get(ContextDescriptor.IPS)), options.OutputBits);
        ulong root = cd.GetAddress(table);
        return root >> bits == 0 ? default : BadCd(Text($"{table.Mnemonic} 0x{root:x} is beyond {bits} bits"));
    }

    private static SmmuFault BadSte(string reason) => new(SmmuEvent.C_BAD_STE, reason);
    private static SmmuFault BadCd(string reason) => new(SmmuEvent.C_BAD_CD, reason);
}
