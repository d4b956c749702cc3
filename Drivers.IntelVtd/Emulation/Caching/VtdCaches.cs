using System.Globalization;
using PasidFramework.Contracts;
using PasidFramework.Drivers.IntelVtd.Formats;
using PasidFramework.Records;

namespace PasidFramework.Drivers.IntelVtd.Emulation.Caching;

/// <summary>A cached PASID entry with the directory entry that led to it.</summary>
/// <param name="Directory">The directory entry.</param>
/// <param name="Address">Byte address of the table entry; 0 where the directory entry ended the walk.</param>
/// <param name="Words">The table entry; null where the directory entry ended the walk.</param>
/// <param name="IsPresent">Whether it can be used; a cached failure otherwise.</param>
/// <param name="RequestPasid">The request's PASID; null for none.</param>
internal sealed record CachedEntry(
    ulong Directory, ulong Address, ulong[]? Words, bool IsPresent, uint? RequestPasid)
{
    /// <summary>Tag; only of an entry that is present.</summary>
    public uint DomainId => (uint)Words.AsSpan().Get(PasidEntry.DID);
}

/// <summary>A cached PASID directory entry that is present.</summary>
/// <param name="Value">The entry.</param>
/// <param name="RequestPasid">PASID of the request that asked for it; null for none.</param>
internal sealed record CachedDirectory(ulong Value, uint? RequestPasid);

/// <summary>A cached context entry.</summary>
/// <param name="Address">Its byte address.</param>
/// <param name="Words">Its words.</param>
/// <param name="IsPresent">Whether it can be used.</param>
internal sealed record CachedContext(ulong Address, ulong[] Words, bool IsPresent);

/// <summary>Tags of a translation or of an upper page table entry.</summary>
/// <param name="Type">PGTT: first, second stage or nested.</param>
/// <param name="DomainId">Domain id.</param>
/// <param name="Pasid">PASID; 0 for second-stage only, which has no such tag.</param>
/// <param name="Level">Level of the entry; 0 for a translation.</param>
/// <param name="Index">Input address in units of what the entry covers, or of 4 KiB.</param>
internal readonly record struct TranslationKey(ulong Type, uint DomainId, uint Pasid, int Level, ulong Index);

/// <summary>A cached translation of one 4 KiB page.</summary>
/// <param name="Page">Physical address of the page.</param>
/// <param name="Level">Level of the leaf it comes from: the mapping covers that much.</param>
/// <param name="Writable">Whether writes are permitted.</param>
/// <param name="Dirty">Whether a write needs no update of flags.</param>
/// <param name="Root">The page table.</param>
/// <param name="Requester">Who asked last.</param>
/// <param name="RequestPasid">The request's PASID; null for none.</param>
internal sealed record CachedPage(
    ulong Page, int Level, bool Writable, bool Dirty, ulong Root, uint Requester, uint? RequestPasid);

/// <summary>Tags in a device's TLB.</summary>
/// <param name="Requester">The device.</param>
/// <param name="Pasid">The request's PASID; null for requests without one.</param>
/// <param name="Page">Input address in units of 4 KiB.</param>
internal readonly record struct DeviceKey(uint Requester, uint? Pasid, ulong Page);

/// <summary>A translation in a device's TLB.</summary>
/// <param name="Translation">What it was filled from.</param>
/// <param name="Page">Physical address of the page.</param>
/// <param name="Writable">Whether writes are permitted.</param>
/// <param name="Root">The page table.</param>
internal sealed record DeviceItem(TranslationKey Translation, ulong Page, bool Writable, ulong Root);

/// <summary>An access that was answered with a configuration fault, kept with the translations (CM = 1).</summary>
/// <param name="Fault">The reason.</param>
/// <param name="IsQuiet">Whether FPD suppresses the record.</param>
/// <param name="Address">The access's address.</param>
/// <param name="RequestPasid">The request's PASID; null for none.</param>
internal sealed record BlockedItem(int Fault, bool IsQuiet, ulong Address, uint? RequestPasid);

/// <summary>Everything that is cached. Not safe for concurrent use.</summary>
internal sealed class VtdCaches
{
    /// <summary>Root entry halves by bus and half.</summary>
    public Dictionary<uint, ulong> Roots { get; } = [];

    /// <summary>Context entries by requester.</summary>
    public Dictionary<uint, CachedContext> Contexts { get; } = [];

    /// <summary>PASID directory entries by requester and index.</summary>
    public Dictionary<(uint Requester, uint Index), CachedDirectory> Directories { get; } = [];

    /// <summary>PASID entries by requester and PASID.</summary>
    public Dictionary<(uint Requester, uint Pasid), CachedEntry> Entries { get; } = [];

    /// <summary>Upper page table entries.</summary>
    public Dictionary<TranslationKey, ulong> Upper { get; } = [];

    /// <summary>Translations.</summary>
    public Dictionary<TranslationKey, CachedPage> Pages { get; } = [];

    /// <summary>Faults that are kept with the translations, by requester and PASID.</summary>
    public Dictionary<(uint Requester, uint Pasid), BlockedItem> Blocked { get; } = [];

    /// <summary>Device TLBs.</summary>
    public Dictionary<DeviceKey, DeviceItem> Devices { get; } = [];

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        Roots.Clear();
        Contexts.Clear();
        Directories.Clear();
        Entries.Clear();
        Upper.Clear();
        Pages.Clear();
        Blocked.Clear();
        Devices.Clear();
    }

    /// <summary>What is cached, in words.</summary>
    public List<CachedItem> Describe()
    {
        List<CachedItem> items =
        [
            .. Roots.Select(r => new CachedItem(
                "context-cache", Text($"bus {r.Key >> 1:x2} half {r.Key & 1}"), Text($"root entry 0x{r.Value:x16}"))),
            .. Contexts.Select(c => new CachedItem(
                "context-cache", Text($"SID 0x{c.Key:x4}"), Words(c.Value.Words))),
            .. Directories.Select(d => new CachedItem(
                "PASID-cache",
                Text($"SID 0x{d.Key.Requester:x4} directory index 0x{d.Key.Index:x}"),
                Text($"directory 0x{d.Value.Value:x16}"))),
            .. Entries.Select(e => new CachedItem(
                "PASID-cache",
                Text($"SID 0x{e.Key.Requester:x4} PASID 0x{e.Key.Pasid:x}"),
                Text($"directory 0x{e.Value.Directory:x16}, entry {Words(e.Value.Words ?? [])}"))),
            .. Upper.Select(u => new CachedItem(
                "paging-structure cache", Tags(u.Key), Text($"entry 0x{u.Value:x16}"))),
            .. Pages.Select(p => new CachedItem(
                "IOTLB",
                Tags(p.Key),
                Text($"page 0x{p.Value.Page:x}{(p.Value.Writable ? " writable" : string.Empty)}"))),
            .. Blocked.Select(b => new CachedItem(
                "IOTLB",
                Text($"SID 0x{b.Key.Requester:x4} PASID 0x{b.Key.Pasid:x}"),
                Text($"fault {b.Value.Fault:x2}h{(b.Value.IsQuiet ? ", quiet" : string.Empty)}"))),
            .. Devices.Select(d => new CachedItem(
                "device-TLB",
                Text($"SID 0x{d.Key.Requester:x4} PASID {Number(d.Key.Pasid)} page 0x{d.Key.Page << 12:x}"),
                Text($"page 0x{d.Value.Page:x}"))),
        ];
        return items;
    }

    private static string Number(uint? pasid) => pasid is { } number ? Text($"0x{number:x}") : "none";

    private static string Tags(TranslationKey key) => Text(
        $"PGTT {key.Type} DID {key.DomainId} PASID 0x{key.Pasid:x} level {key.Level} index 0x{key.Index:x}");

    private static string Words(ulong[] words) =>
        words.Length == 0 ? "none" : string.Join(' ', words.Select(w => Text($"0x{w:x16}")));

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
