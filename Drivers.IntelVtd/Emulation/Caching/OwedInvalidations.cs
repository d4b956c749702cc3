// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Emulation.Caching;

/// <summary>
/// What the driver owes the hardware (section 6.5.3.3 with table 28) where a forgotten invalidation need not show in a
/// translation.
/// </summary>
/// <remarks>Not safe for concurrent use: the model locks.</remarks>
internal sealed class OwedInvalidations
{
    private readonly VtdCaches _caches;
    private readonly ViolationLog _log;
    private readonly ModelMemory _memory;
    private readonly WalkRules _rules;
    private readonly ulong _cap;
    private readonly RequiredInvalidations<(uint Requester, uint? Pasid), CompletedGroup> _required;
    private readonly RequiredInvalidations<(uint Requester, uint Pasid), CompletedGroup> _undrained;
    private readonly Dictionary<uint, HashSet<uint>> _usedDomains = [];
    private RequiredInvalidation<CompletedGroup>? _requiredOfRoot;
    private bool _rootLatched;

    /// <summary>Nothing is owed.</summary>
    /// <param name="caches">What the model keeps.</param>
    /// <param name="log">Where it is reported.</param>
    public OwedInvalidations(VtdCaches caches, ViolationLog log, ModelMemory memory, WalkRules rules, ulong cap)
    {
        _caches = caches;
        _log = log;
        _memory = memory;
        _rules = rules;
        _cap = cap;
        _required = new(ReportMissing);
        _undrained = new(ReportUndrained);
    }

    private enum Need
    {
        ContextCache,
        PasidCache,
        Iotlb,
        DeviceTlb,
        PasidDeviceTlb,
    }

    /// <summary>SRTP took a root table address.</summary>
    public void RootTableLatched()
    {
        _rootLatched = true;
        _requiredOfRoot = _cap.Has(Cap.ESRTPS)
            ? null
            : new RequiredInvalidation<CompletedGroup>(
                "a root table address was set",
                Steps([Need.ContextCache, Need.PasidCache, Need.Iotlb], [], 0, null),
                isOld: true);
    }

    /// <summary>TE is about to be set.</summary>
    public void TurnsOn(bool hasQueue)
    {
        if (!_rootLatched)
        {
            _log.Report("vtd-te", "TE is set before SRTP took a root table address (Global Command Register)");
        }

        if (!hasQueue)
        {
            _log.Report("vtd-te", "TE is set in scalable mode without the invalidation queue (section 6.5.2)");
        }

        if (_requiredOfRoot is { } required)
        {
            _log.Report("vtd-root-kept", $"TE is set and {required} (table 28, root entry)");
        }
    }

    /// <summary>TE is about to be cleared: what is owed must have been done.</summary>
    public void TurnsOff()
    {
        _required.ReportMissing(_ => true);
        _undrained.ReportMissing(_ => true, withNew: true);
        foreach ((uint requester, CachedContext context) in _caches.Contexts)
        {
            if (context.IsPresent && WordNow(context.Address).Get(ContextEntry.P) == 0)
            {
                _log.Report("vtd-kept",
                    $"SID 0x{requester:x4}: context entry 0x{context.Address:x} went away and is cached still "
                    + "(table 28, context entry)");
            }
        }

        _usedDomains.Clear();
    }

    /// <summary>Whether something is owed for a PASID entry; for a context entry where the PASID is null.</summary>
    public bool IsOwed(uint requester, uint? pasid) => _required.IsRequired((requester, pasid));

    // A context entry is used again: what its predecessor owed would be found now.
    public void ContextFetched(uint requester) => _required.ReportMissing((requester, null));

    public void EntryFetched(uint requester, uint domain, uint pasid)
    {
        if (!_usedDomains.TryGetValue(requester, out HashSet<uint>? domains))
        {
            _usedDomains[requester] = domains = [];
        }

        domains.Add(domain);
        _required.ReportMissing((requester, pasid));
        _undrained.ReportMissing((requester, pasid));
    }

    // When the next entry goes away, or translation goes off, what was owed before must have been done. When the PASID
    // goes away elsewhere too, or another PASID of the device or the device as a whole, a drain that was begun must be
    // complete.
    public void EntryDropped(uint requester, uint pasid, CachedEntry entry)
    {
        if (entry.IsPresent && WordNow(entry.Address).Get(PasidEntry.P) == 0)
        {
            _required.ReportMissing(_ => true);
            _undrained.ReportMissing(left => left.Pasid == pasid || left.Requester == requester);
            if (_rules.Has(Ecap.PDS) && _caches.Contexts.TryGet(requester, out CachedContext? context)
                && context.Words.AsSpan().Get(ContextEntry.PRE) == 1)
            {
                _undrained.Require((requester, pasid), Drain(requester, pasid, entry.DomainId, entry.HasSecondStage));
            }

            _required.Require((requester, pasid), new RequiredInvalidation<CompletedGroup>(
                $"PASID entry 0x{entry.Address:x} went away",
                Steps([Need.Iotlb], [entry.DomainId], requester, pasid, entry.HasSecondStage)));
        }
    }

    public void ContextDropped(uint requester, CachedContext context)
    {
        if (!context.IsPresent || WordNow(context.Address).Get(ContextEntry.P) == 1)
        {
            return;
        }

        _undrained.ReportMissing(left => left.Requester == requester);
        _usedDomains.Remove(requester, out HashSet<uint>? domains);
        var needs = new List<Need>();
        if (domains is not null)
        {
            bool entries = _caches.Entries.Any(e => e.Key.Requester == requester && e.Value.IsPresent);
            if (entries || _cap.Has(Cap.CM))
            {
                needs.Add(Need.PasidCache);
            }

            needs.Add(Need.Iotlb);
        }

        if (context.Words.AsSpan().Get(ContextEntry.DTE) == 1)
        {
            needs.Add(Need.DeviceTlb);
            if (context.Words.AsSpan().Get(ContextEntry.PASIDE) == 1)
            {
                needs.Add(Need.PasidDeviceTlb);
            }
        }

        if (needs.Count > 0)
        {
            _required.ReportMissing(_ => true);
            _required.Require((requester, null), new RequiredInvalidation<CompletedGroup>(
                $"context entry 0x{context.Address:x} went away", Steps(needs, domains ?? [], requester, null)));
        }
    }

    /// <summary>Invalidations have completed together.</summary>
    /// <param name="drains">Whether the wait at the end has PD.</param>
    public void Completed(IReadOnlyList<ulong[]> descriptors, bool drains)
    {
        var group = new CompletedGroup(descriptors, drains);
        _undrained.Completed(group);
        _required.Completed(group);
        if (_requiredOfRoot?.Completed(group) == true)
        {
            _requiredOfRoot = null;
        }
    }

    private void ReportMissing((uint Requester, uint? Pasid) key, RequiredInvalidation<CompletedGroup> missing) =>
        _log.Report("vtd-kept", key.Pasid is { } pasid
            ? $"SID 0x{key.Requester:x4} PASID 0x{pasid:x}: {missing} (table 28, PASID entry)"
            : $"SID 0x{key.Requester:x4}: {missing} (table 28, context entry)");

    private void ReportUndrained((uint Requester, uint Pasid) key, RequiredInvalidation<CompletedGroup> missing) =>
        _log.Report("vtd-not-drained",
            $"SID 0x{key.Requester:x4} PASID 0x{key.Pasid:x}: the entry went away and its page requests were not "
            + "drained (IOTLB, device-TLB, wait with PD; sections 6.5.2 and 7)");

    private static bool DropsTranslations(ReadOnlySpan<ulong> words, uint? domain, uint? pasid, bool wholeDomain)
    {
        // Both have the domain id in the same place.
        ulong type = words.Get(Invalidation.Type);
        bool named = words.Get(InvIotlb.DID) == domain;
        return (type == Invalidation.Iotlb
                && (words.Get(InvIotlb.G) == InvIotlb.Global || (words.Get(InvIotlb.G) == InvIotlb.Domain && named)))
            || (!wholeDomain && type == Invalidation.PasidIotlb && words.Get(InvPasidIotlb.G) == InvPasidIotlb.Pasid
                && named && words.Get(InvPasidIotlb.PASID) == pasid);
    }

    // Everything that a device asked for without a PASID.
    private static bool DropsDevice(ReadOnlySpan<ulong> words, uint requester) =>
        words.Get(Invalidation.Type) == Invalidation.DeviceTlb
        && words.Get(InvDeviceTlb.SID) == requester
        && words.Get(InvDeviceTlb.S) == 1
        && (words.Get(InvDeviceTlb.ADDR) | (1UL << 51)) == InvDeviceTlb.ADDR.ValueMask;

    // Everything that a device asked for with a PASID, or with any: only GI names every PASID.
    private static bool DropsDevice(ReadOnlySpan<ulong> words, uint requester, uint? pasid) =>
        words.Get(Invalidation.Type) == Invalidation.PasidDeviceTlb
        && words.Get(InvPasidDeviceTlb.SID) == requester
        && (words.Get(InvPasidDeviceTlb.GI) == 1 || words.Get(InvPasidDeviceTlb.PASID) == pasid)
        && words.Get(InvPasidDeviceTlb.S) == 1
        && words.Get(InvPasidDeviceTlb.ADDR) == InvPasidDeviceTlb.ADDR.ValueMask >> 1;

    // What is present in memory now; 0 where the page is gone already.
    private ulong WordNow(ulong address) =>
        _memory.IsBacked(address, 8) ? _memory.Device.ReadQword(address) : 0;

    // Table 28, in order.
    private static IEnumerable<RequiredStep<CompletedGroup>> Steps(
        IEnumerable<Need> needs, HashSet<uint> domains, uint requester, uint? pasid, bool wholeDomains = false) =>
        needs.Select(need => new RequiredStep<CompletedGroup>(
            need.ToString(),
            group => need switch
            {
                // Both kinds of device TLB entries may go together, but not with what they come from.
                Need.DeviceTlb => group.HasOnlyDevices && group.Any(words => DropsDevice(words, requester)),
                Need.PasidDeviceTlb => group.HasOnlyDevices && group.Any(words => DropsDevice(words, requester, null)),
                _ when domains.Count == 0 => group.Any(words => Meets(words, need, null, pasid, wholeDomains)),
                _ => domains.All(domain => group.Any(words => Meets(words, need, domain, pasid, wholeDomains))),
            },
            SharesGroup: need == Need.DeviceTlb));

    private static bool Meets(ReadOnlySpan<ulong> words, Need need, uint? domain, uint? pasid, bool wholeDomain)
    {
        ulong type = words.Get(Invalidation.Type);
        return need switch
        {
            Need.ContextCache => type == Invalidation.ContextCache
                && words.Get(InvContextCache.G) == InvContextCache.Global,
            Need.PasidCache => type == Invalidation.PasidCache
                && (words.Get(InvPasidCache.G) == InvPasidCache.Global
                    || (words.Get(InvPasidCache.G) == InvPasidCache.Domain && words.Get(InvPasidCache.DID) == domain)),
            _ => DropsTranslations(words, domain, pasid, wholeDomain),
        };
    }

    // A PASID entry's teardown takes a group for each step; the drain of its page requests may take one or several, a
    // device TLB at a time.
    private static RequiredInvalidation<CompletedGroup> Drain(uint requester, uint pasid, uint domain, bool wholeDomain)
    {
        bool Translations(CompletedGroup group) =>
            group.Any(words => DropsTranslations(words, domain, pasid, wholeDomain));
        bool Device(CompletedGroup group) => group.Any(words => DropsDevice(words, requester, pasid));
        return new RequiredInvalidation<CompletedGroup>(
            "the entry went away",
            [
                new("IOTLB", Translations),
                new("device-TLB", Device),
                new("IOTLB again", Translations, SharesGroup: true),
                new("device-TLB again", Device, SharesGroup: true),
                new("wait with PD", group => group.Drains),
            ]);
    }

    private sealed record CompletedGroup(IReadOnlyList<ulong[]> Descriptors, bool Drains)
    {
        public bool HasOnlyDevices => Descriptors.All(words => words.AsSpan().Get(Invalidation.Type)
            is Invalidation.DeviceTlb or Invalidation.PasidDeviceTlb);

        public bool Any(Func<ulong[], bool> isOne) => Descriptors.Any(isOne);
    }
}
