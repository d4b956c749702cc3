// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Emulation.Caching;

/// <summary>What a virtio-iommu may keep, and the walks that fill it. Level 1 descriptors and context descriptors are
/// kept for each endpoint, invalid ones too (Arm IHI 0070 section 5.3: a descriptor that becomes valid needs an
/// invalidation); page table entries, tables and leaves alike, for each domain, PASID and ASID; mappings for each
/// domain and page. Entries that are not present are not kept: a translation that fails is looked up again. Not safe
/// for concurrent use.</summary>
internal sealed class ModelCaches
{
    // Hardware is finite as well; a full cache forgets everything.
    private const int MaxEntries = 1 << 16;
    private readonly ModelMemory _memory;
    private readonly AttachedTables _tables;
    private readonly ViolationLog _log;
    private readonly AttachedStructures? _arm;
    private readonly TagCache<(uint Endpoint, uint Index), ulong> _level1 = new("L1CD", MaxEntries)
    {
        Describe = (key, word) => ($"endpoint 0x{key.Endpoint:x}, index 0x{key.Index:x}", $"0x{word:x16}"),
    };

    private readonly TagCache<(uint Endpoint, uint Substream), ulong[]> _descriptors;
    private readonly StageOneWalker _pages;
    private readonly TranslationCache<uint, DeviceMapping> _mappings = new("TLB", MaxEntries)
    {
        Describe = (key, mapping) => (
            $"domain {key.Tag}, address 0x{key.First:x}", $"0x{mapping.Physical + (key.First - mapping.Start):x}"),
    };

    private readonly CacheSet _caches;
    private readonly Dictionary<uint, HashSet<uint>> _endpointsOf = [];

    /// <param name="memory">Where the tables are; only the walker's view is read.</param>
    /// <param name="arm">The structures of attached tables; null where none can be attached.</param>
    public ModelCaches(ModelMemory memory, AttachedTables tables, ViolationLog log, AttachedStructures? arm)
    {
        _arm = arm;
        _memory = memory;
        _tables = tables;
        _log = log;
        _descriptors = new TagCache<(uint Endpoint, uint Substream), ulong[]>("CD", MaxEntries)
        {
            Describe = (key, words) => ($"endpoint 0x{key.Endpoint:x}, PASID 0x{key.Substream:x}", Describe(words)),
        };
        _pages = new StageOneWalker(memory, log, MaxEntries);
        _caches = new CacheSet(_level1, _descriptors, _pages.Kept, _mappings);
    }

    public IReadOnlyList<CachedItem> List() => _caches.Items();

    /// <summary>A configuration that is kept, or a translation whose descriptor is gone; null for none.</summary>
    public string? FindStale()
    {
        foreach ((uint domain, DeviceTable table) in _tables.All)
        {
            HashSet<uint> endpoints = _endpointsOf.GetValueOrDefault(domain) ?? [];
            foreach (((uint endpoint, uint index), ulong word) in _level1)
            {
                ulong at = table.S1ContextPtr + ((ulong)index * 8);
                if (endpoints.Contains(endpoint) && _memory.ReadQword(at) != word)
                {
                    return $"level 1 descriptor {index} of endpoint 0x{endpoint:x} is kept as 0x{word:x}";
                }
            }

            foreach (((uint endpoint, uint substream), ulong[] words) in _descriptors)
            {
                if (endpoints.Contains(endpoint)
                    && !new AttachedDescriptor(_arm!, words).TranslatesLike(_tables.Stored(table, substream)))
                {
                    return $"the descriptor of endpoint 0x{endpoint:x}, PASID 0x{substream:x} is kept: "
                        + $"{Describe(words)}";
                }
            }

            foreach (EntryTag key in _pages.Kept.Keys.Select(k => k.Tag))
            {
                AttachedDescriptor stored = _tables.Stored(table, key.Substream);
                if (key.Domain == domain
                    && (!stored.IsValid || stored.IsQuiet || (!key.IsGlobal && stored.Asid != key.Asid)))
                {
                    return $"a translation of domain {domain}, PASID 0x{key.Substream:x}, {key} is kept";
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
    }

    /// <summary>Forgets what it kept of memory; the domains and their tables stay.</summary>
    public void DropAll() => _caches.Clear();

    /// <summary>An endpoint left a domain: it has no configuration, and a domain without endpoints is none.</summary>
    public void Left(uint endpoint, DeviceDomain domain)
    {
        _level1.Forget((k, _) => k.Endpoint == endpoint);
        _descriptors.Forget((k, _) => k.Endpoint == endpoint);
        if (_endpointsOf.TryGetValue(domain.Id, out HashSet<uint>? endpoints))
        {
            endpoints.Remove(endpoint);
        }

        if (domain.Endpoints == 0)
        {
            _endpointsOf.Remove(domain.Id);
            _pages.Kept.Forget((k, _) => k.Tag.Domain == domain.Id);
            _mappings.Forget((k, _) => k.Tag == domain.Id);
        }
    }

    /// <summary>UNMAP is its own invalidation.</summary>
    public void Unmapped(DeviceDomain domain, ulong first, ulong last) =>
        _mappings.Forget((k, _) => k.Tag == domain.Id && k.Overlaps(new AddressRange(first, last)));

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

    public DeviceMapping? Find(DeviceDomain domain, ulong address)
    {
        if (_mappings.TryFind(domain.Id, address, out _, out DeviceMapping kept))
        {
            return kept;
        }

        DeviceMapping? found = VirtioIommuHardware.Find(domain, address);
        if (found is { } mapping)
        {
            _mappings.Keep(domain.Id, address, 12, mapping);
        }

        return found;
    }

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
            : _pages.Translate(domain.Id, substream, descriptor, access);

        // Whether a fault of the address is recorded is the descriptor's R.
        return result.Status == TranslationStatus.Faulted && !descriptor.Records
            ? new WalkResult(TranslationStatus.AbortedQuietly, result.PageTableRoot, false, null)
            : result;
    }

    private string Describe(ulong[] words)
    {
        var descriptor = new AttachedDescriptor(_arm!, words);
        return !descriptor.IsValid ? "not valid"
            : descriptor.IsQuiet ? $"ASID {descriptor.Asid}, EPD0"
            : $"ASID {descriptor.Asid}, TTB0 0x{descriptor.Ttb0:x}";
    }

    private void InvalidateConfiguration(DeviceDomain domain, DeviceInvalidation what)
    {
        DeviceTable table = domain.Table!.Value;
        if (what.Scope != InvalidationScope.Domain)
        {
            _tables.CheckTornReads(table, what.Pasid);
        }

        HashSet<uint> endpoints = _endpointsOf.GetValueOrDefault(domain.Id) ?? [];
        bool all = what.Scope == InvalidationScope.Domain;
        _descriptors.Forget((k, _) => endpoints.Contains(k.Endpoint) && (all || k.Substream == what.Pasid));
        if (!what.Leaf)
        {
            uint index = what.Pasid >> table.LeafBits;
            _level1.Forget((k, _) => endpoints.Contains(k.Endpoint) && (all || k.Index == index));
        }
    }

    private void InvalidateTranslations(uint domain, DeviceInvalidation what)
    {
        var named = new AddressRange(what.First, what.Last);
        _pages.Kept.Forget((k, entry) => k.Tag.Domain == domain && (what.Scope == InvalidationScope.Domain
            || (k.Tag.Substream == what.Pasid
                && (k.Tag.IsGlobal ? what.Globals : what.Id == k.Tag.Asid)
                && (!entry.IsTable || !what.Leaf)
                && (what.Scope == InvalidationScope.Pasid || k.Overlaps(named)))));
    }

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

    private WalkResult? FindDescriptor(
        uint domain, in DeviceTable table, uint endpoint, uint substream, out ulong[] words)
    {
        if (_descriptors.TryGet((endpoint, substream), out ulong[]? kept))
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
            if (!_level1.TryGet((endpoint, index), out ulong level1))
            {
                ulong at = table.S1ContextPtr + ((ulong)index * 8);
                if (!_memory.Device.IsBacked(at, 8))
                {
                    return Missing(at, "a level 1 descriptor");
                }

                level1 = _memory.Device.ReadQword(at);
                if ((level1 & _arm!.LinkReserved) == 0 && _tables.Links(domain, table, at, level1))
                {
                    // The driver's thread waits to tell of this store: no walk came to the leaf before this one.
                    _memory.Settle();
                }

                _level1.Replace((endpoint, index), level1);
            }

            if (!_tables.IsValidLink(level1))
            {
                return WalkResult.Configuration($"the level 1 descriptor of substream 0x{substream:x} is not valid");
            }

            if ((level1 & _arm!.LinkReserved) != 0)
            {
                _log.Report("virtio-reserved-bits",
                    $"level 1 descriptor 0x{level1:x} of PASID 0x{substream:x} has reserved bits set (IHI 0070 5.3)");
            }

            address = _tables.Leaf(level1) + ((substream & ((1UL << split) - 1)) * AttachedStructures.DescriptorBytes);
        }

        if (!_memory.Device.IsBacked(address, AttachedStructures.DescriptorBytes))
        {
            return Missing(address, "a context descriptor");
        }

        _tables.CheckTornReads(address, substream);
        words = new ulong[AttachedStructures.DescriptorWords];
        for (int i = 0; i < words.Length; i++)
        {
            words[i] = _memory.Device.ReadQword(address + ((ulong)i * 8));
        }

        _descriptors.Replace((endpoint, substream), words);
        return null;
    }

    private WalkResult Missing(ulong address, string what)
    {
        _log.Report("virtio-stray-read", $"{what} is at 0x{address:x}, where no memory is");
        return WalkResult.Configuration($"{what} is at 0x{address:x}, where no memory is");
    }
}
