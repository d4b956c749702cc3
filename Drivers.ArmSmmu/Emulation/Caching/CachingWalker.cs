// SPDX-License-Identifier: Apache-2.0

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
    private readonly SmmuCaches _caches;
    private int _split;

    /// <summary>Makes a walker with empty caches.</summary>
    /// <param name="report">Takes rule and message.</param>
    public CachingWalker(
        IDeviceMemory memory, SmmuHardwareOptions options, SmmuCaches caches, Action<string, string> report)
        : base(memory, options)
    {
        _caches = caches;
        _report = report;
        WalksPages = true;
    }

    /// <summary>
    /// Checks every entry that is cached and has changed in memory since the last synchronisation: a fetch that was
    /// under way may have joined words of several moments.
    /// </summary>
    /// <remarks>A synchronisation ends the fetches of the entries that it names. What the others may have read goes
    /// on to the next one.</remarks>
    public void CheckTornReads(ModelMemory memory)
    {
        foreach ((uint sid, CachedEntry entry) in _caches.Streams)
        {
            Check(memory, entry, isContext: false, $"the entry of StreamID 0x{sid:x}");
        }

        foreach (((uint sid, uint ssid), CachedEntry entry) in _caches.Contexts)
        {
            Check(memory, entry, isContext: true, $"the descriptor of StreamID 0x{sid:x} SubstreamID 0x{ssid:x}");
        }
    }

    /// <summary>The regime that cached configuration gives a stream now; null where none is cached or legal.</summary>
    public SmmuRegime? CachedRegime(in Tag tag, ulong address)
    {
        if (!_caches.Streams.TryGet(tag.Sid, out CachedEntry? stream)
            || SmmuRules.CheckStreamEntry(Options, stream.Words).IsFault
            || tag.Ssid is not { } ssid
            || !_caches.Contexts.TryGet((tag.Sid, ssid), out CachedEntry? context)
            || SmmuRules.CheckContext(Options, stream.Words, context.Words).IsFault)
        {
            return null;
        }

        ReadOnlySpan<ulong> ste = stream.Words;
        ulong config = ste.Get(StreamTableEntry.Config);
        Stage2Root? second = config == StreamTableEntry.ConfigNested ? Stage2Root.Of(Options, ste) : null;
        bool hasStage1 = config is StreamTableEntry.ConfigStage1 or StreamTableEntry.ConfigNested;
        return hasStage1 && !SelectTable(ref address, context.Words, out Stage1Root first).IsFault
            ? new SmmuRegime(tag.Sid, ssid, (uint)ste.Get(StreamTableEntry.S2VMID), tag.IsEl2, first, second)
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
    public string? FindStaleEntry(in StreamRoot root)
    {
        Span<ulong> word = [0];
        foreach ((ulong index, ulong cached) in _caches.FirstStreams)
        {
            if (!Load(root.Table + (index * L1StreamDescriptor.Bytes), word) || word[0] != cached)
            {
                return $"first-level descriptor 0x{index:x} of the stream table is cached as 0x{cached:x}";
            }
        }

        foreach (((uint sid, uint index), CachedDescriptor descriptor) in _caches.FirstContexts)
        {
            if (!_caches.Streams.TryGet(sid, out CachedEntry? stream)
                || !stream.IsSet(StreamTableEntry.V)
                || !Load(descriptor.Address, word)
                || word[0] != descriptor.Word)
            {
                return $"first-level context descriptor 0x{index:x} of StreamID 0x{sid:x} is cached as "
                    + $"0x{descriptor.Word:x}";
            }
        }

        foreach ((uint sid, CachedEntry entry) in _caches.Streams)
        {
            if (IsStale(entry, isContext: false))
            {
                return $"the entry of StreamID 0x{sid:x} is cached as 0x{entry.Words[0]:x}";
            }
        }

        foreach (((uint sid, uint ssid), CachedEntry entry) in _caches.Contexts)
        {
            if (!_caches.Streams.TryGet(sid, out CachedEntry? stream)
                || !stream.IsSet(StreamTableEntry.V)
                || IsStale(entry, isContext: true))
            {
                return $"the descriptor of StreamID 0x{sid:x} SubstreamID 0x{ssid:x} is cached as 0x{entry.Words[0]:x}";
            }
        }

        return null;
    }

    /// <summary>A translation from the TLB only.</summary>
    public SmmuTranslation? Peek(in SmmuRegime regime, ulong address) => _caches.Find(regime, address)?.At(address);

    protected override bool ReadFirstLevel(ulong index, ulong address, Span<ulong> word)
    {
        if (_caches.FirstStreams.TryGet(index, out word[0]))
        {
            return true;
        }

        if (!base.ReadFirstLevel(index, address, word))
        {
            return false;
        }

        ReportReserved(L1StreamDescriptor.Layout, word, word.Get(L1StreamDescriptor.Span) != 0, address);
        _caches.FirstStreams.Replace(index, word[0]);
        return true;
    }

    protected override SmmuFault ReadStreamEntry(uint sid, in StreamRoot root, Span<ulong> ste)
    {
        _split = root.Split;
        if (!_caches.Streams.TryGet(sid, out CachedEntry? entry))
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
            entry = new CachedEntry(address, link, words);
            ReportReserved(StreamTableEntry.Layout, words, (words[0] & 1) != 0, address);
            _caches.Streams.Replace(sid, entry);
        }

        entry.Words.CopyTo(ste);
        return SmmuRules.CheckStreamEntry(Options, ste);
    }

    protected override bool ReadFirstContext(uint sid, uint ssid, int leafBits, ulong address, Span<ulong> word)
    {
        uint index = ssid >> leafBits;
        if (_caches.FirstContexts.TryGet((sid, index), out CachedDescriptor cached))
        {
            word[0] = cached.Word;
            return true;
        }

        if (!base.ReadFirstContext(sid, ssid, leafBits, address, word))
        {
            return false;
        }

        ReportReserved(L1ContextDescriptor.Layout, word, word.Get(L1ContextDescriptor.V) != 0, address);
        _caches.FirstContexts.Replace((sid, index), new CachedDescriptor(address, word[0], leafBits));
        return true;
    }

    protected override SmmuFault ReadContext(
        uint sid, uint ssid, ReadOnlySpan<ulong> ste, in Stage2Root? second, Span<ulong> cd)
    {
        if (!_caches.Contexts.TryGet((sid, ssid), out CachedEntry? entry))
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
            ulong link = _caches.FirstContexts.TryGet((sid, ssid >> leafBits), out CachedDescriptor first)
                ? first.Address : 0;
            entry = new CachedEntry(address, link, words);
            ReportReserved(ContextDescriptor.Layout, words, entry.IsSet(ContextDescriptor.V), address);
            _caches.Contexts.Replace((sid, ssid), entry);
        }

        entry.Words.CopyTo(cd);
        return SmmuRules.CheckContext(Options, ste, cd);
    }

    protected override SmmuTranslation Translate(in SmmuRegime regime, ulong address, bool isWrite)
    {
        if (_caches.Find(regime, address) is { } entry)
        {
            if (entry.Root != regime.First?.Table)
            {
                _report("smmu-asid-of-two-tables",
                    $"{entry.Tag}: a translation of 0x{address:x} through table 0x{entry.Root:x} is still cached, now "
                        + $"the table "
                    + $"is 0x{regime.First?.Table:x} (3.17)");
            }

            return entry.At(address).For(isWrite, Events.ClassInput);
        }

        SmmuTranslation found = Walk(regime, address, isWrite);

        // Faults are not cached, but an entry that refuses a write is.
        if (!found.Fault.IsFault || found.Fault.Event == SmmuEvent.F_PERMISSION)
        {
            _caches.Keep(regime, address, Cached(
                Tag.Of(regime),
                regime.First?.GranuleShift ?? regime.Second!.Value.GranuleShift,
                regime.First?.Table,
                found with { Fault = default }));
        }

        return found;
    }

    protected override SmmuTranslation TranslateIntermediate(uint vmid, in Stage2Root second, ulong address)
    {
        if (_caches.Intermediate.TryFind(vmid, address, out _, out CachedTranslation? entry))
        {
            return entry.At(address) with { Ipa = address };
        }

        SmmuTranslation found = base.TranslateIntermediate(vmid, second, address);
        if (!found.Fault.IsFault)
        {
            _caches.Intermediate.Keep(vmid, address, found.Shift, Cached(default, second.GranuleShift, null, found));
        }

        return found;
    }

    protected override void FindTable(in SmmuRegime regime, ulong address, ref int level, ref ulong table)
    {
        // The smallest is the deepest.
        if (_caches.Tables.TryFind(RegimeTag.Of(regime, isGlobal: false), address, out _, out CachedTable? entry)
            && entry.Level > level)
        {
            level = entry.Level;
            table = entry.Table;
        }
    }

    protected override void KeepTable(in SmmuRegime regime, ulong address, int level, int lowBit, ulong table) =>
        _caches.Tables.Keep(
            RegimeTag.Of(regime, isGlobal: false), address, lowBit, new CachedTable(Tag.Of(regime), level, table));

    private static CachedTranslation Cached(Tag tag, int granuleShift, ulong? root, in SmmuTranslation found)
    {
        ulong low = (1UL << found.Shift) - 1;
        return new CachedTranslation(
            tag, granuleShift, root, found with { Address = found.Address & ~low, Ipa = found.Ipa & ~low });
    }

    // A valid entry with bits that must be 0, or a combination that no implementation takes: what hardware makes of it
    // is unpredictable, so it is reported beside the event.
    private void ReportReserved(Layout layout, ReadOnlySpan<ulong> words, bool isValid, ulong address)
    {
        if (isValid && layout.Check(words) is { Count: > 0 } violations)
        {
            _report("smmu-reserved-bits", $"{layout.Id} at 0x{address:x}: {violations[0]}");
        }
    }

    private void Check(ModelMemory memory, CachedEntry entry, bool isContext, string what)
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

        // Another thread may be in the middle of a change of its own: what it has stored and what is still on its way
        // is the new entry then, as much as what has arrived. Read after the choices, so that none of them is newer.
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
            _report("smmu-torn-entry",
                $"{what} at 0x{entry.Address:x} changed so that a fetch under way may see neither the old nor the new "
                    + $"one (3.21)");
        }
    }

    private bool IsStale(CachedEntry entry, bool isContext)
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
}
