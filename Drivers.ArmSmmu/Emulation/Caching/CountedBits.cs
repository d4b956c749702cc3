// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Drivers.ArmSmmu.Emulation.Caching;

/// <summary>
/// Which bits of a stream table entry or a context descriptor count for the model, in bit numbers of the 512-bit entry
/// (Arm IHI 0070 3.21, 5.2, 5.4, 13.5).
/// </summary>
/// <remarks>
/// Written a second time on purpose, without the rules that the driver's writer goes by: a bit that is
/// forgotten there would be forgotten by its judge as well. A test compares the two.
/// </remarks>
internal static class CountedBits
{
    // Format, pointer, CDMax; S1DSS to S1CSH; MEV; S1STALLD to STRW; VMID.
    private static readonly (int Msb, int Lsb)[] s_stage1 =
        [(55, 4), (63, 59), (71, 64), (83, 83), (95, 91), (143, 128)];

    // MEV; S2FWB; EATS; SHCFG; VMID; S2T0SZ to S2ENDI; S2PTW; S2S and S2R; S2TTB.
    private static readonly (int Msb, int Lsb)[] s_stage2 =
    [
        (83, 83), (89, 89), (93, 92), (109, 108), (143, 128), (180, 160), (182, 182), (186, 185), (247, 196),
    ];

    // T0SZ, TG0 and the attributes of walks through TTB0; TTB0.
    private static readonly (int Msb, int Lsb)[] s_lowTable = [(13, 0), (119, 68)];

    /// <summary>Whether an entry is valid: bit 0 of a stream table entry, bit 31 of a context descriptor.</summary>
    public static bool IsValid(ReadOnlySpan<ulong> entry, bool isContext) =>
        (entry[0] >> (isContext ? 31 : 0) & 1) != 0;

    /// <summary>Marks the bits that count.</summary>
    /// <param name="counted">Eight words, overwritten.</param>
    public static void Find(ReadOnlySpan<ulong> entry, bool isContext, Span<ulong> counted)
    {
        counted.Clear();
        if (!IsValid(entry, isContext))
        {
            counted[0] = isContext ? 1UL << 31 : 1;
            return;
        }

        if (isContext)
        {
            counted.Fill(ulong.MaxValue);
            if ((entry[0] >> 14 & 1) != 0)
            {
                Put(counted, s_lowTable, false);
            }

            return;
        }

        // V and Config: bit 1 is stage 1, bit 2 stage 2, bit 3 neither aborts.
        Put(counted, [(3, 0)], true);
        ulong config = entry[0] >> 1 & 7;
        bool hasStage1 = config is 5 or 7;
        if (hasStage1)
        {
            Put(counted, s_stage1, true);
        }

        if (config is 6 or 7)
        {
            Put(counted, s_stage2, true);
        }

        if (config == 4 || (hasStage1 && (entry[1] & 3) == 1))
        {
            // What bypasses takes its shareability from SHCFG.
            Put(counted, [(109, 108)], true);
        }
    }

    /// <summary>Marks the bits that may be the old or the new ones at any moment: MEV, and the bit of full ATS where
    /// neither entry has split-stage ATS or stalls of stage 2.</summary>
    /// <param name="free">Eight words, overwritten.</param>
    public static void FindFree(ReadOnlySpan<ulong> entry, ReadOnlySpan<ulong> other, bool isContext, Span<ulong> free)
    {
        free.Clear();
        if (isContext)
        {
            return;
        }

        Put(free, [(83, 83)], true);
        bool isSplit = ((entry[1] | other[1]) >> 29 & 1) != 0;
        bool stalls = ((entry[2] | other[2]) >> 57 & 1) != 0;
        if (!isSplit && !stalls)
        {
            Put(free, [(92, 92)], true);
        }
    }

    private static void Put(Span<ulong> words, ReadOnlySpan<(int Msb, int Lsb)> ranges, bool value)
    {
        foreach ((int msb, int lsb) in ranges)
        {
            for (int bit = lsb; bit <= msb; bit++)
            {
                ulong mask = 1UL << (bit & 63);
                words[bit >> 6] = value ? words[bit >> 6] | mask : words[bit >> 6] & ~mask;
            }
        }
    }
}
