// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Emulation.Caching;

// What one command makes the caches forget, and not more (Arm IHI 0070 4.3, 4.4).
internal sealed partial class CachingWalker
{
    public void InvalidateConfiguration(SmmuCommand command)
    {
        ReadOnlySpan<ulong> words = [command.Word0, command.Word1];
        uint sid = (uint)words.Get(Commands.SID);
        uint ssid = (uint)words.Get(Commands.SSID);
        bool isLeaf = words.Get(Commands.Leaf) != 0;
        switch (command.Opcode)
        {
            case SmmuOpcode.CFGI_STE:
                _caches.Streams.Remove(sid);
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
                _caches.Streams.Forget((k, _) => k >= first && k <= last);
                ForgetFirstStreams(first, last);
                if (isAll)
                {
                    _caches.Contexts.Clear();
                    _caches.FirstContexts.Clear();
                }

                break;
            case SmmuOpcode.CFGI_CD:
                _caches.Contexts.Remove((sid, ssid));
                if (!isLeaf)
                {
                    _caches.FirstContexts.Forget((k, first) => k.Sid == sid && k.Index == ssid >> first.LeafBits);
                }

                break;
            case SmmuOpcode.CFGI_CD_ALL:
                _caches.Contexts.Forget((k, _) => k.Sid == sid);
                _caches.FirstContexts.Forget((k, _) => k.Sid == sid);
                break;
        }
    }

    /// <summary>
    /// Reads the descriptors of a stream again through its cached entry, as hardware may where the
    /// invalidation of the removed entry has not completed.
    /// </summary>
    public void ReadContextsAgain(uint sid, IEnumerable<uint> ssids)
    {
        if (!_caches.Streams.TryGet(sid, out CachedEntry? stream)
            || SmmuRules.CheckStreamEntry(Options, stream.Words).IsFault)
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
    public uint[] CachedSubstreams(uint sid) => [.. _caches.Contexts.Keys.Where(k => k.Sid == sid).Select(k => k.Ssid)];

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
            case SmmuOpcode.TLBI_S12_VMALL:
                _caches.Intermediate.Forget((k, _) => k.Tag == vmid);
                return Forget((k, _) => IsOfGuest(k.Tag, vmid), t => IsOfGuest(t.Tag, vmid));
            case SmmuOpcode.TLBI_S2_IPA:
                // Translations of both stages joined are not in it: they need TLBI_NH_ALL.
                _caches.Intermediate.Forget((k, e) => k.Tag == vmid && span.Hits(k.First, k.Last, e));
                return Forget(
                    (k, e) => IsOfGuest(k.Tag, vmid) && k.Tag.Asid is null && span.Hits(k.First, k.Last, e), _ =>
                        false);
            case SmmuOpcode.TLBI_NSNH_ALL:
                _caches.Intermediate.Clear();
                return Forget((k, _) => !k.Tag.IsEl2, t => !t.Tag.IsEl2);
            default:
                break;
        }

        (Func<RegimeTag, bool> isNamed, bool byAsid, bool byAddress) = command.Opcode switch
        {
            SmmuOpcode.TLBI_NH_ALL => (IsEl1, false, false),
            SmmuOpcode.TLBI_NH_ASID => (IsEl1, true, false),
            SmmuOpcode.TLBI_NH_VA => (IsEl1, true, true),
            SmmuOpcode.TLBI_NH_VAA => (IsEl1, false, true),
            SmmuOpcode.TLBI_EL2_ALL => (IsEl2, false, false),
            SmmuOpcode.TLBI_EL2_ASID => (IsEl2, true, false),
            SmmuOpcode.TLBI_EL2_VA => (IsEl2, true, true),
            SmmuOpcode.TLBI_EL2_VAA => (IsEl2, false, true),
            _ => ((Func<RegimeTag, bool>)(_ => false), false, false),
        };
        bool IsEl1(RegimeTag tag) => IsOfGuest(tag, vmid) && tag.Asid is not null;
        bool IsEl2(RegimeTag tag) => tag.IsEl2;

        // By ASID alone global translations stay; by address they go with every ASID.
        return Forget(
            (k, e) => isNamed(k.Tag)
                && (!byAsid || (k.Tag.IsGlobal ? byAddress : k.Tag.Asid == asid))
                && (!byAddress || span.Hits(k.First, k.Last, e)),
            t => isNamed(t.Tag)
                && (!byAsid || t.Tag.Asid == asid)
                && (!byAddress || (!isLeaf && span.Hits(t.First, t.Last))));
    }

    /// <summary>Devices forget translations.</summary>
    /// <returns>Who has forgotten which address.</returns>
    public List<(uint Sid, uint? Ssid, ulong Address)> InvalidateDevices(SmmuCommand command)
    {
        ReadOnlySpan<ulong> words = [command.Word0, command.Word1];
        uint sid = (uint)words.Get(Commands.SID);
        uint ssid = (uint)words.Get(Commands.SSID);
        bool hasSsid = words.Get(Commands.SSV) != 0;
        bool isGlobal = words.Get(Commands.Global) != 0;
        int size = (int)words.Get(Commands.AtcSize);
        ulong low = size >= Commands.AtcSizeAll ? ulong.MaxValue : (1UL << (size + 12)) - 1;
        ulong first = words.GetAddress(Commands.ADDR) & ~low;
        var range = new AddressRange(first, first | low);
        return
        [
            .. _caches.Devices.Forget((k, _) => k.Tag.Sid == sid
                && (hasSsid ? k.Tag.Ssid is { } own && (isGlobal || own == ssid) : k.Tag.Ssid is null)
                && k.Overlaps(range)).Select(d => (d.Key.Tag.Sid, d.Key.Tag.Ssid, d.Key.First)),
        ];
    }

    /// <summary>Walks for an address again and keeps the result, as hardware may with what it has cached.</summary>
    public void WalkAgain(in Tag tag, ulong address)
    {
        if (CachedRegime(tag, address) is { } regime && Tag.Of(regime) == tag)
        {
            _ = Translate(regime, address, isWrite: false);
        }
    }

    private static bool IsOfGuest(in RegimeTag tag, uint vmid) => !tag.IsEl2 && tag.Vmid == vmid;

    private List<(Tag, ulong)> Forget(
        Func<TranslationKey<RegimeTag>, CachedTranslation, bool> translations, Func<TranslationKey<RegimeTag>,
        bool> tables)
    {
        List<(Tag, ulong)> forgotten = [.. _caches.Tlb.Forget(translations).Select(e => (e.Value.Tag, e.Key.First))];
        _caches.Tables.Forget((key, _) => tables(key));
        return forgotten;
    }

    private void ForgetFirstStreams(uint first, uint last)
    {
        // Which StreamIDs a descriptor serves depends on SPLIT, which cannot have changed since it was cached.
        _caches.FirstStreams.Forget((k, _) => k >= (ulong)first >> _split && k <= (ulong)last >> _split);
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
            ulong bytes = granule == 0 ? 1
                : (words.Get(Commands.NUM) + 1) << (int)(words.Get(Commands.SCALE) + (ulong)granule);
            return new Pages(address, address + bytes - 1, granule != 0, (int)words.Get(Commands.TTL), granule);
        }

        /// <summary>A last-level translation; TTL and TG of a range say which ones need not be searched.</summary>
        public bool Hits(ulong first, ulong last, CachedTranslation entry) =>
            Hits(first, last)
            && (!IsRange || GranuleShift == entry.GranuleShift)
            && (Level == 0 || !IsRange || Level == entry.Translation.Level);

        public bool Hits(ulong first, ulong last) => first <= Last && last >= First;
    }
}
