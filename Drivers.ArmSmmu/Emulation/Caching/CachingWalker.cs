using System.Globalization;
using PasidFramework.Contracts;
using PasidFramework.DriverKit.Emulation;
using PasidFramework.Drivers.ArmSmmu.Emulation.Functional;
using PasidFramework.Drivers.ArmSmmu.Formats;
using PasidFramework.Hardware;
using PasidFramework.Records;

namespace PasidFramework.Drivers.ArmSmmu.Emulation.Caching;

/// <summary>
/// A walker that keeps everything it may until a matching invalidation: both first-level descriptors, STEs and CDs
/// (valid or not, per StreamID and SubstreamID), last-level translations, tables of stage 1, translations of stage 2
/// (Arm IHI 0070 3.17, 3.21, 4.3, 4.4).
/// </summary>
/// <remarks>Not safe for concurrent use: the model locks.</remarks>
internal sealed partial class CachingWalker : SmmuWalker
{
    private const int MaxTornReads = 1024;

    private readonly Action<string, string> _report;
    private readonly Dictionary<ulong, ulong> _firstStreams = [];
    private readonly Dictionary<uint, Entry> _streams = [];
    private readonly Dictionary<(uint Sid, uint Index), Descriptor> _firstContexts = [];
    private readonly Dictionary<(uint Sid, uint Ssid), Entry> _contexts = [];
    private readonly List<TlbEntry> _tlb = [];
    private readonly List<TableEntry> _tables = [];
    private readonly List<IntermediateEntry> _intermediate = [];
    private int _split;

    /// <summary>Makes a walker with empty caches.</summary>
    /// <param name="memory">What hardware sees.</param>
    /// <param name="options">What it supports.</param>
    /// <param name="report">Takes rule and message.</param>
    public CachingWalker(IDeviceMemory memory, SmmuHardwareOptions options, Action<string, string> report)
        : base(memory, options)
    {
        _report = report;
        WalksPages = true;
    }

    /// <summary>Everything that is cached.</summary>
    public IEnumerable<CachedItem> Items()
    {
        foreach ((ulong index, ulong word) in _firstStreams)
        {
            yield return new CachedItem("L1STD", Text($"index 0x{index:x}"), Text($"0x{word:x}"));
        }

        foreach ((uint sid, Entry entry) in _streams)
        {
            yield return new CachedItem("STE", Text($"StreamID 0x{sid:x}"), Text($"0x{entry.Words[0]:x} 0x{entry.Words[1]:x}"));
        }

        foreach (((uint sid, uint index), Descriptor descriptor) in _firstContexts)
        {
            yield return new CachedItem(
                "L1CD", Text($"StreamID 0x{sid:x} index 0x{index:x}"), Text($"0x{descriptor.Word:x}"));
        }

        foreach (((uint sid, uint ssid), Entry entry) in _contexts)
        {
            yield return new CachedItem(
                "CD", Text($"StreamID 0x{sid:x} SubstreamID 0x{ssid:x}"), Text($"0x{entry.Words[0]:x} 0x{entry.Words[1]:x}"));
        }

        foreach (TlbEntry entry in _tlb)
        {
            yield return new CachedItem("TLB", entry.Tag.ToString(), Text($"0x{entry.Base:x} to 0x{entry.Translation.Address:x}"));
        }

        foreach (TableEntry entry in _tables)
        {
            yield return new CachedItem(
                "walk cache", Text($"{entry.Tag} level {entry.Level} 0x{entry.Base:x}"), Text($"table 0x{entry.Table:x}"));
        }

        foreach (IntermediateEntry entry in _intermediate)
        {
            yield return new CachedItem(
                "stage 2 TLB", Text($"VMID {entry.Vmid} 0x{entry.Base:x}"), Text($"0x{entry.Translation.Address:x}"));
        }
    }

    /// <summary>Forgets everything.</summary>
    public void Drop()
    {
        _firstStreams.Clear();
        _streams.Clear();
        _firstContexts.Clear();
        _contexts.Clear();
        _tlb.Clear();
        _tables.Clear();
        _intermediate.Clear();
    }

    /// <summary>What a cached entry leads to that is in a range of memory; null for nothing.</summary>
    /// <param name="start">First byte.</param>
    /// <param name="end">Byte after it.</param>
    public string? FindReferenceInto(ulong start, ulong end)
    {
        bool In(ulong address) => address >= start && address < end;
        foreach ((ulong index, ulong word) in _firstStreams)
        {
            ReadOnlySpan<ulong> words = [word];
            if (words.Get(L1StreamDescriptor.Span) != 0 && In(words.GetAddress(L1StreamDescriptor.L2Ptr)))
            {
                return Text($"the first-level descriptor 0x{index:x} of the stream table");
            }
        }

        foreach ((uint sid, Entry entry) in _streams)
        {
            ReadOnlySpan<ulong> ste = entry.Words;
            if (ste.Get(StreamTableEntry.V) != 0
                && ste.Get(StreamTableEntry.Config) == StreamTableEntry.ConfigStage1
                && In(ste.GetAddress(StreamTableEntry.S1ContextPtr)))
            {
                return Text($"the stream table entry of StreamID 0x{sid:x}");
            }
        }

        foreach (((uint sid, uint index), Descriptor descriptor) in _firstContexts)
        {
            ReadOnlySpan<ulong> words = [descriptor.Word];
            if (words.Get(L1ContextDescriptor.V) != 0 && In(words.GetAddress(L1ContextDescriptor.L2Ptr)))
            {
                return Text($"the first-level context descriptor 0x{index:x} of StreamID 0x{sid:x}");
            }
        }

        foreach (((uint sid, uint ssid), Entry entry) in _contexts)
        {
            ReadOnlySpan<ulong> cd = entry.Words;
            if (cd.Get(ContextDescriptor.V) != 0
                && cd.Get(ContextDescriptor.EPD0) == 0
                && In(cd.GetAddress(ContextDescriptor.TTB0)))
            {
                return Text($"the context descriptor of StreamID 0x{sid:x} SubstreamID 0x{ssid:x}");
            }
        }

        foreach (TableEntry entry in _tables)
        {
            if (In(entry.Table))
            {
                return Text($"a page table entry of {entry.Tag}");
            }
        }

        return null;
    }

    /// <summary>
    /// Looks at every entry that is cached and has changed in memory since the last synchronisation: a fetch that was
    /// under way may have joined words of several moments.
    /// </summary>
    /// <param name="memory">The memory.</param>
    /// <remarks>A synchronisation ends the fetches of the entries that it names. What the others may have read goes
    /// on to the next one.</remarks>
    public void CheckTornReads(ModelMemory memory)
    {
        foreach ((uint sid, Entry entry) in _streams)
        {
            Check(memory, entry, isContext: false, Text($"the entry of StreamID 0x{sid:x}"));
        }

        foreach (((uint sid, uint ssid), Entry entry) in _contexts)
        {
            Check(
                memory, entry, isContext: true, Text($"the descriptor of StreamID 0x{sid:x} SubstreamID 0x{ssid:x}"));
        }
    }

    /// <summary>The regime that cached configuration gives a stream now; null where none is cached or legal.</summary>
    /// <param name="tag">Who.</param>
    /// <param name="address">Input address.</param>
    public SmmuRegime? CachedRegime(in Tag tag, ulong address)
    {
        if (!_streams.TryGetValue(tag.Sid, out Entry? stream)
            || SmmuRules.CheckStreamEntry(Options, stream.Words).IsFault
            || tag.Ssid is not { } ssid
            || !_contexts.TryGetValue((tag.Sid, ssid), out Entry? context)
            || SmmuRules.CheckContext(Options, stream.Words, context.Words).IsFault)
        {
            return null;
        }

        ReadOnlySpan<ulong> ste = stream.Words;
        ulong config = ste.Get(StreamTableEntry.Config);
        Stage2Root? second = config == StreamTableEntry.ConfigNested ? Stage2Root.Of(Options, ste) : null;
        bool hasStage1 = config is StreamTableEntry.ConfigStage1 or StreamTableEntry.ConfigNested;
        return hasStage1 && !SelectTable(ref address, context.Words, out Stage1Root first).IsFault
            ? new SmmuRegime(
                tag.Sid, ssid, (uint)ste.Get(StreamTableEntry.S2VMID), tag.IsEl2, first, second)
            : null;
    }

    /// <summary>Reads and checks the stream table entry of a StreamID, from the cache where it is there.</summary>
    public SmmuFault ReadStream(uint sid, in StreamRoot root, Span<ulong> ste) => ReadStreamEntry(sid, root, ste);

    /// <summary>Fetches the configuration of a stream and one of its substreams, as hardware may at any time.</summary>
    public void FetchAhead(uint sid, uint? ssid, in StreamRoot root)
    {
        Span<ulong> ste = stackalloc ulong[StreamTableEntry.Words];
        if (!ReadStreamEntry(sid, root, ste).IsFault)
        {
            ReadContextsAgain(sid, [ssid ?? 0]);
        }
    }

    /// <summary>A cached entry that says something else than memory does; null for none.</summary>
    /// <param name="root">The stream table.</param>
    public string? FindStaleEntry(in StreamRoot root)
    {
        Span<ulong> word = [0];
        foreach ((ulong index, ulong cached) in _firstStreams)
        {
            if (!Load(root.Table + (index * L1StreamDescriptor.Bytes), word) || word[0] != cached)
            {
                return Text($"first-level descriptor 0x{index:x} of the stream table is cached as 0x{cached:x}");
            }
        }

        foreach (((uint sid, uint index), Descriptor descriptor) in _firstContexts)
        {
            if (!_streams.TryGetValue(sid, out Entry? stream)
                || !stream.IsSet(StreamTableEntry.V)
                || !Load(descriptor.Address, word)
                || word[0] != descriptor.Word)
            {
                return Text($"first-level context descriptor 0x{index:x} of StreamID 0x{sid:x} is cached as 0x{descriptor.Word:x}");
            }
        }

        foreach ((uint sid, Entry entry) in _streams)
        {
            if (IsStale(entry, isContext: false))
            {
                return Text($"the entry of StreamID 0x{sid:x} is cached as 0x{entry.Words[0]:x}");
            }
        }

        foreach (((uint sid, uint ssid), Entry entry) in _contexts)
        {
            if (!_streams.TryGetValue(sid, out Entry? stream)
                || !stream.IsSet(StreamTableEntry.V)
                || IsStale(entry, isContext: true))
            {
                return Text($"the descriptor of StreamID 0x{sid:x} SubstreamID 0x{ssid:x} is cached as 0x{entry.Words[0]:x}");
            }
        }

        return null;
    }

    /// <summary>Every last-level translation with a SubstreamID.</summary>
    public IEnumerable<DeviceTlbs.Held> Translations() => _tlb.Where(e => e.Tag.Ssid is not null).Select(e =>
        new DeviceTlbs.Held(e.Tag.Sid, e.Tag.Ssid, e.Base, e.Translation.Shift, e.Translation.Address, e.Translation.Writable));

    /// <summary>A translation from the TLB only.</summary>
    public SmmuTranslation? Peek(in SmmuRegime regime, ulong address)
    {
        foreach (TlbEntry entry in _tlb)
        {
            if (entry.Covers(regime, address))
            {
                return entry.At(address);
            }
        }

        return null;
    }

    /// <inheritdoc/>
    protected override bool ReadFirstLevel(ulong index, ulong address, Span<ulong> word)
    {
        if (_firstStreams.TryGetValue(index, out word[0]))
        {
            return true;
        }

        if (!base.ReadFirstLevel(index, address, word))
        {
            return false;
        }

        ReportReserved(L1StreamDescriptor.Layout, word, word.Get(L1StreamDescriptor.Span) != 0, address);
        _firstStreams[index] = word[0];
        return true;
    }

    /// <inheritdoc/>
    protected override SmmuFault ReadStreamEntry(uint sid, in StreamRoot root, Span<ulong> ste)
    {
        _split = root.Split;
        if (!_streams.TryGetValue(sid, out Entry? entry))
        {
            SmmuFault fault = FindStreamEntry(sid, root, out ulong address);
            if (fault.IsFault)
            {
                return fault;
            }

            var words = new ulong[StreamTableEntry.Words];
            if (!Load(address, words))
            {
                return base.ReadStreamEntry(sid, root, ste);
            }

            ulong link = root.IsTwoLevel ? root.Table + ((ulong)sid >> root.Split << 3) : 0;
            entry = new Entry(address, link, words);
            ReportReserved(StreamTableEntry.Layout, words, (words[0] & 1) != 0, address);
            _streams[sid] = entry;
        }

        entry.Words.CopyTo(ste);
        return SmmuRules.CheckStreamEntry(Options, ste);
    }

    /// <inheritdoc/>
    protected override bool ReadFirstContext(uint sid, uint ssid, int leafBits, ulong address, Span<ulong> word)
    {
        uint index = ssid >> leafBits;
        if (_firstContexts.TryGetValue((sid, index), out Descriptor cached))
        {
            word[0] = cached.Word;
            return true;
        }

        if (!base.ReadFirstContext(sid, ssid, leafBits, address, word))
        {
            return false;
        }

        ReportReserved(L1ContextDescriptor.Layout, word, word.Get(L1ContextDescriptor.V) != 0, address);
        _firstContexts[(sid, index)] = new Descriptor(address, word[0], leafBits);
        return true;
    }

    /// <inheritdoc/>
    protected override SmmuFault ReadContext(
        uint sid, uint ssid, ReadOnlySpan<ulong> ste, in Stage2Root? second, Span<ulong> cd)
    {
        if (!_contexts.TryGetValue((sid, ssid), out Entry? entry))
        {
            SmmuFault fault = FindContext(sid, ssid, ste, second, out ulong address);
            if (fault.IsFault)
            {
                return fault;
            }

            var words = new ulong[ContextDescriptor.Words];
            if (!Load(address, words))
            {
                return base.ReadContext(sid, ssid, ste, second, cd);
            }

            int leafBits = ste.Get(StreamTableEntry.S1Fmt) == StreamTableEntry.S1Fmt64KLeaf ? 10 : 6;
            ulong link = _firstContexts.TryGetValue((sid, ssid >> leafBits), out Descriptor first) ? first.Address : 0;
            entry = new Entry(address, link, words);
            ReportReserved(ContextDescriptor.Layout, words, entry.IsSet(ContextDescriptor.V), address);
            _contexts[(sid, ssid)] = entry;
        }

        entry.Words.CopyTo(cd);
        return SmmuRules.CheckContext(Options, ste, cd);
    }

    /// <inheritdoc/>
    protected override SmmuTranslation Translate(in SmmuRegime regime, ulong address, bool isWrite)
    {
        foreach (TlbEntry entry in _tlb)
        {
            if (!entry.Covers(regime, address))
            {
                continue;
            }

            if (entry.Root != regime.First?.Table)
            {
                _report("smmu-asid-of-two-tables", Text(
                    $"{entry.Tag}: a translation of 0x{address:x} through table 0x{entry.Root:x} is still cached, now the table is 0x{regime.First?.Table:x} (3.17)"));
            }

            return entry.At(address).For(isWrite, Events.ClassInput);
        }

        SmmuTranslation found = Walk(regime, address, isWrite);

        // Faults are not cached, but an entry that refuses a write is.
        if (!found.Fault.IsFault || found.Fault.Event == SmmuEvent.F_PERMISSION)
        {
            Keep(regime, address, found with { Fault = default });
        }

        return found;
    }

    /// <inheritdoc/>
    protected override SmmuTranslation TranslateIntermediate(uint vmid, in Stage2Root second, ulong address)
    {
        foreach (IntermediateEntry entry in _intermediate)
        {
            if (entry.Vmid == vmid && entry.Base == (address & ~Low(entry.Translation.Shift)))
            {
                return entry.Translation with
                {
                    Address = entry.Translation.Address | (address & Low(entry.Translation.Shift)),
                    Ipa = address,
                };
            }
        }

        SmmuTranslation found = base.TranslateIntermediate(vmid, second, address);
        if (!found.Fault.IsFault)
        {
            ulong low = Low(found.Shift);
            _intermediate.Add(new IntermediateEntry(
                vmid, second.GranuleShift, address & ~low, found with { Address = found.Address & ~low }));
        }

        return found;
    }

    /// <inheritdoc/>
    protected override void FindTable(in SmmuRegime regime, ulong address, ref int level, ref ulong table)
    {
        foreach (TableEntry entry in _tables)
        {
            if (entry.Level > level && entry.Tag.Matches(regime) && entry.Base == (address & ~Low(entry.LowBit)))
            {
                level = entry.Level;
                table = entry.Table;
            }
        }
    }

    /// <inheritdoc/>
    protected override void KeepTable(in SmmuRegime regime, ulong address, int level, int lowBit, ulong table) =>
        _tables.Add(new TableEntry(Tag.Of(regime), level, lowBit, address & ~Low(lowBit), table));

    private static ulong Low(int bits) => (1UL << bits) - 1;

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private void Keep(in SmmuRegime regime, ulong address, in SmmuTranslation found)
    {
        ulong low = Low(found.Shift);
        _tlb.Add(new TlbEntry(
            Tag.Of(regime),
            found.IsGlobal,
            regime.First?.GranuleShift ?? regime.Second!.Value.GranuleShift,
            regime.First?.Table,
            address & ~low,
            found with { Address = found.Address & ~low, Ipa = found.Ipa & ~low }));
    }

    // A valid entry with bits that must be 0, or a combination that no implementation takes: what hardware makes of it
    // is unpredictable, so it is told beside the event.
    private void ReportReserved(Layout layout, ReadOnlySpan<ulong> words, bool isValid, ulong address)
    {
        if (isValid && layout.Check(words) is { Count: > 0 } violations)
        {
            _report("smmu-reserved-bits", Text($"{layout.Id} at 0x{address:x}: {violations[0]}"));
        }
    }

    private void Check(ModelMemory memory, Entry entry, bool isContext, string what)
    {
        // What became reachable within the window may have been written before, at leisure.
        if (!memory.Device.IsBacked(entry.Address, entry.Words.Length * 8)
            || (entry.Link != 0 && memory.ForEachTornRead(entry.Link, 1, static _ => { }) > 1))
        {
            return;
        }

        var now = new ulong[entry.Words.Length];
        var old = new ulong[now.Length];
        long total = 1;
        for (int i = 0; i < now.Length; i++)
        {
            // Each value that the word has had since a fetch may have begun, the oldest first.
            List<ulong> choices = entry.Seen[i];
            _ = memory.ForEachTornRead(entry.Address + ((ulong)i * 8), 1, value =>
            {
                if (!choices.Contains(value[0]))
                {
                    choices.Add(value[0]);
                }
            });
            old[i] = choices[0];
            total *= choices.Count;
        }

        // Another thread may be in the middle of a change of its own: what it has stored and what is still on its way is
        // the new entry then, as much as what has arrived. Read after the choices, so that none of them is newer.
        bool isOnTheWay = memory.PendingStores > 0;
        _ = Load(entry.Address, now);
        ulong[] newest = now;
        if (isOnTheWay)
        {
            newest = new ulong[now.Length];
            for (int i = 0; i < newest.Length; i++)
            {
                newest[i] = memory.ReadQword(entry.Address + ((ulong)i * 8));
            }
        }

        bool isTorn = total > MaxTornReads;
        Span<ulong> mix = stackalloc ulong[now.Length];
        for (long number = 0; number < total && !isTorn; number++)
        {
            long rest = number;
            for (int i = 0; i < mix.Length; i++)
            {
                mix[i] = entry.Seen[i][(int)(rest % entry.Seen[i].Count)];
                rest /= entry.Seen[i].Count;
            }

            isTorn = CountedBits.IsValid(mix, isContext)
                && !Means(mix, old, isContext)
                && !Means(mix, now, isContext)
                && !Means(mix, newest, isContext);
        }

        if (isTorn)
        {
            _report("smmu-torn-entry", Text(
                $"{what} at 0x{entry.Address:x} changed so that a fetch under way may see neither the old nor the new one (3.21)"));
        }
    }

    private bool IsStale(Entry entry, bool isContext)
    {
        Span<ulong> now = stackalloc ulong[StreamTableEntry.Words];
        return !Load(entry.Address, now) || !Means(entry.Words, now, isContext);
    }

    private static bool Means(ReadOnlySpan<ulong> words, ReadOnlySpan<ulong> other, bool isContext)
    {
        Span<ulong> counted = stackalloc ulong[StreamTableEntry.Words];
        Span<ulong> otherCounted = stackalloc ulong[StreamTableEntry.Words];
        Span<ulong> free = stackalloc ulong[StreamTableEntry.Words];
        CountedBits.Find(words, isContext, counted);
        CountedBits.Find(other, isContext, otherCounted);
        CountedBits.FindFree(words, other, isContext, free);
        for (int i = 0; i < words.Length; i++)
        {
            if ((words[i] & counted[i] & ~free[i]) != (other[i] & otherCounted[i] & ~free[i]))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The tags of a translation, and whose access brought it in.</summary>
    internal readonly record struct Tag(uint Sid, uint? Ssid, bool IsEl2, uint Vmid, uint? Asid)
    {
        public static Tag Of(in SmmuRegime regime) =>
            new(regime.Sid, regime.Ssid, regime.IsEl2, regime.Vmid, regime.First?.Asid);

        public bool Matches(in SmmuRegime regime) =>
            IsEl2 == regime.IsEl2 && Vmid == regime.Vmid && Asid == regime.First?.Asid;

        public override string ToString() => Text($"VMID {Vmid} ASID {Asid}");
    }

    private sealed record Entry(ulong Address, ulong Link, ulong[] Words)
    {
        /// <summary>Values of each word that a fetch under way may have read before the last synchronisation.</summary>
        public List<ulong>[] Seen { get; } = [.. Words.Select(_ => new List<ulong>())];

        public bool IsSet(Field field) => ((ReadOnlySpan<ulong>)Words).Get(field) != 0;
    }

    private readonly record struct Descriptor(ulong Address, ulong Word, int LeafBits);

    private sealed record TlbEntry(
        Tag Tag, bool IsGlobal, int GranuleShift, ulong? Root, ulong Base, SmmuTranslation Translation)
    {
        public bool Covers(in SmmuRegime regime, ulong address) =>
            Tag.IsEl2 == regime.IsEl2
            && Tag.Vmid == regime.Vmid
            && Tag.Asid is null == regime.First is null
            && (IsGlobal || Tag.Asid == regime.First?.Asid)
            && Base == (address & ~Low(Translation.Shift));

        public SmmuTranslation At(ulong address) => Translation with
        {
            Address = Translation.Address | (address & Low(Translation.Shift)),
            Ipa = Translation.Ipa | (address & Low(Translation.Shift)),
        };
    }

    private sealed record TableEntry(Tag Tag, int Level, int LowBit, ulong Base, ulong Table);

    private sealed record IntermediateEntry(uint Vmid, int GranuleShift, ulong Base, SmmuTranslation Translation);
}
