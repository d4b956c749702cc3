using PasidFramework.Drivers.ArmSmmu.Emulation.Functional;
using PasidFramework.Drivers.ArmSmmu.Formats;
using PasidFramework.Records;

namespace PasidFramework.Drivers.ArmSmmu.Emulation.Caching;

// What one command makes the caches forget, and not more (Arm IHI 0070 4.3, 4.4).
internal sealed partial class CachingWalker
{
    /// <summary>Forgets configuration.</summary>
    /// <param name="command">A CFGI command.</param>
    public void InvalidateConfiguration(SmmuCommand command)
    {
        ReadOnlySpan<ulong> words = [command.Word0, command.Word1];
        uint sid = (uint)words.Get(Commands.SID);
        uint ssid = (uint)words.Get(Commands.SSID);
        bool isLeaf = words.Get(Commands.Leaf) != 0;
        switch (command.Opcode)
        {
            case SmmuOpcode.CFGI_STE:
                _streams.Remove(sid);
                if (!isLeaf)
                {
                    ForgetFirstStreams(sid, sid);
                }

                break;
            case SmmuOpcode.CFGI_STE_RANGE:
                int range = (int)words.Get(Commands.Range);
                bool isAll = (ulong)range == Commands.RangeAll;
                uint count = isAll ? 0 : 2u << range;
                uint first = isAll ? 0 : sid & ~(count - 1);
                uint last = isAll ? uint.MaxValue : first + (count - 1);
                foreach (uint found in _streams.Keys.Where(k => k >= first && k <= last).ToArray())
                {
                    _streams.Remove(found);
                }

                ForgetFirstStreams(first, last);
                if (isAll)
                {
                    _contexts.Clear();
                    _firstContexts.Clear();
                }

                break;
            case SmmuOpcode.CFGI_CD:
                _contexts.Remove((sid, ssid));
                if (!isLeaf)
                {
                    foreach (((uint, uint) key, Descriptor _) in _firstContexts.Where(
                        f => f.Key.Sid == sid && f.Key.Index == ssid >> f.Value.LeafBits).ToArray())
                    {
                        _firstContexts.Remove(key);
                    }
                }

                break;
            case SmmuOpcode.CFGI_CD_ALL:
                foreach ((uint, uint) key in _contexts.Keys.Where(k => k.Sid == sid).ToArray())
                {
                    _contexts.Remove(key);
                }

                foreach ((uint, uint) key in _firstContexts.Keys.Where(k => k.Sid == sid).ToArray())
                {
                    _firstContexts.Remove(key);
                }

                break;
        }
    }

    /// <summary>
    /// Reads the descriptors of a stream again through its cached entry, as hardware may that has not been told yet that
    /// the entry is gone.
    /// </summary>
    /// <param name="sid">StreamID.</param>
    /// <param name="ssids">SubstreamIDs.</param>
    public void ReadContextsAgain(uint sid, IEnumerable<uint> ssids)
    {
        if (!_streams.TryGetValue(sid, out Entry? stream) || SmmuRules.CheckStreamEntry(Options, stream.Words).IsFault)
        {
            return;
        }

        ReadOnlySpan<ulong> ste = stream.Words;
        ulong config = ste.Get(StreamTableEntry.Config);
        if (config is not (StreamTableEntry.ConfigStage1 or StreamTableEntry.ConfigNested))
        {
            return;
        }

        Stage2Root? second = config == StreamTableEntry.ConfigNested ? Stage2Root.Of(Options, ste) : null;
        Span<ulong> cd = stackalloc ulong[ContextDescriptor.Words];
        foreach (uint ssid in ssids)
        {
            _ = ReadContext(sid, ssid, ste, second, cd);
        }
    }

    /// <summary>SubstreamIDs of a stream whose descriptors are cached.</summary>
    public uint[] CachedSubstreams(uint sid) => [.. _contexts.Keys.Where(k => k.Sid == sid).Select(k => k.Ssid)];

    /// <summary>Forgets translations.</summary>
    /// <param name="command">A TLBI command.</param>
    /// <returns>Who brought in what is forgotten now, and for which address.</returns>
    public List<(Tag Tag, ulong Address)> InvalidateTranslations(SmmuCommand command)
    {
        ReadOnlySpan<ulong> words = [command.Word0, command.Word1];
        uint vmid = (uint)words.Get(Commands.VMID);
        uint asid = (uint)words.Get(Commands.ASID);
        bool isLeaf = words.Get(Commands.Leaf) != 0;
        var span = Pages.Of(words);
        switch (command.Opcode)
        {
            case SmmuOpcode.TLBI_NH_ALL:
                return Forget(e => IsEl1(e.Tag, vmid), t => IsEl1(t.Tag, vmid));
            case SmmuOpcode.TLBI_NH_ASID:
                return Forget(
                    e => IsEl1(e.Tag, vmid) && !e.IsGlobal && e.Tag.Asid == asid,
                    t => IsEl1(t.Tag, vmid) && t.Tag.Asid == asid);
            case SmmuOpcode.TLBI_NH_VA:
                return Forget(
                    e => IsEl1(e.Tag, vmid) && (e.IsGlobal || e.Tag.Asid == asid) && span.Hits(e),
                    t => IsEl1(t.Tag, vmid) && t.Tag.Asid == asid && !isLeaf && span.Hits(t.Base, t.LowBit));
            case SmmuOpcode.TLBI_NH_VAA:
                return Forget(
                    e => IsEl1(e.Tag, vmid) && span.Hits(e),
                    t => IsEl1(t.Tag, vmid) && !isLeaf && span.Hits(t.Base, t.LowBit));
            case SmmuOpcode.TLBI_EL2_ALL:
                return Forget(e => e.Tag.IsEl2, t => t.Tag.IsEl2);
            case SmmuOpcode.TLBI_EL2_ASID:
                return Forget(
                    e => e.Tag.IsEl2 && !e.IsGlobal && e.Tag.Asid == asid, t => t.Tag.IsEl2 && t.Tag.Asid == asid);
            case SmmuOpcode.TLBI_EL2_VA:
                return Forget(
                    e => e.Tag.IsEl2 && (e.IsGlobal || e.Tag.Asid == asid) && span.Hits(e),
                    t => t.Tag.IsEl2 && t.Tag.Asid == asid && !isLeaf && span.Hits(t.Base, t.LowBit));
            case SmmuOpcode.TLBI_EL2_VAA:
                return Forget(
                    e => e.Tag.IsEl2 && span.Hits(e), t => t.Tag.IsEl2 && !isLeaf && span.Hits(t.Base, t.LowBit));
            case SmmuOpcode.TLBI_S12_VMALL:
                _intermediate.RemoveAll(e => e.Vmid == vmid);
                return Forget(e => !e.Tag.IsEl2 && e.Tag.Vmid == vmid, t => !t.Tag.IsEl2 && t.Tag.Vmid == vmid);
            case SmmuOpcode.TLBI_S2_IPA:
                // Translations of both stages joined are not in it: they need TLBI_NH_ALL.
                _intermediate.RemoveAll(e => e.Vmid == vmid
                    && span.Hits(e.Base, e.Translation.Shift, e.Translation.Level, e.GranuleShift));
                return Forget(
                    e => !e.Tag.IsEl2 && e.Tag.Vmid == vmid && e.Tag.Asid is null && span.Hits(e), _ => false);
            case SmmuOpcode.TLBI_NSNH_ALL:
                _intermediate.Clear();
                return Forget(e => !e.Tag.IsEl2, t => !t.Tag.IsEl2);
            default:
                return [];
        }
    }

    /// <summary>Walks for an address again and keeps the result, as hardware may with what it has cached.</summary>
    public void WalkAgain(in Tag tag, ulong address)
    {
        if (CachedRegime(tag, address) is { } regime && Tag.Of(regime) == tag)
        {
            _ = Translate(regime, address, isWrite: false);
        }
    }

    private static bool IsEl1(in Tag tag, uint vmid) => !tag.IsEl2 && tag.Vmid == vmid && tag.Asid is not null;

    private List<(Tag, ulong)> Forget(Predicate<TlbEntry> translations, Predicate<TableEntry> tables)
    {
        List<(Tag, ulong)> forgotten = [.. _tlb.FindAll(translations).Select(e => (e.Tag, e.Base))];
        _tlb.RemoveAll(translations);
        _tables.RemoveAll(tables);
        return forgotten;
    }

    private void ForgetFirstStreams(uint first, uint last)
    {
        // Which StreamIDs a descriptor serves depends on SPLIT, which cannot have changed since it was cached.
        foreach (ulong index in _firstStreams.Keys.Where(
            k => k >= (ulong)first >> _split && k <= (ulong)last >> _split).ToArray())
        {
            _firstStreams.Remove(index);
        }
    }

    /// <summary>The addresses that a TLBI by address names.</summary>
    private readonly record struct Pages(ulong First, ulong Last, bool IsRange, int Level, int GranuleShift)
    {
        public static Pages Of(ReadOnlySpan<ulong> words)
        {
            ulong address = words.GetAddress(Commands.ADDR);
            int granule = words.Get(Commands.TG) switch
            {
                1 => 12,
                2 => 14,
                3 => 16,
                _ => 0,
            };
            ulong bytes = granule == 0 ? 1 : (words.Get(Commands.NUM) + 1) << (int)(words.Get(Commands.SCALE) + (ulong)granule);
            return new Pages(address, address + bytes - 1, granule != 0, (int)words.Get(Commands.TTL), granule);
        }

        public bool Hits(TlbEntry entry) =>
            Hits(entry.Base, entry.Translation.Shift, entry.Translation.Level, entry.GranuleShift);

        /// <summary>A last-level translation; TTL and TG of a range say which ones need not be looked for.</summary>
        public bool Hits(ulong start, int shift, int level, int granuleShift) =>
            Hits(start, shift)
            && (!IsRange || GranuleShift == granuleShift)
            && (Level == 0 || !IsRange || Level == level);

        public bool Hits(ulong start, int shift) => start <= Last && start + Low(shift) >= First;
    }
}
