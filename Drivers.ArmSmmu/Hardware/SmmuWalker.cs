using System.Globalization;
using PasidFramework.Drivers.ArmSmmu.Formats;
using PasidFramework.Hardware;
using PasidFramework.Records;

namespace PasidFramework.Drivers.ArmSmmu.Hardware;

/// <summary>
/// Follows stream table, STE, context descriptor table and CD for one access, and records what is wrong (Arm IHI 0070
/// 3.9, 5.1 to 5.5, 7.3).
/// </summary>
/// <remarks>
/// A model with caches derives from this class and answers <see cref="ReadStreamEntry"/> and <see cref="ReadContext"/>
/// from them; the rules stay here.
/// </remarks>
/// <param name="memory">Where the tables are.</param>
/// <param name="registers">Where the tables begin, and the event queue.</param>
/// <param name="options">What the hardware supports.</param>
internal class SmmuWalker(IPhysicalMemory memory, SmmuRegisterFile registers, SmmuHardwareOptions options)
{
    /// <summary>What the hardware does with one access.</summary>
    public TranslationResult Translate(in DmaAccess access)
    {
        uint control = registers.Read32(Registers.CR0);
        if ((control & Registers.CR0_SMMUEN) == 0)
        {
            return (registers.Read32(Registers.GBPA) & Registers.GBPA_ABORT) != 0 ? Quiet() : Bypass(access);
        }

        Span<ulong> ste = stackalloc ulong[StreamTableEntry.Words];
        Fault fault = ReadStreamEntry(access.Requester.Value, ste);
        if (fault.Event == SmmuEvent.None)
        {
            fault = CheckStreamEntry(ste);
        }

        if (fault.Event != SmmuEvent.None)
        {
            // Unknown StreamIDs are recorded only where CR2.RECINVSID asks for it.
            return fault.Event == SmmuEvent.C_BAD_STREAMID
                && (registers.Read32(Registers.CR2) & Registers.CR2_RECINVSID) == 0
                ? Quiet()
                : Record(access, fault);
        }

        ulong config = ste.Get(StreamTableEntry.Config);
        if (config < StreamTableEntry.ConfigBypass)
        {
            return Quiet();
        }

        int cdMax = (int)ste.Get(StreamTableEntry.S1CDMax);
        bool hasStage1 = config == StreamTableEntry.ConfigStage1;
        uint ssid = 0;
        if (access.Pasid is { } pasid)
        {
            ssid = pasid.Value;
            if (!hasStage1 || cdMax == 0 || ssid >> cdMax != 0)
            {
                return Record(access, new Fault(SmmuEvent.C_BAD_SUBSTREAMID, hasStage1
                    ? Text($"PASID {pasid} is beyond S1CDMax {cdMax}")
                    : Text($"PASID {pasid} on a stream without stage 1")));
            }

            if (ssid == 0 && ste.Get(StreamTableEntry.S1DSS) == StreamTableEntry.S1DssSubstream0)
            {
                return Record(access, new Fault(
                    SmmuEvent.C_BAD_SUBSTREAMID,
                    "PASID 0x0 with S1DSS 2: descriptor 0 serves requests without a PASID"));
            }
        }
        else if (!hasStage1)
        {
            return Bypass(access);
        }
        else if (cdMax != 0)
        {
            switch (ste.Get(StreamTableEntry.S1DSS))
            {
                case StreamTableEntry.S1DssTerminate:
                    return Record(access, new Fault(
                        SmmuEvent.F_STREAM_DISABLED, "a request without a PASID, which S1DSS 0 terminates"));
                case StreamTableEntry.S1DssBypass:
                    return Bypass(access);
            }
        }

        Span<ulong> cd = stackalloc ulong[ContextDescriptor.Words];
        fault = ReadContext(access.Requester.Value, ssid, ste, cd);
        if (fault.Event == SmmuEvent.None)
        {
            fault = CheckContext(ste, cd);
        }

        return fault.Event == SmmuEvent.None ? Stage1(access, cd) : Record(access, fault);
    }

    /// <summary>Reads the stream table entry of a StreamID.</summary>
    /// <param name="sid">StreamID.</param>
    /// <param name="ste">Eight words.</param>
    protected virtual Fault ReadStreamEntry(uint sid, Span<ulong> ste)
    {
        ReadOnlySpan<ulong> start = [registers.Read64(Registers.STRTAB_BASE)];
        ReadOnlySpan<ulong> shape = [registers.Read32(Registers.STRTAB_BASE_CFG)];
        ulong table = start.GetAddress(Registers.STRTAB_ADDR);
        int log2 = (int)shape.Get(Registers.STRTAB_LOG2SIZE);
        if ((ulong)sid >> log2 != 0)
        {
            return new Fault(SmmuEvent.C_BAD_STREAMID, Text($"StreamID 0x{sid:x} is beyond the table's {log2} bits"));
        }

        ulong index = sid;
        if (shape.Get(Registers.STRTAB_FMT) == 1)
        {
            int split = (int)shape.Get(Registers.STRTAB_SPLIT);
            ulong at = table + ((ulong)sid >> split << 3);
            if (!memory.IsBacked(at, 8))
            {
                return new Fault(
                    SmmuEvent.F_STE_FETCH, Text($"no memory for the first-level descriptor at 0x{at:x}"), at);
            }

            ReadOnlySpan<ulong> descriptor = [memory.ReadQword(at)];
            int span = (int)descriptor.Get(L1StreamDescriptor.Span);
            index = sid & ((1UL << split) - 1);
            if (span == 0 || span > split + 1 || index >> (span - 1) != 0)
            {
                return new Fault(SmmuEvent.C_BAD_STREAMID, Text($"StreamID 0x{sid:x}: first-level Span {span}"));
            }

            table = descriptor.GetAddress(L1StreamDescriptor.L2Ptr);
        }

        ulong address = table + (index << StreamTableEntry.BytesLog2);
        return Load(address, ste)
            ? default
            : new Fault(SmmuEvent.F_STE_FETCH, Text($"no memory for the stream table entry at 0x{address:x}"), address);
    }

    /// <summary>Reads a context descriptor.</summary>
    /// <param name="sid">StreamID.</param>
    /// <param name="ssid">SubstreamID.</param>
    /// <param name="ste">The stream table entry that leads to it.</param>
    /// <param name="cd">Eight words.</param>
    protected virtual Fault ReadContext(uint sid, uint ssid, ReadOnlySpan<ulong> ste, Span<ulong> cd)
    {
        ulong table = ste.GetAddress(StreamTableEntry.S1ContextPtr);
        ulong format = ste.Get(StreamTableEntry.S1Fmt);
        ulong index = ssid;
        if (format != StreamTableEntry.S1FmtLinear && ste.Get(StreamTableEntry.S1CDMax) != 0)
        {
            int leafBits = format == StreamTableEntry.S1Fmt64KLeaf ? 10 : 6;
            ulong at = table + ((ulong)ssid >> leafBits << 3);
            if (!memory.IsBacked(at, 8))
            {
                return new Fault(
                    SmmuEvent.F_CD_FETCH, Text($"no memory for the first-level descriptor at 0x{at:x}"), at);
            }

            ReadOnlySpan<ulong> descriptor = [memory.ReadQword(at)];
            if (descriptor.Get(L1ContextDescriptor.V) == 0)
            {
                return new Fault(
                    SmmuEvent.C_BAD_SUBSTREAMID, Text($"PASID 0x{ssid:x}: the first-level descriptor is invalid"));
            }

            table = descriptor.GetAddress(L1ContextDescriptor.L2Ptr);
            index = ssid & ((1UL << leafBits) - 1);
        }

        ulong address = table + (index << ContextDescriptor.BytesLog2);
        return Load(address, cd)
            ? default
            : new Fault(SmmuEvent.F_CD_FETCH, Text($"no memory for the context descriptor at 0x{address:x}"), address);
    }

    private bool Load(ulong address, Span<ulong> words)
    {
        if (!memory.IsBacked(address, words.Length * 8))
        {
            return false;
        }

        // Word 0 with the valid bit first: what is stored valid last is then never seen half.
        for (int word = 0; word < words.Length; word++)
        {
            words[word] = memory.ReadQword(address + ((ulong)word * 8));
        }

        return true;
    }

    private Fault CheckStreamEntry(ReadOnlySpan<ulong> ste)
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

        if (config is StreamTableEntry.ConfigStage2 or StreamTableEntry.ConfigNested)
        {
            return BadSte(Text($"Config {config} needs stage 2, IDR0.S2P is 0"));
        }

        ulong eats = ste.Get(StreamTableEntry.EATS);
        if (eats > StreamTableEntry.EatsFull)
        {
            return BadSte(Text($"EATS {eats} is not possible here"));
        }

        if (config == StreamTableEntry.ConfigBypass)
        {
            return default;
        }

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

    private Fault CheckContext(ReadOnlySpan<ulong> ste, ReadOnlySpan<ulong> cd)
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

        if (cd.Get(ContextDescriptor.EPD0) == 0)
        {
            ulong size = cd.Get(ContextDescriptor.T0SZ);
            if (size is < 16 or > 39)
            {
                return BadCd(Text($"T0SZ {size} is not 16 to 39"));
            }

            if (cd.Get(ContextDescriptor.TG0) != ContextDescriptor.Granule4K)
            {
                return BadCd(Text($"TG0 {cd.Get(ContextDescriptor.TG0)}, IDR5 has 4 KiB only"));
            }

            int bits = Math.Min(
                ContextDescriptor.OutputBits((int)cd.Get(ContextDescriptor.IPS)), options.OutputBits);
            ulong root = cd.GetAddress(ContextDescriptor.TTB0);
            if (root >> bits != 0)
            {
                return BadCd(Text($"TTB0 0x{root:x} is beyond {bits} bits"));
            }
        }

        return default;
    }

    private TranslationResult Stage1(in DmaAccess access, ReadOnlySpan<ulong> cd)
    {
        // With EPD0 there is no page table for low addresses, with EPD1 (always here) none for high ones: both are
        // translation faults, recorded only where R says so (5.5). That is what makes a dying process quiet (D12).
        bool disabled = cd.Get(ContextDescriptor.EPD0) != 0;
        if (disabled || access.Address >> (64 - (int)cd.Get(ContextDescriptor.T0SZ)) != 0)
        {
            if (cd.Get(ContextDescriptor.R) == 0)
            {
                return Quiet();
            }

            return Record(access, new Fault(SmmuEvent.F_TRANSLATION, disabled
                ? "EPD0 is 1: the page table is not walked"
                : Text($"address 0x{access.Address:x} is beyond T0SZ {cd.Get(ContextDescriptor.T0SZ)}")));
        }

        return new TranslationResult(
            TranslationStatus.ReachedPageTable, 0, cd.GetAddress(ContextDescriptor.TTB0), 0, null);
    }

    private TranslationResult Record(in DmaAccess access, Fault fault)
    {
        Span<ulong> record = stackalloc ulong[Events.Words];
        record.Clear();
        record.Set(Events.ID, (ulong)fault.Event);
        record.Set(Events.SID, access.Requester.Value);
        if (access.Pasid is { } pasid && fault.Event != SmmuEvent.F_STREAM_DISABLED)
        {
            record.Set(Events.SSID, pasid.Value);
            record.Set(Events.SSV, fault.Event == SmmuEvent.C_BAD_SUBSTREAMID ? 0UL : 1);
        }

        switch (fault.Event)
        {
            case SmmuEvent.F_STE_FETCH or SmmuEvent.F_CD_FETCH:
                record.SetAddress(Events.FetchAddr, fault.Address & Events.FetchAddr.WordMask);
                break;
            case SmmuEvent.F_TRANSLATION:
                record.Set(Events.RnW, access.IsWrite ? 0UL : 1);
                record.Set(Events.CLASS, Events.ClassInput);
                record.Set(Events.InputAddr, access.Address);
                break;
        }

        registers.WriteEvent(record);
        return new TranslationResult(
            TranslationStatus.Faulted, 0, 0, (int)fault.Event, $"{fault.Event}: {fault.Reason}");
    }

    private static TranslationResult Quiet() => new(TranslationStatus.AbortedQuietly, 0, 0, 0, null);

    private static TranslationResult Bypass(in DmaAccess access) =>
        new(TranslationStatus.Bypassed, access.Address, 0, 0, null);

    private static Fault BadSte(string reason) => new(SmmuEvent.C_BAD_STE, reason);

    private static Fault BadCd(string reason) => new(SmmuEvent.C_BAD_CD, reason);

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    /// <summary>What went wrong; the default is nothing.</summary>
    /// <param name="Event">The event's number.</param>
    /// <param name="Reason">In words.</param>
    /// <param name="Address">Address of a fetch that failed.</param>
    protected readonly record struct Fault(SmmuEvent Event, string? Reason, ulong Address = 0);
}
