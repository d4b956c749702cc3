// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Emulation.Functional;

/// <summary>
/// Follows stream table, STE, context descriptor table, CD and (<see cref="WalksPages"/>) page tables for one access
/// (Arm IHI 0070 3.4, 3.9, 5.1 to 5.5, 7.3). It reads and records nothing else.
/// </summary>
/// <remarks>
/// A model with caches derives from this class and answers from them; the rules stay here. Every loop is bounded by the
/// number of levels, whatever is in memory.
/// </remarks>
internal partial class SmmuWalker(IMemoryReader memory, SmmuHardwareOptions options)
{
    /// <summary>Whether page tables are followed.</summary>
    public bool WalksPages { get; init; }

    /// <summary>Where every entry that is read is written down; null for nowhere.</summary>
    public List<TableStep>? Steps { get; init; }
    protected SmmuHardwareOptions Options => options;

    /// <summary>What the hardware does with one access while SMMUEN is 1.</summary>
    public WalkOutcome Follow(in DmaAccess access, in StreamRoot root)
    {
        uint sid = access.Requester.Value;
        Span<ulong> ste = stackalloc ulong[StreamTableEntry.Words];
        SmmuFault fault = ReadStreamEntry(sid, root, ste);
        if (fault.IsFault)
        {
            // Unknown StreamIDs are recorded only where CR2.RECINVSID asks for it.
            return fault.Event == SmmuEvent.C_BAD_STREAMID && !root.RecordsUnknown ? Quiet() : Faulted(fault);
        }

        ulong ats = ste.Get(StreamTableEntry.EATS);
        ulong config = ste.Get(StreamTableEntry.Config);
        if (config < StreamTableEntry.ConfigBypass)
        {
            return Quiet();
        }

        bool hasStage1 = config is StreamTableEntry.ConfigStage1 or StreamTableEntry.ConfigNested;
        Stage2Root? second = config is StreamTableEntry.ConfigStage2 or StreamTableEntry.ConfigNested
            ? Stage2Root.Of(options, ste)
            : null;
        int cdMax = (int)ste.Get(StreamTableEntry.S1CDMax);
        uint ssid = 0;
        if (access.Pasid is { } pasid)
        {
            ssid = pasid.Value;
            if (!hasStage1 || cdMax == 0 || ssid >> cdMax != 0)
            {
                return Faulted(new SmmuFault(SmmuEvent.C_BAD_SUBSTREAMID, hasStage1
                    ? Text($"PASID {pasid} is beyond S1CDMax {cdMax}")
                    : Text($"PASID {pasid} on a stream without stage 1")));
            }

            if (ssid == 0 && ste.Get(StreamTableEntry.S1DSS) == StreamTableEntry.S1DssSubstream0)
            {
                return Faulted(new SmmuFault(
                    SmmuEvent.C_BAD_SUBSTREAMID,
                    "PASID 0x0 with S1DSS 2: descriptor 0 serves requests without a PASID"));
            }
        }
        else if (!hasStage1)
        {
            return Intermediate(access, ste, second, ats);
        }
        else if (cdMax != 0)
        {
            switch (ste.Get(StreamTableEntry.S1DSS))
            {
                case StreamTableEntry.S1DssTerminate:
                    return Faulted(new SmmuFault(
                        SmmuEvent.F_STREAM_DISABLED, "a request without a PASID, which S1DSS 0 terminates"));
                case StreamTableEntry.S1DssBypass:
                    return Intermediate(access, ste, second, ats);
            }
        }

        Span<ulong> cd = stackalloc ulong[ContextDescriptor.Words];
        fault = ReadContext(sid, ssid, ste, second, cd);
        return fault.IsFault ? Stage2Or(fault, second) : Stage1(access, ssid, ste, cd, second, ats);
    }

    /// <summary>Reads and checks the stream table entry of a StreamID.</summary>
    protected virtual SmmuFault ReadStreamEntry(uint sid, in StreamRoot root, Span<ulong> ste)
    {
        SmmuFault fault = FindStreamEntry(sid, root, out ulong address);
        if (fault.IsFault)
        {
            return fault;
        }

        if (!Load(address, ste))
        {
            AddStep(StreamTableEntry.Layout.Id, address, [], "no memory is there");
            return new SmmuFault(
                SmmuEvent.F_STE_FETCH, Text($"no memory for the stream table entry at 0x{address:x}"), address);
        }

        fault = SmmuRules.CheckStreamEntry(options, ste);
        AddStep(StreamTableEntry.Layout.Id, address, ste,
            fault.Reason ?? Text($"Config {ste.Get(StreamTableEntry.Config)}"));
        return fault;
    }

    protected SmmuFault FindStreamEntry(uint sid, in StreamRoot root, out ulong address)
    {
        address = 0;
        if (root.Log2Size < 32 && sid >> root.Log2Size != 0)
        {
            return new SmmuFault(
                SmmuEvent.C_BAD_STREAMID, Text($"StreamID 0x{sid:x} is beyond the table's {root.Log2Size} bits"));
        }

        ulong table = root.Table;
        ulong index = sid;
        if (root.IsTwoLevel)
        {
            ulong at = table + ((ulong)sid >> root.Split << 3);
            Span<ulong> descriptor = [0];
            if (!ReadFirstLevel(sid >> root.Split, at, descriptor))
            {
                AddStep(L1StreamDescriptor.Layout.Id, at, [], "no memory is there");
                return new SmmuFault(
                    SmmuEvent.F_STE_FETCH, Text($"no memory for the first-level descriptor at 0x{at:x}"), at);
            }

            int span = (int)descriptor.Get(L1StreamDescriptor.Span);
            index = sid & ((1UL << root.Split) - 1);
            bool isBad = span == 0 || span > root.Split + 1 || index >> (span - 1) != 0;
            AddStep(L1StreamDescriptor.Layout.Id, at, descriptor, Text($"Span {span}"));
            if (isBad)
            {
                return new SmmuFault(SmmuEvent.C_BAD_STREAMID, Text($"StreamID 0x{sid:x}: first-level Span {span}"));
            }

            table = descriptor.GetAddress(L1StreamDescriptor.L2Ptr);
        }

        address = table + (index << StreamTableEntry.BytesLog2);
        return default;
    }

    /// <summary>Reads a first-level descriptor of the stream table.</summary>
    /// <param name="index">Its number.</param>
    /// <returns>Whether memory is there.</returns>
    protected virtual bool ReadFirstLevel(ulong index, ulong address, Span<ulong> word) => Load(address, word);

    /// <summary>Reads and checks a context descriptor.</summary>
    /// <param name="second">Stage 2, through which the table is reached; null for none.</param>
    protected virtual SmmuFault ReadContext(
        uint sid, uint ssid, ReadOnlySpan<ulong> ste, in Stage2Root? second, Span<ulong> cd)
    {
        SmmuFault fault = FindContext(sid, ssid, ste, second, out ulong address);
        if (fault.IsFault)
        {
            return fault;
        }

        if (!Load(address, cd))
        {
            AddStep(ContextDescriptor.Layout.Id, address, [], "no memory is there");
            return new SmmuFault(
                SmmuEvent.F_CD_FETCH, Text($"no memory for the context descriptor at 0x{address:x}"), address);
        }

        fault = SmmuRules.CheckContext(options, ste, cd);
        AddStep(ContextDescriptor.Layout.Id, address, cd,
            fault.Reason ?? Text($"ASID {cd.Get(ContextDescriptor.ASID)}"));
        return fault;
    }

    /// <summary>Finds a context descriptor: its physical address.</summary>
    protected SmmuFault FindContext(
        uint sid, uint ssid, ReadOnlySpan<ulong> ste, in Stage2Root? second, out ulong address)
    {
        address = 0;
        uint vmid = (uint)ste.Get(StreamTableEntry.S2VMID);
        ulong table = ste.GetAddress(StreamTableEntry.S1ContextPtr);
        ulong format = ste.Get(StreamTableEntry.S1Fmt);
        ulong index = ssid;
        if (format != StreamTableEntry.S1FmtLinear && ste.Get(StreamTableEntry.S1CDMax) != 0)
        {
            int leafBits = format == StreamTableEntry.S1Fmt64KLeaf ? 10 : 6;
            SmmuTranslation first = Fetch(vmid, second, table + ((ulong)ssid >> leafBits << 3));
            if (first.Fault.IsFault)
            {
                return first.Fault;
            }

            Span<ulong> descriptor = [0];
            if (!ReadFirstContext(sid, ssid, leafBits, first.Address, descriptor))
            {
                AddStep(L1ContextDescriptor.Layout.Id, first.Address, [], "no memory is there");
                return new SmmuFault(
                    SmmuEvent.F_CD_FETCH,
                    Text($"no memory for the first-level descriptor at 0x{first.Address:x}"),
                    first.Address);
            }

            bool isValid = descriptor.Get(L1ContextDescriptor.V) != 0;
            AddStep(L1ContextDescriptor.Layout.Id, first.Address, descriptor, isValid ? "leads to a leaf" : "V is 0");
            if (!isValid)
            {
                return new SmmuFault(
                    SmmuEvent.C_BAD_SUBSTREAMID, Text($"PASID 0x{ssid:x}: the first-level descriptor is invalid"));
            }

            table = descriptor.GetAddress(L1ContextDescriptor.L2Ptr);
            index = ssid & ((1UL << leafBits) - 1);
        }

        SmmuTranslation entry = Fetch(vmid, second, table + (index << ContextDescriptor.BytesLog2));
        address = entry.Address;
        return entry.Fault;
    }

    /// <summary>Reads a first-level descriptor of a context descriptor table.</summary>
    /// <param name="leafBits">Bits of the SubstreamID that select within the leaf.</param>
    /// <returns>Whether memory is there.</returns>
    protected virtual bool ReadFirstContext(uint sid, uint ssid, int leafBits, ulong address, Span<ulong> word) =>
        Load(address, word);

    /// <summary>Reads words.</summary>
    /// <returns>Whether memory is there.</returns>
    protected bool Load(ulong address, Span<ulong> words) => memory.TryReadWords(address, words);

    /// <summary>The page tables that a legal descriptor names for an address, or the fault of the address.</summary>
    /// <param name="address">Input address; without the top byte where the descriptor ignores it.</param>
    protected SmmuFault SelectTable(ref ulong address, ReadOnlySpan<ulong> cd, out Stage1Root first)
    {
        bool isHigh = (address >> 55 & 1) != 0;
        if (cd.Get(isHigh ? ContextDescriptor.TBI1 : ContextDescriptor.TBI0) != 0)
        {
            address = isHigh ? address | (0xFFUL << 56) : address & ~(0xFFUL << 56);
        }

        int bits = 64 - (int)cd.Get(isHigh ? ContextDescriptor.T1SZ : ContextDescriptor.T0SZ);
        first = new Stage1Root(
            cd.GetAddress(isHigh ? ContextDescriptor.TTB1 : ContextDescriptor.TTB0),
            bits,
            isHigh
                ? SmmuRules.UpperGranuleShift(cd.Get(ContextDescriptor.TG1))
                : SmmuRules.GranuleShift(cd.Get(ContextDescriptor.TG0)),
            Math.Min(ContextDescriptor.OutputBits((int)cd.Get(ContextDescriptor.IPS)), options.OutputBits),
            (uint)cd.Get(ContextDescriptor.ASID),
            cd.Get(ContextDescriptor.AFFD) != 0,
            cd.Get(isHigh ? ContextDescriptor.HAD1 : ContextDescriptor.HAD0) != 0);
        string half = isHigh ? "1" : "0";
        if (cd.Get(isHigh ? ContextDescriptor.EPD1 : ContextDescriptor.EPD0) != 0)
        {
            return new SmmuFault(SmmuEvent.F_TRANSLATION, $"EPD{half} is 1: the page table is not walked");
        }

        return (isHigh ? ~address : address) >> bits == 0
            ? default
            : new SmmuFault(SmmuEvent.F_TRANSLATION, Text($"address 0x{address:x} is beyond T{half}SZ {64 - bits}"));
    }

    private static WalkOutcome Quiet() =>
        new(new TranslationResult(TranslationStatus.AbortedQuietly, 0, 0, 0, null), default);

    private static WalkOutcome Faulted(SmmuFault fault) => new(
        new TranslationResult(TranslationStatus.Faulted, 0, 0, (int)fault.Event, $"{fault.Event}: {fault.Reason}"),
        fault);

    // Faults of stage 2 are recorded only where S2R says so.
    private static WalkOutcome Stage2Or(SmmuFault fault, in Stage2Root? second) =>
        fault.IsStage2 && second is { Records: false } ? Quiet() : Faulted(fault);

    private void AddStep(string structure, ulong address, ReadOnlySpan<ulong> words, string text) =>
        Steps?.Add(new TableStep(structure, address, words.ToArray(), text));

    // Tables of a nested configuration are at intermediate addresses.
    private SmmuTranslation Fetch(uint vmid, in Stage2Root? second, ulong address) => second is { } stage
        ? TranslateIntermediate(vmid, stage, address).For(isWrite: false, Events.ClassContext)
        : new SmmuTranslation { Address = address };

    // Stage 1 is bypassed.
    private WalkOutcome Intermediate(in DmaAccess access, ReadOnlySpan<ulong> ste, in Stage2Root? second, ulong ats)
    {
        if (second is not { } stage)
        {
            return new WalkOutcome(
                new TranslationResult(TranslationStatus.Bypassed, access.Address, 0, 0, null), default);
        }

        return Finish(access, RegimeOf(access.Requester.Value, null, ste, null, stage), access.Address, true, 0, ats);
    }

    private WalkOutcome Stage1(
        in DmaAccess access,
        uint ssid,
        ReadOnlySpan<ulong> ste,
        ReadOnlySpan<ulong> cd,
        in Stage2Root? second,
        ulong ats)
    {
        // What makes a dying process quiet (D12): EPD0 is a translation fault like any other, recorded only with R.
        ulong address = access.Address;
        bool records = cd.Get(ContextDescriptor.R) != 0;
        SmmuFault fault = SelectTable(ref address, cd, out Stage1Root first);
        if (fault.IsFault)
        {
            return records ? Faulted(fault) : Quiet();
        }

        return Finish(
            access, RegimeOf(access.Requester.Value, ssid, ste, first, second), address, records, first.Table, ats);
    }

    private WalkOutcome Finish(
        in DmaAccess access, in SmmuRegime regime, ulong address, bool records, ulong root, ulong ats)
    {
        if (!WalksPages)
        {
            return new WalkOutcome(
                new TranslationResult(TranslationStatus.ReachedPageTable, 0, root, 0, null), default);
        }

        SmmuTranslation translation = Translate(regime, address, access.IsWrite);
        if (!translation.Fault.IsFault)
        {
            return new WalkOutcome(
                new TranslationResult(TranslationStatus.Translated, translation.Address, root, 0, null), default)
            {
                Translation = translation,
                Ats = ats,
            };
        }

        if (translation.Fault.IsStage2)
        {
            return Stage2Or(translation.Fault, regime.Second);
        }

        // A walk that met an abort is recorded whatever R says; R is about faults of the translation.
        return records || translation.Fault.Event == SmmuEvent.F_WALK_EABT ? Faulted(translation.Fault) : Quiet();
    }

    private static SmmuRegime RegimeOf(
        uint sid, uint? ssid, ReadOnlySpan<ulong> ste, in Stage1Root? first, in Stage2Root? second) => new(
            sid,
            ssid,
            (uint)ste.Get(StreamTableEntry.S2VMID),
            second is null && ste.Get(StreamTableEntry.STRW) == 2,
            first,
            second);
}
