// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Tables;

/// <summary>What counts in a stream table entry (Arm IHI 0070 5.2, 13.5).</summary>
internal readonly struct StreamEntryRules : IEntryRules
{
    public static void Used(ReadOnlySpan<ulong> entry, Span<ulong> used)
    {
        Mark(used, StreamTableEntry.V);
        if (entry.Get(StreamTableEntry.V) == 0)
        {
            return;
        }

        Mark(used, StreamTableEntry.Config);
        ulong config = entry.Get(StreamTableEntry.Config);
        if (config is StreamTableEntry.ConfigStage1 or StreamTableEntry.ConfigNested)
        {
            Mark(used, StreamTableEntry.S1Fmt);
            Mark(used, StreamTableEntry.S1ContextPtr);
            Mark(used, StreamTableEntry.S1CDMax);
            Mark(used, StreamTableEntry.S1DSS);
            Mark(used, StreamTableEntry.S1CIR);
            Mark(used, StreamTableEntry.S1COR);
            Mark(used, StreamTableEntry.S1CSH);
            Mark(used, StreamTableEntry.S1STALLD);
            Mark(used, StreamTableEntry.STRW);
            Mark(used, StreamTableEntry.EATS);
            Mark(used, StreamTableEntry.MEV);
            Mark(used, StreamTableEntry.S2VMID);
            if (entry.Get(StreamTableEntry.S1DSS) == StreamTableEntry.S1DssBypass)
            {
                Mark(used, StreamTableEntry.SHCFG);
            }
        }

        if (config is StreamTableEntry.ConfigStage2 or StreamTableEntry.ConfigNested)
        {
            Mark(used, StreamTableEntry.S2FWB);
            Mark(used, StreamTableEntry.EATS);
            Mark(used, StreamTableEntry.SHCFG);
            Mark(used, StreamTableEntry.MEV);
            Mark(used, StreamTableEntry.S2VMID);
            Mark(used, StreamTableEntry.S2T0SZ);
            Mark(used, StreamTableEntry.S2SL0);
            Mark(used, StreamTableEntry.S2IR0);
            Mark(used, StreamTableEntry.S2OR0);
            Mark(used, StreamTableEntry.S2SH0);
            Mark(used, StreamTableEntry.S2TG);
            Mark(used, StreamTableEntry.S2PS);
            Mark(used, StreamTableEntry.S2AA64);
            Mark(used, StreamTableEntry.S2ENDI);
            Mark(used, StreamTableEntry.S2PTW);
            Mark(used, StreamTableEntry.S2S);
            Mark(used, StreamTableEntry.S2R);
            Mark(used, StreamTableEntry.S2TTB);
        }

        if (config == StreamTableEntry.ConfigBypass)
        {
            Mark(used, StreamTableEntry.SHCFG);
        }
    }

    /// <remarks>
    /// MEV only merges event records. Full ATS is switched while the device's own ATS is off; with split-stage ATS or
    /// stage 2 stalls on either side a mixture could be an illegal entry, so there EATS is not safe.
    /// </remarks>
    public static void Safe(ReadOnlySpan<ulong> current, ReadOnlySpan<ulong> target, Span<ulong> safe)
    {
        Mark(safe, StreamTableEntry.MEV);
        ulong ats = current.Get(StreamTableEntry.EATS) | target.Get(StreamTableEntry.EATS);
        ulong stalls = current.Get(StreamTableEntry.S2S) | target.Get(StreamTableEntry.S2S);
        if ((ats & StreamTableEntry.EatsSplit) == 0 && stalls == 0)
        {
            safe[StreamTableEntry.EATS.Word] |= StreamTableEntry.EatsFull << StreamTableEntry.EATS.Shift;
        }
    }

    private static void Mark(Span<ulong> bits, Field field) => bits[field.Word] |= field.WordMask;
}

/// <summary>What counts in a context descriptor (Arm IHI 0070 5.4): everything, but nothing beside V where V is 0 and
/// nothing of TTB0's own fields where EPD0 is 1.</summary>
internal readonly struct ContextRules : IEntryRules
{
    public static void Used(ReadOnlySpan<ulong> entry, Span<ulong> used)
    {
        if (entry.Get(ContextDescriptor.V) == 0)
        {
            Mark(used, ContextDescriptor.V);
            return;
        }

        used.Fill(ulong.MaxValue);
        if (entry.Get(ContextDescriptor.EPD0) != 0)
        {
            Unmark(used, ContextDescriptor.T0SZ);
            Unmark(used, ContextDescriptor.TG0);
            Unmark(used, ContextDescriptor.IR0);
            Unmark(used, ContextDescriptor.OR0);
            Unmark(used, ContextDescriptor.SH0);
            Unmark(used, ContextDescriptor.TTB0);
        }
    }

    public static void Safe(ReadOnlySpan<ulong> current, ReadOnlySpan<ulong> target, Span<ulong> safe)
    {
        // Nothing.
    }

    private static void Mark(Span<ulong> bits, Field field) => bits[field.Word] |= field.WordMask;
    private static void Unmark(Span<ulong> bits, Field field) => bits[field.Word] &= ~field.WordMask;
}
