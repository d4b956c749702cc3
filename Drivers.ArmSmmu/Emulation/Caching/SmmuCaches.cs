// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Emulation.Caching;

/// <summary>The tags of a translation, and whose access brought it in.</summary>
/// <param name="Sid">StreamID of that access.</param>
/// <param name="Ssid">SubstreamID of that access.</param>
/// <param name="IsEl2">Whether the regime is EL2's.</param>
/// <param name="Asid">ASID; null where stage 1 is off.</param>
internal readonly record struct Tag(uint Sid, uint? Ssid, bool IsEl2, uint Vmid, uint? Asid)
{
    /// <summary>The tags that the configuration of an access gives.</summary>
    public static Tag Of(in SmmuRegime regime) =>
        new(regime.Sid, regime.Ssid, regime.IsEl2, regime.Vmid, regime.First?.Asid);

    public override string ToString() => $"VMID {Vmid} ASID {Asid}";
}

/// <summary>
/// What hardware compares, in one word, because every access compares it; a global translation has every ASID.
/// </summary>
internal readonly record struct RegimeTag
{
    private const int AsidShift = 16;
    private const ulong HasAsid = 1UL << 32;
    private const ulong El2 = 1UL << 33;
    private const ulong Global = 1UL << 34;
    private readonly ulong _bits;
    private RegimeTag(ulong bits) => _bits = bits;
    public bool IsEl2 => (_bits & El2) != 0;

    public uint Vmid => (ushort)_bits;

    /// <summary>ASID, 0 where it is global; null where stage 1 is off.</summary>
    public uint? Asid => (_bits & HasAsid) != 0 ? (ushort)(_bits >> AsidShift) : null;
    public bool IsGlobal => (_bits & Global) != 0;

    /// <summary>The tags of a regime, whose VMID and ASID are of 16 bits at most.</summary>
    public static RegimeTag Of(in SmmuRegime regime, bool isGlobal)
    {
        ulong bits = regime.Vmid | (regime.IsEl2 ? El2 : 0) | (isGlobal ? Global : 0);
        if (regime.First is { } first)
        {
            bits |= HasAsid | (isGlobal ? 0 : (ulong)first.Asid << AsidShift);
        }

        return new RegimeTag(bits);
    }
}

/// <summary>A stream table entry or context descriptor as it was read.</summary>
/// <param name="Link">Byte address of the first-level descriptor that led to it; 0 for none.</param>
internal sealed record CachedEntry(ulong Address, ulong Link, ulong[] Words)
{
    /// <summary>Values of each word that a fetch under way may have read before the last synchronisation.</summary>
    public List<ulong>[] Seen { get; } = [.. Words.Select(_ => new List<ulong>())];
    public bool IsSet(Field field) => Get(field) != 0;
    public ulong Get(Field field) => ((ReadOnlySpan<ulong>)Words).Get(field);
    public ulong GetAddress(Field field) => ((ReadOnlySpan<ulong>)Words).GetAddress(field);
}

internal readonly record struct CachedDescriptor(ulong Address, ulong Word, int LeafBits);

/// <summary>A translation as it was walked, for the first address that it covers.</summary>
internal sealed record CachedTranslation(Tag Tag, int GranuleShift, ulong? Root, SmmuTranslation Translation)
{
    /// <summary>The translation of an address that it covers.</summary>
    public SmmuTranslation At(ulong address)
    {
        ulong offset = address & ((1UL << Translation.Shift) - 1);
        return Translation with { Address = Translation.Address | offset, Ipa = Translation.Ipa | offset };
    }
}

/// <summary>A table of stage 1 that a walk found.</summary>
internal sealed record CachedTable(Tag Tag, int Level, ulong Table);

internal readonly record struct DeviceItem(ulong Target, bool Writable);

/// <summary>Everything that is cached. Not safe for concurrent use.</summary>
internal sealed class SmmuCaches
{
    // Whether a global translation was ever kept: almost no page table has one.
    private bool _hasGlobal;

    /// <summary>First-level descriptors of the stream table by index.</summary>
    public TagCache<ulong, ulong> FirstStreams { get; } = new("L1STD")
    {
        Describe = (index, word) => ($"index 0x{index:x}", $"0x{word:x}"),
        LeadsInto = (index, word, freed) =>
            word.Has(L1StreamDescriptor.Span) && freed.Contains(word.GetAddress(L1StreamDescriptor.L2Ptr))
                ? $"the first-level descriptor 0x{index:x} of the stream table"
                : null,
    };

    /// <summary>Stream table entries by StreamID.</summary>
    public TagCache<uint, CachedEntry> Streams { get; } = new("STE")
    {
        Describe = (sid, entry) => ($"StreamID 0x{sid:x}", $"0x{entry.Words[0]:x} 0x{entry.Words[1]:x}"),
        LeadsInto = (sid, entry, freed) =>
            entry.IsSet(StreamTableEntry.V)
            && entry.Get(StreamTableEntry.Config) == StreamTableEntry.ConfigStage1
            && freed.Contains(entry.GetAddress(StreamTableEntry.S1ContextPtr))
                ? $"the stream table entry of StreamID 0x{sid:x}"
                : null,
    };

    /// <summary>First-level context descriptors by StreamID and index.</summary>
    public TagCache<(uint Sid, uint Index), CachedDescriptor> FirstContexts { get; } = new("L1CD")
    {
        Describe = (key, descriptor) => ($"StreamID 0x{key.Sid:x} index 0x{key.Index:x}", $"0x{descriptor.Word:x}"),
        LeadsInto = (key, descriptor, freed) =>
            descriptor.Word.Has(L1ContextDescriptor.V)
            && freed.Contains(descriptor.Word.GetAddress(L1ContextDescriptor.L2Ptr))
                ? $"the first-level context descriptor 0x{key.Index:x} of StreamID 0x{key.Sid:x}"
                : null,
    };

    /// <summary>Context descriptors by StreamID and SubstreamID.</summary>
    public TagCache<(uint Sid, uint Ssid), CachedEntry> Contexts { get; } = new("CD")
    {
        Describe = (key, entry) => (
            $"StreamID 0x{key.Sid:x} SubstreamID 0x{key.Ssid:x}", $"0x{entry.Words[0]:x} 0x{entry.Words[1]:x}"),
        LeadsInto = (key, entry, freed) =>
            entry.IsSet(ContextDescriptor.V)
            && !entry.IsSet(ContextDescriptor.EPD0)
            && freed.Contains(entry.GetAddress(ContextDescriptor.TTB0))
                ? $"the context descriptor of StreamID 0x{key.Sid:x} SubstreamID 0x{key.Ssid:x}"
                : null,
    };

    public TranslationCache<RegimeTag, CachedTranslation> Tlb { get; } = new("TLB")
    {
        Describe = (key, entry) => (entry.Tag.ToString(), $"0x{key.First:x} to 0x{entry.Translation.Address:x}"),
    };

    public TranslationCache<RegimeTag, CachedTable> Tables { get; } = new("walk cache")
    {
        Describe = (key, entry) => ($"{entry.Tag} level {entry.Level} 0x{key.First:x}", $"table 0x{entry.Table:x}"),
        LeadsInto = (_, entry, freed) => freed.Contains(entry.Table) ? $"a page table entry of {entry.Tag}" : null,
    };

    /// <summary>Translations of stage 2 by VMID.</summary>
    public TranslationCache<uint, CachedTranslation> Intermediate { get; } = new("stage 2 TLB")
    {
        Describe = (key, entry) => ($"VMID {key.Tag} 0x{key.First:x}", $"0x{entry.Translation.Address:x}"),
    };

    /// <summary>What devices keep for themselves (ATS, Arm IHI 0070 3.9, 4.5).</summary>
    public TranslationCache<(uint Sid, uint? Ssid), DeviceItem> Devices { get; } = new("device-TLB")
    {
        Describe = (key, item) => (
            $"StreamID 0x{key.Tag.Sid:x} {(key.Tag.Ssid is { } ssid ? $"PASID 0x{ssid:x}" : "no PASID")} "
                + $"0x{key.First:x}",
            $"0x{item.Target:x}"),
    };

    public CacheSet All { get; }

    public SmmuCaches() =>
        All = new CacheSet(FirstStreams, Streams, FirstContexts, Contexts, Tlb, Tables, Intermediate, Devices);

    /// <summary>Finds a translation of a regime, by its ASID or global.</summary>
    public CachedTranslation? Find(in SmmuRegime regime, ulong address) =>
        Tlb.TryFind(RegimeTag.Of(regime, isGlobal: false), address, out _, out CachedTranslation? entry)
        || (_hasGlobal && Tlb.TryFind(RegimeTag.Of(regime, isGlobal: true), address, out _, out entry))
            ? entry
            : null;

    /// <summary>Keeps a last-level translation of a regime.</summary>
    public void Keep(in SmmuRegime regime, ulong address, CachedTranslation entry)
    {
        bool isGlobal = entry.Translation.IsGlobal;
        _hasGlobal |= isGlobal;
        Tlb.Keep(RegimeTag.Of(regime, isGlobal), address, entry.Translation.Shift, entry);
    }

    /// <summary>A device keeps the answer to its request.</summary>
    public void KeepInDevice(uint sid, uint? ssid, ulong address, in SmmuTranslation translation)
    {
        ulong low = (1UL << translation.Shift) - 1;
        Devices.Keep((sid, ssid), address, translation.Shift, new DeviceItem(
            translation.Address & ~low, translation.Writable && translation.Writable2));
    }

    /// <summary>Every last-level translation with a SubstreamID, of the TLB and of devices.</summary>
    public IEnumerable<(uint Sid, uint? Ssid, ulong First, ulong Target)> Translations() =>
        Tlb.Where(e => e.Value.Tag.Ssid is not null).Select(
            e => (e.Value.Tag.Sid, e.Value.Tag.Ssid, e.Key.First, e.Value.Translation.Address))
        .Concat(Devices.Select(d => (d.Key.Tag.Sid, d.Key.Tag.Ssid, d.Key.First, d.Value.Target)));
}
