// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Emulation.Caching;

/// <summary>
/// VT-d hardware that caches all it may: root and context entries, PASID directory and table entries, upper page table
/// entries, translations, and what devices keep in their TLBs. Only an invalidation with the right granularity and tags
/// drops an entry, and it takes effect as late as the specification allows. Intel VT-d, D51397-018 (rev 5.10),
/// chapter 6.
/// </summary>
/// <remarks>Safe for concurrent use.</remarks>
internal sealed partial class VtdModel : VtdHardware, IIommuModel, IWalkSource
{
    private readonly Lock _cacheGate = new();
    private readonly VtdCaches _caches = new();
    private readonly OwedInvalidations _owed;
    private readonly bool _cachingMode;
    private readonly MemorySource _uncached;
    private ulong _directory;

    public VtdModel(ModelMemory memory, HardwareSetup setup)
        : base(memory, setup, memory.Device, memory.Device)
    {
        ModelMemory = memory;
        _cachingMode = Capabilities.Get(Cap.CM) == 1;
        _uncached = new MemorySource(this);
        _log = new ViolationLog(memory, "vtd-stray-read");
        _owed = new OwedInvalidations(_caches, _log, memory, Rules, Capabilities);
        memory.Changed += OnChange;
    }

    public ModelMemory ModelMemory { get; }

    IModelMemory IIommuModel.ModelMemory => ModelMemory;

    public IReadOnlyList<CachedItem> Cached
    {
        get
        {
            lock (_cacheGate)
            {
                return _caches.All.Items();
            }
        }
    }

    public void DropCaches()
    {
        lock (_cacheGate)
        {
            _caches.All.Clear();
        }
    }

    bool IWalkSource.Read(in WalkPoint point, Span<ulong> words)
    {
        uint requester = point.Requester.Value;
        switch (point.Stage)
        {
            case WalkStage.Root when _caches.Roots.TryGet(RootKey(point.Requester), out words[0]):
                return true;
            case WalkStage.Context when _caches.Contexts.TryGet(requester, out CachedContext? context):
                context.Words.CopyTo(words);
                return true;
            case WalkStage.Directory when _caches.Entries.TryGet((requester, point.Pasid), out CachedEntry? entry):
                words[0] = entry.Directory;
                return true;
            case WalkStage.Directory when _caches.Directories.TryGet(
                (requester, point.Pasid >> 6), out CachedDirectory? directory):
                words[0] = directory.Value;
                return true;
            case WalkStage.Entry when _caches.Entries.TryGet((requester, point.Pasid), out CachedEntry? entry):
                entry.Words!.CopyTo(words);
                return true;
            case WalkStage.FirstStage or WalkStage.SecondStage
                when _caches.Upper.TryGet(UpperKey(point), out words[0]):
                return true;
            default:
                return ReadWords(point.Address, words);
        }
    }

    void IWalkSource.Checked(in WalkPoint point, ReadOnlySpan<ulong> words, int fault)
    {
        uint requester = point.Requester.Value;
        (uint, uint) tag = (requester, point.Pasid);
        uint? asked = point.HasPasid ? point.Pasid : null;

        // Entries that are not present or wrong are cached in caching mode only.
        bool keep = fault == 0 || _cachingMode;
        switch (point.Stage)
        {
            case WalkStage.Root when keep:
                _caches.Roots.TryKeep(RootKey(point.Requester), words[0]);
                break;
            case WalkStage.Context when keep:
                if (_caches.Contexts.TryKeep(requester, new CachedContext(point.Address, words.ToArray(), fault == 0))
                    && fault == 0)
                {
                    _owed.ContextFetched(requester);
                }

                break;
            case WalkStage.Directory:
                _directory = words[0];
                if (fault == 0)
                {
                    // One that is present is kept for all its PASIDs, whatever is in the table behind it.
                    _caches.Directories.TryKeep((requester, point.Pasid >> 6), new CachedDirectory(words[0], asked));
                }
                else if (keep)
                {
                    _caches.Entries.TryKeep(tag, new CachedEntry(words[0], 0, null, false, asked));
                }

                break;
            case WalkStage.Entry:
                if (keep && _caches.Entries.TryKeep(
                    tag, new CachedEntry(_directory, point.Address, words.ToArray(), fault == 0, asked)) && fault == 0)
                {
                    _owed.EntryFetched(requester, (uint)words.Get(PasidEntry.DID), point.Pasid);
                }

                break;
            case WalkStage.FirstStage or WalkStage.SecondStage when fault == 0 && !IsLeaf(point, words[0]):
                // Page table entries that are not present are never cached.
                _caches.Upper.TryKeep(UpperKey(point), words[0]);
                break;
            default:
                break;
        }

        if (fault == 0 || !_cachingMode || point.Stage > WalkStage.Entry)
        {
            return;
        }

        // What ended at the context entry is remembered by the caches behind it too, as blocked.
        if (point.Stage < WalkStage.Directory)
        {
            _caches.Entries.TryKeep(tag, new CachedEntry(0, 0, null, false, asked));
        }

        bool quiet = point.Stage != WalkStage.Root && words[0].Get(PasidEntry.FPD) == 1;
        _caches.Blocked.TryKeep(tag, new BlockedItem(fault, quiet, point.Input, asked));
    }

    bool IWalkSource.Update(in WalkPoint point, ulong expected, ulong entry) =>
        ModelMemory.TryUpdateByDevice(point.Address, expected, entry);

    protected override TranslationResult TranslateEnabled(in DmaAccess access)
    {
        Found found;
        lock (_cacheGate)
        {
            found = Access(access);
        }

        return found.Fault != 0
            ? Fail(access, found.Fault, found.IsQuiet)
            : new TranslationResult(found.Status, found.Address, found.Root, 0, null);
    }

    protected override void Dispose(bool disposing)
    {
        ModelMemory.Changed -= OnChange;
        base.Dispose(disposing);
    }

    private static uint RootKey(RequesterId requester) => ((uint)requester.Bus << 1) | ((uint)requester.DevFn >> 7);

    private static TranslationKey<TranslationTag> UpperKey(in WalkPoint point) => TranslationKey.Of(
        point.Stage == WalkStage.FirstStage
            ? new TranslationTag(PasidEntry.FirstStage, point.DomainId, point.Pasid)
            : new TranslationTag(PasidEntry.SecondStage, point.DomainId, 0),
        point.Input,
        VtdCaches.ShiftOf(point.Level));

    // PS lies at the same place in both stages.
    private static bool IsLeaf(in WalkPoint point, ulong entry) => point.Level == 1 || entry.Get(X86Entry.PS) == 1;

    private static TranslationKey<TranslationTag> PageKey(in WalkResult found, ulong address) => TranslationKey.Of(
        new TranslationTag(found.Type, found.DomainId, found.Type == PasidEntry.SecondStage ? 0 : found.Pasid),
        address,
        12);

    // The device's own TLB first; a miss is asked for, and what comes back is kept.
    private Found Access(in DmaAccess access)
    {
        var tag = new DeviceTag(access.Requester.Value, access.Pasid?.Value);
        if (_caches.Devices.TryFind(tag, access.Address, out _, out DeviceItem? item)
            && (!access.IsWrite || item.Writable))
        {
            return Found.Translated(item.Page | (access.Address & 0xFFF), item.Root);
        }

        return Resolve(access, fillsDevice: true);
    }

    // What is found goes to the device's TLB where that asked for it.
    private Found Resolve(in DmaAccess access, bool fillsDevice)
    {
        WalkResult found = TableWalker.Configure(Rules, RootTable, access, this);
        if (found.Fault != 0)
        {
            return Found.Failed(found.Fault, found.IsQuiet);
        }

        if (_caches.Blocked.TryGet((access.Requester.Value, found.Pasid), out BlockedItem? blocked))
        {
            return Found.Failed(blocked.Fault, blocked.IsQuiet);
        }

        if (found.IsPassThrough)
        {
            return new Found(TranslationStatus.Bypassed, access.Address, 0, 0, false);
        }

        TranslationKey<TranslationTag> tags = PageKey(found, access.Address);
        if (!_caches.Pages.TryGet(tags, out CachedPage? page) || (access.IsWrite && page.Writable && !page.Dirty))
        {
            PageResult walked = TableWalker.Translate(Rules, found, access, this);
            if (walked.Fault != 0)
            {
                return Found.Failed(walked.Fault, found.IsQuiet);
            }

            page = new CachedPage(
                walked.Address & ~0xFFFUL, walked.Level, walked.Writable, walked.Dirty, found.PageTableRoot,
                access.Requester.Value, access.Pasid?.Value);
            _caches.Pages.Replace(tags, page);
        }

        if (access.IsWrite && !page.Writable)
        {
            return Found.Failed(
                found.Type == PasidEntry.FirstStage ? FaultReason.NotWritable : FaultReason.SecondStagePermission,
                found.IsQuiet);
        }

        if (found.HasDeviceTlb && fillsDevice)
        {
            _caches.Devices.Keep(
                new DeviceTag(access.Requester.Value, access.Pasid?.Value), access.Address, 12,
                new DeviceItem(tags, page.Page, page.Writable, page.Root));
        }

        return Found.Translated(page.Page | (access.Address & 0xFFF), page.Root);
    }

    private readonly record struct Found(TranslationStatus Status, ulong Address, ulong Root, int Fault, bool IsQuiet)
    {
        public static Found Translated(ulong address, ulong root) =>
            new(TranslationStatus.Translated, address, root, 0, false);

        public static Found Failed(int fault, bool quiet) => new(TranslationStatus.Faulted, 0, 0, fault, quiet);
    }

    private sealed class MemorySource(VtdModel model) : IWalkSource
    {
        public bool Read(in WalkPoint point, Span<ulong> words) => model.ReadWords(point.Address, words);

        public void Checked(in WalkPoint point, ReadOnlySpan<ulong> words, int fault)
        {
            // Nothing is kept.
        }

        // Only configuration is read past the caches.
        public bool Update(in WalkPoint point, ulong expected, ulong entry) => true;
    }
}
