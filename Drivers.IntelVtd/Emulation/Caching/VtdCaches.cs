// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Emulation.Caching;

/// <summary>A cached PASID entry with the directory entry that led to it.</summary>
/// <param name="Address">Byte address of the table entry; 0 where the directory entry ended the walk.</param>
/// <param name="Words">The table entry; null where the directory entry ended the walk.</param>
/// <param name="IsPresent">Whether it can be used; a cached failure otherwise.</param>
/// <param name="RequestPasid">The request's PASID; null for none.</param>
internal sealed record CachedEntry(ulong Directory, ulong Address, ulong[]? Words, bool IsPresent, uint? RequestPasid)
{
    /// <summary>Tag; only of an entry that is present.</summary>
    public uint DomainId => (uint)Words.AsSpan().Get(PasidEntry.DID);

    /// <summary>Whether what it leads to is dropped for the whole domain (table 28).</summary>
    public bool HasSecondStage => Words.AsSpan().Get(PasidEntry.PGTT) is PasidEntry.SecondStage or PasidEntry.Nested;

    /// <summary>Whether a table that it leads to at a host address is in freed memory.</summary>
    public bool LeadsInto(AddressRange freed) => IsPresent
        && (VtdCaches.IsPage(freed, Directory & PasidDirectoryEntry.SMPTBLPTR.WordMask)
            || (Words.AsSpan().Get(PasidEntry.PGTT) == PasidEntry.FirstStage
                ? VtdCaches.IsPage(freed, Words.AsSpan().GetAddress(PasidEntry.FSPTPTR))
                : HasSecondStage && VtdCaches.IsPage(freed, Words.AsSpan().GetAddress(PasidEntry.SSPTPTR))));
}

/// <summary>A cached PASID directory entry that is present.</summary>
/// <param name="RequestPasid">PASID of the request that asked for it; null for none.</param>
internal sealed record CachedDirectory(ulong Value, uint? RequestPasid);

internal sealed record CachedContext(ulong Address, ulong[] Words, bool IsPresent);

/// <summary>Tags of a translation or of an upper page table entry.</summary>
/// <param name="Type">PGTT: first, second stage or nested.</param>
/// <param name="Pasid">PASID; 0 for second-stage only, which has no such tag.</param>
internal readonly record struct TranslationTag(ulong Type, uint DomainId, uint Pasid);

/// <summary>A cached translation of one 4 KiB page.</summary>
/// <param name="Page">Physical address of the page.</param>
/// <param name="Level">Level of the leaf it comes from: the mapping covers that much.</param>
/// <param name="Dirty">Whether a write needs no update of flags.</param>
/// <param name="Requester">Who asked last.</param>
/// <param name="RequestPasid">The request's PASID; null for none.</param>
internal sealed record CachedPage(
    ulong Page, int Level, bool Writable, bool Dirty, ulong Root, uint Requester, uint? RequestPasid);

/// <summary>Tags in a device's TLB.</summary>
/// <param name="Pasid">The request's PASID; null for requests without one.</param>
internal readonly record struct DeviceTag(uint Requester, uint? Pasid);

/// <summary>A translation in a device's TLB.</summary>
/// <param name="Translation">What it was filled from.</param>
/// <param name="Page">Physical address of the page.</param>
internal sealed record DeviceItem(TranslationKey<TranslationTag> Translation, ulong Page, bool Writable, ulong Root);

/// <summary>An access that was answered with a configuration fault, kept with the translations (CM = 1).</summary>
/// <param name="IsQuiet">Whether FPD suppresses the record.</param>
/// <param name="RequestPasid">The request's PASID; null for none.</param>
internal sealed record BlockedItem(int Fault, bool IsQuiet, ulong Address, uint? RequestPasid);

/// <summary>Everything that is cached. Not safe for concurrent use.</summary>
internal sealed class VtdCaches
{
    public CacheSet All { get; }

    /// <summary>Root entry halves by bus and half.</summary>
    public TagCache<uint, ulong> Roots { get; } = new("context-cache")
    {
        Describe = (key, half) => ($"bus {key >> 1:x2} half {key & 1}", $"root entry 0x{half:x16}"),
        LeadsInto = (key, half, freed) =>
            half.Get(RootEntry.LP) == 1 && IsPage(freed, half & RootEntry.LCTP.WordMask)
                ? $"the root entry of bus {key >> 1:x2}"
                : null,
    };

    /// <summary>Context entries by requester.</summary>
    public TagCache<uint, CachedContext> Contexts { get; } = new("context-cache")
    {
        Describe = (requester, context) => ($"SID 0x{requester:x4}", Words(context.Words)),
        LeadsInto = (requester, context, freed) =>
        {
            ReadOnlySpan<ulong> words = context.Words;
            ulong table = words.GetAddress(ContextEntry.PASIDDIRPTR);
            ulong bytes = (ulong)PasidDirectoryEntry.SizeBytes << ((int)words.Get(ContextEntry.PDTS) + 7);
            return context.IsPresent && freed.Overlaps(table, table + bytes - 1)
                ? $"the context entry of SID 0x{requester:x4}"
                : null;
        },
    };

    /// <summary>PASID directory entries by requester and index.</summary>
    public TagCache<(uint Requester, uint Index), CachedDirectory> Directories { get; } = new("PASID-cache")
    {
        Describe = (key, directory) => (
            $"SID 0x{key.Requester:x4} directory index 0x{key.Index:x}", $"directory 0x{directory.Value:x16}"),
        LeadsInto = (key, directory, freed) =>
            IsPage(freed, directory.Value & PasidDirectoryEntry.SMPTBLPTR.WordMask)
                ? $"PASID directory entry 0x{key.Index:x} of SID 0x{key.Requester:x4}"
                : null,
    };

    public TagCache<(uint Requester, uint Pasid), CachedEntry> Entries { get; } = new("PASID-cache")
    {
        Describe = (key, entry) => (
            $"SID 0x{key.Requester:x4} PASID 0x{key.Pasid:x}",
            $"directory 0x{entry.Directory:x16}, entry {Words(entry.Words ?? [])}"),
        LeadsInto = (key, entry, freed) =>
            entry.LeadsInto(freed) ? $"the entry of SID 0x{key.Requester:x4} PASID 0x{key.Pasid:x}" : null,
    };

    public TranslationCache<TranslationTag, ulong> Upper { get; }

    public TranslationCache<TranslationTag, CachedPage> Pages { get; } = new("IOTLB")
    {
        Describe = (key, page) => (Tags(key, 0), $"page 0x{page.Page:x}{(page.Writable ? " writable" : string.Empty)}"),
        LeadsInto = (key, page, freed) =>
            IsPage(freed, page.Page) ? $"a translation of DID {key.Tag.DomainId} PASID 0x{key.Tag.Pasid:x}" : null,
    };

    /// <summary>Faults that are kept with the translations, by requester and PASID.</summary>
    public TagCache<(uint Requester, uint Pasid), BlockedItem> Blocked { get; } = new("IOTLB")
    {
        Describe = (key, blocked) => (
            $"SID 0x{key.Requester:x4} PASID 0x{key.Pasid:x}",
            $"fault {blocked.Fault:x2}h{(blocked.IsQuiet ? ", quiet" : string.Empty)}"),
    };

    /// <summary>Device TLBs, by 4 KiB pages.</summary>
    public TranslationCache<DeviceTag, DeviceItem> Devices { get; } = new("device-TLB")
    {
        Describe = (key, item) => (
            $"SID 0x{key.Tag.Requester:x4} PASID {Number(key.Tag.Pasid)} page 0x{key.First:x}",
            $"page 0x{item.Page:x}"),
        LeadsInto = (key, item, freed) =>
            IsPage(freed, item.Page) ? $"a translation in the TLB of SID 0x{key.Tag.Requester:x4}" : null,
    };

    public VtdCaches()
    {
        Upper = new TranslationCache<TranslationTag, ulong>("paging-structure cache")
        {
            Describe = (key, entry) => (Tags(key, LevelOf(key.Shift)), $"entry 0x{entry:x16}"),

            // The first stage of a nested entry has guest addresses.
            LeadsInto = (key, entry, freed) =>
                IsPage(freed, entry & X86Entry.ADDR.WordMask)
                && !(key.Tag.Type == PasidEntry.FirstStage && Entries.Values.Any(
                    e => e.IsPresent && e.DomainId == key.Tag.DomainId && e.HasSecondStage))
                    ? $"an upper page table entry of DID {key.Tag.DomainId} PASID 0x{key.Tag.Pasid:x}"
                    : null,
        };
        All = new CacheSet(Roots, Contexts, Directories, Entries, Upper, Pages, Blocked, Devices);
    }

    /// <summary>log2 of the bytes that a page table entry of a level covers.</summary>
    public static int ShiftOf(int level) => 12 + (9 * (level - 1));

    /// <summary>The level of a page table entry that covers so much.</summary>
    public static int LevelOf(int shift) => ((shift - 12) / 9) + 1;

    /// <summary>Whether a 4 KiB page is in a range.</summary>
    public static bool IsPage(AddressRange range, ulong page) => range.Overlaps(page, page + 4095);

    private static string Number(uint? pasid) => pasid is { } number ? $"0x{number:x}" : "none";

    private static string Tags(in TranslationKey<TranslationTag> key, int level) =>
        $"PGTT {key.Tag.Type} DID {key.Tag.DomainId} PASID 0x{key.Tag.Pasid:x} level {level} "
        + $"index 0x{key.First >> key.Shift:x}";

    private static string Words(ulong[] words) =>
        words.Length == 0 ? "none" : string.Join(' ', words.Select(w => $"0x{w:x16}"));
}
