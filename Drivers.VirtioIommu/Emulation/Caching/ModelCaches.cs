using System.Globalization;
using PasidFramework.Contracts;
using PasidFramework.DriverKit.Emulation;
using PasidFramework.Drivers.VirtioIommu.Emulation.Functional;
using PasidFramework.Drivers.VirtioIommu.Formats;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;

namespace PasidFramework.Drivers.VirtioIommu.Emulation.Caching;

/// <summary>Receives a violation: rule and message.</summary>
internal delegate void ViolationReport(string rule, FormattableString message);

/// <summary>
/// What a virtio-iommu may keep, and the walks that fill it. Level 1 descriptors and context descriptors are kept for
/// each endpoint, invalid ones too (Arm IHI 0070 section 5.3: a descriptor that becomes valid needs an invalidation);
/// page table entries, tables and leaves alike, for each domain, PASID and ASID; mappings for each domain and page.
/// Entries that are not present are not kept: a translation that fails is looked up again. Not safe for concurrent use.
/// </summary>
internal sealed class ModelCaches
{
    // Hardware is finite as well; a full cache forgets everything.
    private const int MaxEntries = 1 << 16;

    private readonly ModelMemory _memory;
    private readonly ViolationReport _report;
    private readonly AttachedStructures? _arm;
    private readonly Dictionary<(uint Endpoint, uint Index), ulong> _level1 = [];
    private readonly Dictionary<(uint Endpoint, uint Substream), ulong[]> _descriptors = [];
    private readonly Dictionary<TranslationKey, ulong> _entries = [];
    private readonly Dictionary<(uint Domain, ulong Page), DeviceMapping> _mappings = [];
    private readonly Dictionary<uint, HashSet<uint>> _endpointsOf = [];
    private readonly Dictionary<uint, DeviceTable> _tables = [];
    private readonly HashSet<(uint Domain, ulong Address, ulong Word)> _linked = [];

    /// <summary>Makes empty caches.</summary>
    /// <param name="memory">Where the tables are; only the walker's view is read.</param>
    /// <param name="report">Told of what is forbidden.</param>
    /// <param name="arm">The structures of attached tables; null where none can be attached.</param>
    public ModelCaches(ModelMemory memory, ViolationReport report, AttachedStructures? arm)
    {
        _arm = arm;
        _memory = memory;
        _report = report;
    }

    // A page table entry's place: the virtual address without the bits below its level.
    private readonly record struct TranslationKey(
        uint Domain, uint Substream, uint Asid, bool IsGlobal, int Level, ulong Prefix);

    /// <summary>Everything that is kept.</summary>
    public IReadOnlyList<CachedItem> List() =>
    [
        .. _level1.Select(e => new CachedItem(
            "L1CD", Text($"endpoint 0x{e.Key.Endpoint:x}, index 0x{e.Key.Index:x}"), Text($"0x{e.Value:x16}"))),
        .. _descriptors.Select(e => new CachedItem(
            "CD", Text($"endpoint 0x{e.Key.Endpoint:x}, PASID 0x{e.Key.Substream:x}"), Describe(e.Value))),
        .. _entries.Select(e => new CachedItem(
            new StageOneEntry(e.Value, e.Key.Level).IsTable ? "walk cache" : "TLB",
            Text($"domain {e.Key.Domain}, PASID 0x{e.Key.Substream:x}, {Tag(e.Key)}, {Place(e.Key)}"),
            Text($"0x{e.Value:x16}"))),
        .. _mappings.Select(e => new CachedItem(
            "TLB",
            Text($"domain {e.Key.Domain}, address 0x{e.Key.Page << 12:x}"),
            Text($"0x{e.Value.Physical + ((e.Key.Page << 12) - e.Value.Start):x}"))),
    ];

    /// <summary>A configuration that is kept, or a translation whose descriptor is gone; null for none.</summary>
    public string? FindStale()
    {
        foreach ((uint domain, DeviceTable table) in _tables)
        {
            HashSet<uint> endpoints = _endpointsOf.GetValueOrDefault(domain) ?? [];
            foreach (((uint endpoint, uint index), ulong word) in _level1)
            {
                ulong at = table.S1ContextPtr + ((ulong)index * 8);
                if (endpoints.Contains(endpoint) && _memory.ReadQword(at) != word)
                {
                    return Text($"level 1 descriptor {index} of endpoint 0x{endpoint:x} is kept as 0x{word:x}");
                }
            }

            foreach (((uint endpoint, uint substream), ulong[] words) in _descriptors)
            {
                if (endpoints.Contains(endpoint)
                    && !new AttachedDescriptor(_arm!, words).TranslatesLike(Stored(table, substream)))
                {
                    return Text(
                        $"the descriptor of endpoint 0x{endpoint:x}, PASID 0x{substream:x} is kept: {Describe(words)}");
                }
            }

            foreach (TranslationKey key in _entries.Keys)
            {
                AttachedDescriptor stored = Stored(table, key.Substream);
                if (key.Domain == domain
                    && (!stored.IsValid || stored.IsQuiet || (!key.IsGlobal && stored.Asid != key.Asid)))
                {
                    return Text($"a translation of domain {domain}, PASID 0x{key.Substream:x}, {Tag(key)} is kept");
                }
            }
        }

        return null;
    }

    /// <summary>The device was reset: there are no domains, so what is kept and known of them goes.</summary>
    public void Reset()
    {
        DropAll();
        _endpointsOf.Clear();
        _tables.Clear();
        _linked.Clear();
    }

    /// <summary>Forgets what it kept of memory; the domains and their tables stay.</summary>
    public void DropAll()
    {
        _level1.Clear();
        _descriptors.Clear();
        _entries.Clear();
        _mappings.Clear();
    }

    /// <summary>The first endpoint came into a domain.</summary>
    public void Created(DeviceDomain domain)
    {
        if (domain.Table is not { } table)
        {
            return;
        }

        _tables[domain.Id] = table;
        int alignment = table.RootAlignmentLog2;
        if ((table.S1ContextPtr & ((1UL << alignment) - 1)) != 0)
        {
            _report(
                "virtio-table-alignment",
                $"table 0x{table.S1ContextPtr:x} of domain {domain.Id} is no multiple of 2^{alignment} (IHI 0070 5.2)");
        }

        long bytes = table.RootBytes;
        if (!_memory.IsBacked(table.S1ContextPtr, bytes))
        {
            _report(
                "virtio-table-memory",
                $"table 0x{table.S1ContextPtr:x} of domain {domain.Id} has {bytes} bytes that are not all memory");
        }
    }

    /// <summary>An endpoint left a domain: it has no configuration, and a domain without endpoints is none.</summary>
    public void Left(uint endpoint, DeviceDomain domain)
    {
        Drop(_level1, k => k.Endpoint == endpoint);
        Drop(_descriptors, k => k.Endpoint == endpoint);
        if (_endpointsOf.TryGetValue(domain.Id, out HashSet<uint>? endpoints))
        {
            endpoints.Remove(endpoint);
        }

        if (domain.Endpoints == 0)
        {
            _endpointsOf.Remove(domain.Id);
            _tables.Remove(domain.Id);
            _linked.RemoveWhere(link => link.Domain == domain.Id);
            Drop(_entries, k => k.Domain == domain.Id);
            Drop(_mappings, k => k.Domain == domain.Id);
        }
    }

    /// <summary>UNMAP is its own invalidation.</summary>
    public void Unmapped(DeviceDomain domain, ulong first, ulong last) =>
        Drop(_mappings, k => k.Domain == domain.Id && k.Page >= first >> 12 && k.Page <= last >> 12);

    /// <summary>Forgets what a request names, and nothing else.</summary>
    public void Invalidate(DeviceDomain domain, in DeviceInvalidation what)
    {
        if (what.Configuration)
        {
            InvalidateConfiguration(domain, what);
        }

        if (what.Translations)
        {
            InvalidateTranslations(domain.Id, what);
        }
    }

    /// <summary>
    /// Looks at level 1 descriptors that the device may see from now on: what one leads to must be sure to be seen
    /// (D3).
    /// </summary>
    /// <param name="change">A store, or a flush for a device that does not snoop.</param>
    /// <returns>Whether it is the first that leads to a leaf whose contents are all settled.</returns>
    public bool LinksLeaf(in MemoryEvent change)
    {
        bool links = false;
        foreach ((uint domain, DeviceTable table) in _tables)
        {
            if (table.S1Fmt == 0)
            {
                continue;
            }

            ulong end = table.S1ContextPtr + (ulong)table.RootBytes;
            ulong first = Math.Max(change.Address & ~7UL, table.S1ContextPtr);
            ulong last = Math.Min(change.Address + (ulong)change.Bytes, end);
            for (ulong at = first; at < last; at += 8)
            {
                links |= Links(domain, table, at, _memory.ReadQword(at));
            }
        }

        return links;
    }

    /// <summary>Whether the device is sure to see what the driver stored for a PASID.</summary>
    public bool IsSettled(in DeviceTable table, uint substream)
    {
        ulong? descriptor = FindStored(table, substream, out ulong? level1);
        bool settled = level1 is not { } at || IsSettled(at);
        for (int i = 0; i < AttachedStructures.DescriptorWords && descriptor is { } address; i++)
        {
            settled &= IsSettled(address + ((ulong)i * 8));
        }

        return settled;
    }

    /// <summary>Where the driver has the descriptor of a PASID; null where it has none.</summary>
    public ulong? FindDescriptor(in DeviceTable table, uint substream) => FindStored(table, substream, out _);

    /// <summary>Whether the descriptor that the driver has for a PASID is valid.</summary>
    public bool HasDescriptor(in DeviceTable table, uint substream) => Stored(table, substream).IsValid;

    /// <summary>Finds a mapping and keeps it.</summary>
    public DeviceMapping? Find(DeviceDomain domain, ulong address)
    {
        (uint, ulong) key = (domain.Id, address >> 12);
        if (_mappings.TryGetValue(key, out DeviceMapping kept))
        {
            return kept;
        }

        DeviceMapping? found = VirtioIommuHardware.Find(domain, address);
        if (found is { } mapping)
        {
            Keep(_mappings, key, mapping);
        }

        return found;
    }

    /// <summary>Follows one access from the table to memory.</summary>
    public WalkResult Walk(DeviceDomain domain, in DmaAccess access)
    {
        DeviceTable table = domain.Table!.Value;
        if (Select(table, access.Pasid, out uint substream) is { } end)
        {
            return end;
        }

        uint endpoint = access.Requester.Value;
        if (!_endpointsOf.TryGetValue(domain.Id, out HashSet<uint>? endpoints))
        {
            _endpointsOf[domain.Id] = endpoints = [];
        }

        endpoints.Add(endpoint);
        if (FindDescriptor(domain.Id, table, endpoint, substream, out ulong[] words) is { } refused)
        {
            return refused;
        }

        var descriptor = new AttachedDescriptor(_arm!, words);
        if (descriptor.Objection(substream) is { } objection)
        {
            return WalkResult.Configuration($"{objection}");
        }

        WalkResult result = descriptor.IsQuiet
            ? WalkResult.Mapping($"translation of substream 0x{substream:x} is switched off (EPD0)")
            : Translate(domain.Id, substream, descriptor, access);

        // Whether a fault of the address is recorded is the descriptor's R.
        return result.Status == TranslationStatus.Faulted && !descriptor.Records
            ? new WalkResult(TranslationStatus.AbortedQuietly, result.PageTableRoot, false, null)
            : result;
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private static string Tag(TranslationKey key) => key.IsGlobal ? "global" : Text($"ASID {key.Asid}");

    private static string Place(TranslationKey key) =>
        Text($"level {key.Level}, address 0x{key.Prefix << StageOneEntry.Shift(key.Level):x}");

    private string Describe(ulong[] words)
    {
        var descriptor = new AttachedDescriptor(_arm!, words);
        return !descriptor.IsValid ? "not valid"
            : descriptor.IsQuiet ? Text($"ASID {descriptor.Asid}, EPD0")
            : Text($"ASID {descriptor.Asid}, TTB0 0x{descriptor.Ttb0:x}");
    }

    private static void Drop<TKey, TValue>(Dictionary<TKey, TValue> cache, Func<TKey, bool> isNamed)
        where TKey : notnull
    {
        // Removing while enumerating is defined for this collection.
        foreach (TKey key in cache.Keys)
        {
            if (isNamed(key))
            {
                cache.Remove(key);
            }
        }
    }

    private static void Keep<TKey, TValue>(Dictionary<TKey, TValue> cache, TKey key, TValue value)
        where TKey : notnull
    {
        if (cache.Count >= MaxEntries)
        {
            cache.Clear();
        }

        cache[key] = value;
    }

    private void InvalidateConfiguration(DeviceDomain domain, DeviceInvalidation what)
    {
        DeviceTable table = domain.Table!.Value;
        if (what.Scope != InvalidationScope.Domain)
        {
            CheckTornReads(table, what.Pasid);
        }

        HashSet<uint> endpoints = _endpointsOf.GetValueOrDefault(domain.Id) ?? [];
        bool all = what.Scope == InvalidationScope.Domain;
        Drop(_descriptors, k => endpoints.Contains(k.Endpoint) && (all || k.Substream == what.Pasid));
        if (!what.Leaf)
        {
            uint index = what.Pasid >> table.LeafBits;
            Drop(_level1, k => endpoints.Contains(k.Endpoint) && (all || k.Index == index));
        }
    }

    private void InvalidateTranslations(uint domain, DeviceInvalidation what) => Drop(_entries, k =>
    {
        if (k.Domain != domain)
        {
            return false;
        }

        if (what.Scope == InvalidationScope.Domain)
        {
            return true;
        }

        bool isLeaf = !new StageOneEntry(_entries[k], k.Level).IsTable;
        int shift = StageOneEntry.Shift(k.Level);
        ulong first = k.Prefix << shift;
        ulong last = first + (1UL << shift) - 1;
        return k.Substream == what.Pasid
            && (k.IsGlobal ? what.Globals : what.Id == k.Asid)
            && (isLeaf || !what.Leaf)
            && (what.Scope == InvalidationScope.Pasid || (first <= what.Last && last >= what.First));
    });

    // Which descriptor an access uses, or what becomes of it before any is read (IHI 0070 5.2, S1DSS).
    private static WalkResult? Select(in DeviceTable table, Pasid? pasid, out uint substream)
    {
        substream = 0;
        if (pasid is { } number)
        {
            substream = number.Value;
            if (substream == 0 && table.S1Dss == 2)
            {
                return WalkResult.Configuration($"substream 0 belongs to requests without PASID (S1DSS = 2)");
            }

            return table.S1CdMax == 0 || (table.S1CdMax < 32 && substream >> table.S1CdMax != 0)
                ? WalkResult.Configuration($"substream 0x{substream:x} is beyond S1CDMax = {table.S1CdMax}")
                : null;
        }

        return table.S1CdMax == 0 ? null : table.S1Dss switch
        {
            0 => WalkResult.Configuration($"requests without PASID are terminated (S1DSS = 0)"),
            1 => new WalkResult(TranslationStatus.Bypassed, 0, false, null),
            _ => null,
        };
    }

    private bool IsValidLink(ulong level1) => (level1 & _arm!.LinkV.WordMask) != 0;

    private ulong Leaf(ulong level1) => level1 & _arm!.LinkL2Ptr.WordMask;

    // Whether a level 1 descriptor is new and leads to a leaf whose contents are all settled.
    private bool Links(uint domain, in DeviceTable table, ulong at, ulong level1) => IsValidLink(level1)
        && _linked.Add((domain, at, level1)) && IsLeafSettled(table, Leaf(level1));

    private WalkResult? FindDescriptor(
        uint domain, in DeviceTable table, uint endpoint, uint substream, out ulong[] words)
    {
        if (_descriptors.TryGetValue((endpoint, substream), out ulong[]? kept))
        {
            words = kept;
            return null;
        }

        words = [];
        ulong address = table.S1ContextPtr + ((ulong)substream * AttachedStructures.DescriptorBytes);
        if (table.S1Fmt != 0)
        {
            int split = table.LeafBits;
            uint index = substream >> split;
            if (!_level1.TryGetValue((endpoint, index), out ulong level1))
            {
                ulong at = table.S1ContextPtr + ((ulong)index * 8);
                if (!_memory.Device.IsBacked(at, 8))
                {
                    return Missing(at, "a level 1 descriptor");
                }

                level1 = _memory.Device.ReadQword(at);
                if ((level1 & _arm!.LinkReserved) == 0 && Links(domain, table, at, level1))
                {
                    // The driver's thread waits to tell of this store: no walk came to the leaf before this one.
                    _memory.Settle();
                }

                Keep(_level1, (endpoint, index), level1);
            }

            if (!IsValidLink(level1))
            {
                return WalkResult.Configuration($"the level 1 descriptor of substream 0x{substream:x} is not valid");
            }

            if ((level1 & _arm!.LinkReserved) != 0)
            {
                _report(
                    "virtio-reserved-bits",
                    $"level 1 descriptor 0x{level1:x} of PASID 0x{substream:x} has reserved bits set (IHI 0070 5.3)");
            }

            address = Leaf(level1) + ((substream & ((1UL << split) - 1)) * AttachedStructures.DescriptorBytes);
        }

        if (!_memory.Device.IsBacked(address, AttachedStructures.DescriptorBytes))
        {
            return Missing(address, "a context descriptor");
        }

        CheckTornReads(address, substream);
        words = new ulong[AttachedStructures.DescriptorWords];
        for (int i = 0; i < words.Length; i++)
        {
            words[i] = _memory.Device.ReadQword(address + ((ulong)i * 8));
        }

        Keep(_descriptors, (endpoint, substream), words);
        return null;
    }

    private void CheckTornReads(in DeviceTable table, uint substream)
    {
        if (FindStored(table, substream, out _) is { } address && IsSettled(table, substream))
        {
            CheckTornReads(address, substream);
        }
    }

    private AttachedDescriptor Stored(in DeviceTable table, uint substream)
    {
        Span<ulong> words = stackalloc ulong[AttachedStructures.DescriptorWords];
        words.Clear();
        for (int i = 0; i < words.Length && FindStored(table, substream, out _) is { } address; i++)
        {
            words[i] = _memory.ReadQword(address + ((ulong)i * 8));
        }

        return new AttachedDescriptor(_arm!, words);
    }

    // Where the driver has a descriptor; null where it has none.
    private ulong? FindStored(in DeviceTable table, uint substream, out ulong? level1)
    {
        level1 = null;
        ulong address = table.S1ContextPtr + ((ulong)substream * AttachedStructures.DescriptorBytes);
        if (table.S1Fmt != 0)
        {
            int split = table.LeafBits;
            ulong at = table.S1ContextPtr + ((ulong)(substream >> split) * 8);
            if (!_memory.IsBacked(at, 8))
            {
                return null;
            }

            level1 = at;
            ulong word = _memory.ReadQword(at);
            if (!IsValidLink(word))
            {
                return null;
            }

            address = Leaf(word) + ((substream & ((1UL << split) - 1)) * AttachedStructures.DescriptorBytes);
        }

        return _memory.IsBacked(address, AttachedStructures.DescriptorBytes) ? address : null;
    }

    private bool IsLeafSettled(in DeviceTable table, ulong leaf)
    {
        int bytes = AttachedStructures.DescriptorBytes << table.LeafBits;
        if (!_memory.IsBacked(leaf, bytes))
        {
            _report("virtio-table-memory", $"the leaf 0x{leaf:x} has {bytes} bytes that are not all memory");
            return false;
        }

        for (int offset = 0; offset < bytes; offset += 8)
        {
            if (!IsSettled(leaf + (ulong)offset))
            {
                _report(
                    "virtio-leaf-order",
                    $"the first level leads to 0x{leaf:x} before 0x{leaf + (ulong)offset:x} is sure to be seen (D3)");
                return false;
            }
        }

        return true;
    }

    private bool IsSettled(ulong address) => _memory.Device.ReadQword(address) == _memory.ReadQword(address);

    // A walker reads a descriptor word by word while the driver stores. Whatever mixture of words it may have met since
    // the last invalidation must lead nowhere, as the descriptor did before, or as it does now (D2): now is what is
    // seen,
    // or what the driver has stored and is on its way.
    private void CheckTornReads(ulong address, uint substream)
    {
        Span<ulong> words = stackalloc ulong[2 * AttachedStructures.DescriptorWords];
        Span<ulong> storedWords = words[AttachedStructures.DescriptorWords..];
        for (int i = 0; i < storedWords.Length; i++)
        {
            words[i] = _memory.Device.ReadQword(address + ((ulong)i * 8));
            storedWords[i] = _memory.ReadQword(address + ((ulong)i * 8));
        }

        var seen = new AttachedDescriptor(_arm!, words);
        var stored = new AttachedDescriptor(_arm!, storedWords);
        var mixtures = new List<AttachedDescriptor>();
        bool torn = false;
        try
        {
            _ = _memory.ForEachTornRead(
                address, AttachedStructures.DescriptorWords, mix => mixtures.Add(new AttachedDescriptor(_arm!, mix)));

            // The first mixture has every word's oldest value, the last the newest: the driver may have stored
            // meanwhile.
            torn = mixtures.Exists(image => image.IsValid && !image.TranslatesLike(seen) && !image.TranslatesLike(stored)
                && !image.TranslatesLike(mixtures[0]) && !image.TranslatesLike(mixtures[^1]));
        }
        catch (InvalidOperationException)
        {
            // Too many to look at: far more stores than any order of writing needs.
            torn = true;
        }

        if (torn)
        {
            _report(
                "virtio-torn-descriptor",
                $"a walker may read a mixture of the descriptor of substream 0x{substream:x} (IHI 0070 3.21, D2)");
        }
    }

    private WalkResult Missing(ulong address, string what)
    {
        _report("virtio-stray-read", $"{what} is at 0x{address:x}, where no memory is");
        return WalkResult.Configuration($"{what} is at 0x{address:x}, where no memory is");
    }

    private WalkResult Translate(
        uint domain, uint substream, in AttachedDescriptor descriptor, in DmaAccess access)
    {
        var walk = new StageOneWalk(descriptor, access);
        if (walk.Refusal is { } refusal)
        {
            return refusal;
        }

        // A leaf that is kept is used whatever has become of the way to it; then the lowest table that is kept.
        for (int level = 3; level >= walk.FirstLevel; level--)
        {
            if (Kept(domain, substream, descriptor, level, walk.Address) is { IsTable: false } leaf)
            {
                LookAtAttributes(descriptor, leaf);
                return walk.Reach(leaf);
            }
        }

        for (int level = 2; level >= walk.FirstLevel; level--)
        {
            if (Kept(domain, substream, descriptor, level, walk.Address) is { IsTable: true } table)
            {
                walk.Descend(table);
                break;
            }
        }

        while (true)
        {
            ulong at = walk.EntryAddress;
            if (!_memory.Device.IsBacked(at, 8))
            {
                _report("virtio-stray-read", $"a page table entry is at 0x{at:x}, where no memory is");
                return WalkResult.Mapping($"a page table entry is at 0x{at:x}, where no memory is");
            }

            var entry = new StageOneEntry(_memory.Device.ReadQword(at), walk.Level);
            if (entry.ReservedBits != 0)
            {
                _report(
                    "virtio-reserved-bits",
                    $"level {entry.Level} entry 0x{entry.Word:x} at 0x{at:x} has reserved bits set (DDI 0487 D8.3)");
            }

            LookAtAttributes(descriptor, entry);
            StageOneEntry merged = walk.Inherit(entry);
            WalkResult? result = walk.Take(entry);

            // Everything that is present is kept, but an access flag fault never is (DDI 0487 D8.12).
            if (entry.IsValid && (entry.IsTable || entry.IsAccessed || descriptor.IgnoresAccessFlag))
            {
                bool isGlobal = !entry.IsTable && entry.IsGlobal;
                ulong prefix = walk.Address >> StageOneEntry.Shift(entry.Level);
                uint asid = isGlobal ? 0 : descriptor.Asid;
                Keep(
                    _entries,
                    new TranslationKey(domain, substream, asid, isGlobal, entry.Level, prefix),
                    merged.Word);
            }

            if (result is { } end)
            {
                return end;
            }
        }
    }

    // A process's memory is Normal memory (DDI 0487 B2.7): as Device memory it would bypass the caches of the CPU.
    private void LookAtAttributes(in AttachedDescriptor descriptor, in StageOneEntry entry)
    {
        if (entry.IsValid && !entry.IsTable && descriptor.IsDeviceMemory(entry.AttributeIndex))
        {
            _report(
                "virtio-device-memory",
                $"page 0x{entry.Address:x} has attribute {entry.AttributeIndex}, which MAIR makes Device memory");
        }
    }

    private StageOneEntry? Kept(
        uint domain, uint substream, in AttachedDescriptor descriptor, int level, ulong address)
    {
        ulong prefix = address >> StageOneEntry.Shift(level);
        return _entries.TryGetValue(
                new TranslationKey(domain, substream, descriptor.Asid, false, level, prefix), out ulong word)
            || _entries.TryGetValue(new TranslationKey(domain, substream, 0, true, level, prefix), out word)
            ? new StageOneEntry(word, level)
            : null;
    }
}
