// SPDX-License-Identifier: Apache-2.0
using PasidFramework.DriverKit.Emulation;
using PasidFramework.Drivers.Reference.Emulation.Functional;

namespace PasidFramework.Drivers.Reference.Emulation.Caching;

/// <summary>
/// Reference hardware that keeps all it may, as long as it may: device, directory and PASID entries, valid or not,
/// translations, and what devices keep. A command forgets exactly what it names, and what was under way at that moment
/// ends with what is still kept. Reference architecture, sections 4 and 6.
/// </summary>
internal sealed class ReferenceModel : ReferenceHardware, IIommuModel
{
    private const ulong PageMask = 0xFFF;

    private readonly TagCache<(Stage Stage, ulong Table, uint Index), Entry> _entries = new("entry")
    {
        NameOf = (key, _) => key.Stage switch
        {
            Stage.Device => "device entry",
            Stage.Directory => "directory entry",
            _ => "PASID entry",
        },
        Describe = (key, entry) => (
            $"table 0x{key.Table:x} index 0x{key.Index:x}",
            string.Join(' ', entry.Words.Select(word => $"0x{word:x16}"))),
        LeadsInto = (key, entry, freed) => freed.Contains(entry.Address) || entry.LeadsInto(key.Stage, freed)
            ? $"{key.Stage} entry, table 0x{key.Table:x} index 0x{key.Index:x}"
            : null,
    };

    private readonly TranslationCache<uint, Translation> _translations = new("translation")
    {
        Describe = (key, found) => ($"ASID 0x{key.Tag:x} page 0x{key.First:x}", found.ToString()),
        LeadsInto = (_, found, freed) => found.LeadsInto(freed),
    };

    private readonly TranslationCache<(uint Requester, uint Pasid), Translation> _tlbs = new("device TLB")
    {
        Describe = (key, found) => (
            $"requester 0x{key.Tag.Requester:x} PASID 0x{key.Tag.Pasid:x} page 0x{key.First:x}", found.ToString()),
        LeadsInto = (_, found, freed) => found.LeadsInto(freed),
    };

    private readonly CacheSet _caches;
    private readonly ViolationLog _log;
    private readonly HashSet<uint> _tlbsInDoubt = [];
    private DmaAccess _access;

    public ReferenceModel(ModelMemory memory, HardwareSetup setup)
        : base(memory, memory.Device, setup)
    {
        ModelMemory = memory;
        _caches = new CacheSet(_entries, _translations, _tlbs);
        _log = new ViolationLog(memory, "reference-stray-read", " (6)");
        memory.Changed += OnChange;
    }

    public ModelMemory ModelMemory { get; }

    IModelMemory IIommuModel.ModelMemory => ModelMemory;

    public IReadOnlyList<ProtocolViolation> Violations => _log.All();

    public IReadOnlyList<CachedItem> Cached
    {
        get
        {
            lock (Gate)
            {
                return _caches.Items();
            }
        }
    }

    public void DropCaches()
    {
        lock (Gate)
        {
            _caches.Clear();
        }
    }

    /// <summary>An entry is read once; from then on it is what it was, also where it was not valid.</summary>
    public override bool Read(in WalkPoint point, Span<ulong> words)
    {
        // Page tables change without an invalidation where nothing was mapped before: whole translations are kept,
        // and no entry on the way.
        if (point.Stage == Stage.Page)
        {
            return base.Read(point, words);
        }

        var key = (point.Stage, point.Table, point.Index);
        if (_entries.TryGet(key, out Entry? kept))
        {
            kept.Words.CopyTo(words);
            return true;
        }

        bool isThere = base.Read(point, words);
        if (isThere)
        {
            _entries.TryKeep(key, new Entry(point.Address, words.ToArray(), _access));
        }

        return isThere;
    }

    protected override (FaultCode Fault, TranslationResult Result) Access(in DmaAccess access) =>
        access.Pasid is { } pasid
            && _tlbs.TryFind((access.Requester.Value, pasid.Value), access.Address, out _, out Translation? kept)
            && (kept.Page.IsWritable || !access.IsWrite)
            ? (FaultCode.None, kept.Reach(access))
            : Resolve(access);

    protected override void Execute(ReadOnlySpan<ulong> command)
    {
        ulong word0 = command[0];
        bool all = word0.Has(Command.ALL);
        uint pasid = (uint)word0.Get(Command.PASID);
        uint requester = (uint)word0.Get(Command.REQUESTER);
        uint asid = (uint)word0.Get(Command.ASID);
        ulong table = command[1].GetAddress(Command.TABLE);
        ulong first = command[1].GetAddress(Command.ADDRESS);
        ulong count = command[1].Get(Command.COUNT);
        bool Covers(ulong page) => all || (page >= first && (page - first) >> 12 <= count);
        IEnumerable<DmaAccess> underWay;
        switch (word0.Get(Command.OP))
        {
            case Command.Device:
                Doubt(requester);
                underWay = _entries.Forget((key, _) => key.Stage == Stage.Device && key.Index == requester)
                    .Select(e => e.Value.Access);
                break;
            case Command.PasidTable:
                bool leafOnly = word0.Has(Command.LEAF);
                underWay = _entries.Forget((key, _) => key.Table == table && key.Stage != Stage.Device && (all
                    || (key.Stage == Stage.Entry && key.Index == pasid)
                    || (key.Stage == Stage.Directory && key.Index == pasid >> PasidEntry.IndexBits && !leafOnly)))
                    .Select(e => e.Value.Access);
                break;
            case Command.Translations:
                underWay = _translations.Forget((key, _) => key.Tag == asid && Covers(key.First))
                    .Select(t => t.Value.Access);
                break;
            default:
                bool any = word0.Has(Command.ANY);
                if (any && all)
                {
                    _tlbsInDoubt.Remove(requester);
                }

                underWay = _tlbs.Forget((key, _) =>
                    key.Tag.Requester == requester && (any || key.Tag.Pasid == pasid) && Covers(key.First))
                    .Select(t => t.Value.Access);
                break;
        }

        // What was under way ends now, past the devices' own TLBs, with everything else that is kept; so a cache that
        // is emptied before the one that fills it is filled with the old contents again.
        ModelMemory.Settle();
        foreach (DmaAccess access in underWay)
        {
            if (IsOn)
            {
                Resolve(access);
            }
        }
    }

    protected override void Switched()
    {
        if (!IsOn)
        {
            foreach (uint requester in _tlbsInDoubt.ToArray())
            {
                ReportMissing(requester);
            }

            _entries.Clear();
            _translations.Clear();
        }
    }

    protected override void OnInvalidAccess(string rule, string message) => _log.Report(rule, message);

    protected override void Dispose(bool disposing)
    {
        ModelMemory.Changed -= OnChange;
        base.Dispose(disposing);
    }

    private static bool HasTlb(ulong deviceEntry) => deviceEntry.Has(DeviceEntry.V) && deviceEntry.Has(DeviceEntry.ATS);

    // Through the caches of the IOMMU; what comes out goes to the device's TLB where it has room.
    private (FaultCode Fault, TranslationResult Result) Resolve(in DmaAccess access)
    {
        _access = access;
        Configured found = Configure(access);
        if (found.Fault != FaultCode.None)
        {
            return (found.Fault, default);
        }

        if (!_translations.TryFind(found.Asid, access.Address, out _, out Translation? translation))
        {
            Page page = Walker.Translate(found.Root, access.Address, this);
            if (page.Fault != FaultCode.None)
            {
                return (page.Fault, default);
            }

            translation = new Translation(page, found.Root, access);
            _translations.Keep(found.Asid, access.Address, 12, translation);
        }

        if (access.IsWrite && !translation.Page.IsWritable)
        {
            return (FaultCode.NotWritable, default);
        }

        if (found.HasTlb)
        {
            _tlbs.TryKeep((access.Requester.Value, access.Pasid!.Value.Value), access.Address, 12, translation);
        }

        return (FaultCode.None, translation.Reach(access));
    }

    // What a device keeps when its entry comes or goes belongs to no entry: it is emptied before the entry changes
    // again (4.4).
    private void Doubt(uint requester)
    {
        ReportMissing(requester);
        bool hadTlb = _entries.TryGet((Stage.Device, 0, requester), out Entry? kept) && HasTlb(kept.Words[0]);
        var point = new WalkPoint(Stage.Device, 0, requester, DeviceEntryAt(requester));
        Span<ulong> now = stackalloc ulong[1];
        if (hadTlb || (IsOn && base.Read(point, now) && HasTlb(now[0])))
        {
            _tlbsInDoubt.Add(requester);
        }
    }

    private void ReportMissing(uint requester)
    {
        if (_tlbsInDoubt.Remove(requester))
        {
            OnInvalidAccess("reference-tlb-in-doubt",
                $"requester 0x{requester:x}: INVALIDATE_DEVICE_TLB, ANY and ALL, did not follow the device entry (4)");
        }
    }

    private void OnChange(MemoryEvent change)
    {
        if (change.Kind is MemoryEventKind.Store or MemoryEventKind.Free)
        {
            lock (Gate)
            {
                if (change.Kind == MemoryEventKind.Free)
                {
                    Freed(AddressRange.OfFreed(change));
                }
                else
                {
                    Stored(change.Address);
                }
            }
        }
    }

    // Memory goes, and something that is kept comes from it or leads to it.
    private void Freed(AddressRange freed)
    {
        foreach (string kept in _caches.FindReferencesInto(freed))
        {
            _log.Report("reference-freed-while-kept", $"0x{freed.First:x} was freed: {kept} is kept (6)");
        }
    }

    // A valid entry may only become not valid or quiet, until the hardware has been invalidated (3).
    private void Stored(ulong address)
    {
        foreach (((Stage stage, ulong table, uint index), Entry entry) in _entries)
        {
            if (address < entry.Address || address >= entry.Address + ((ulong)entry.Words.Length * 8)
                || (entry.Words[0] & 1) == 0)
            {
                continue;
            }

            ulong now = Memory.ReadQword(entry.Address);
            bool isGone = (now & 1) == 0 || (stage == Stage.Entry && now.Has(PasidEntry.Q));
            if (!isGone && Memory.ReadQword(address) != entry.Words[(address - entry.Address) / 8])
            {
                OnInvalidAccess("reference-entry-changed",
                    $"{stage} entry, table 0x{table:x} index 0x{index:x}, was changed while valid and kept (3)");
            }
        }
    }

    private sealed record Entry(ulong Address, ulong[] Words, DmaAccess Access)
    {
        public bool LeadsInto(Stage stage, AddressRange freed) =>
            (Words[0] & 1) != 0 && (stage != Stage.Entry || !Words[0].Has(PasidEntry.Q))
            && freed.Contains(Words[0].GetAddress(DirectoryEntry.LEAF));
    }

    /// <param name="Page">Where it leads.</param>
    private sealed record Translation(Page Page, ulong Root, DmaAccess Access)
    {
        public TranslationResult Reach(in DmaAccess access) => new(
            TranslationStatus.Translated, Page.Target | (access.Address & PageMask), Root, 0, null);

        public string? LeadsInto(AddressRange freed) =>
            freed.Contains(Page.Entry) || freed.Contains(Page.Target) ? ToString() : null;

        public override string ToString() =>
            $"{(Page.IsWritable ? "writable" : "read-only")} page 0x{Page.Target:x} by entry 0x{Page.Entry:x}";
    }
}
