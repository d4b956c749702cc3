using System.Globalization;
using PasidFramework.Contracts;
using PasidFramework.DriverKit.Emulation;
using PasidFramework.Drivers.IntelVtd.Formats;
using PasidFramework.Hardware;
using PasidFramework.Records;

namespace PasidFramework.Drivers.IntelVtd.Emulation.Caching;

/// <content>
/// What the driver owes the hardware (section 6.5.3.3 with table 28) where a forgotten invalidation need not show in a
/// translation, and what it must not do although no fault says so.
/// </content>
internal sealed partial class VtdModel
{
    private const int MaxViolations = 256;

    private readonly List<ProtocolViolation> _violations = [];
    private readonly Dictionary<(uint Requester, uint? Pasid), RequiredInvalidation> _required = [];
    private readonly Dictionary<(uint Requester, uint Pasid), Drain> _undrained = [];
    private readonly Dictionary<uint, HashSet<uint>> _usedDomains = [];
    private RequiredInvalidation? _requiredOfRoot;
    private bool _rootLatched;

    private enum Need
    {
        ContextCache,
        PasidCache,
        Iotlb,
        DeviceTlb,
        PasidDeviceTlb,
    }

    // A PASID entry's teardown, then the drain of its page requests: in this order.
    private enum DrainStep
    {
        Iotlb,
        DeviceTlb,
        IotlbAgain,
        DeviceTlbAgain,
        Wait,
    }

    /// <inheritdoc/>
    public IReadOnlyList<ProtocolViolation> Violations
    {
        get
        {
            lock (_cacheGate)
            {
                return
                [
                    .. _violations,
                    .. ModelMemory.StrayReads.Where(read => read.WasFreed).Select(read => new ProtocolViolation(
                        "vtd-stray-read", Text($"the walker read freed memory at 0x{read.Address:x}"))),
                ];
            }
        }
    }

    /// <inheritdoc/>
    protected override void OnInvalidAccess(string rule, string message)
    {
        lock (_cacheGate)
        {
            ReportViolation(rule, message);
        }
    }

    /// <inheritdoc/>
    protected override void RootTableLatched()
    {
        lock (_cacheGate)
        {
            _rootLatched = true;
            _requiredOfRoot = Capabilities.Field(Cap.ESRTPS) == 1
                ? null
                : new RequiredInvalidation(
                    [Need.ContextCache, Need.PasidCache, Need.Iotlb],
                    [],
                    "a root table address was set",
                    isOlderThanGroup: true);
        }
    }

    /// <inheritdoc/>
    protected override void QueueSwitched()
    {
        if (_groups.Count + _open.Count > 0)
        {
            OnInvalidAccess("vtd-queue-off", "the queue is switched while invalidations have not completed (section 6.5.2)");
            _groups.Clear();
            _open = [];
            _openAtLastWait = 0;
        }
    }

    /// <inheritdoc/>
    protected override void EnableChanges(bool on)
    {
        lock (_cacheGate)
        {
            if (on)
            {
                if (!_rootLatched)
                {
                    ReportViolation("vtd-te", "TE is set before SRTP took a root table address (Global Command Register)");
                }

                if ((Status & GlobalCommandBits.QIE) == 0)
                {
                    ReportViolation("vtd-te", "TE is set in scalable mode without the invalidation queue (section 6.5.2)");
                }

                if (_requiredOfRoot is { } required)
                {
                    ReportViolation("vtd-root-kept", Text($"TE is set and {required} (table 28, root entry)"));
                }

                return;
            }

            ReportMissing();
            foreach ((uint requester, uint pasid) in _undrained.Keys.ToArray())
            {
                Undrained(requester, pasid);
            }

            foreach ((uint requester, CachedContext context) in _caches.Contexts)
            {
                if (context.IsPresent && WordNow(context.Address).Field(ContextEntry.P) == 0)
                {
                    ReportViolation("vtd-kept", Text(
                        $"SID 0x{requester:x4}: context entry 0x{context.Address:x} went away and is cached still ")
                        + "(table 28, context entry)");
                }
            }

            _usedDomains.Clear();
        }
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private static string DescribeMissing(uint requester, uint? pasid, RequiredInvalidation required) => pasid is { } number
        ? Text($"SID 0x{requester:x4} PASID 0x{number:x}: {required} (table 28, PASID entry)")
        : Text($"SID 0x{requester:x4}: {required} (table 28, context entry)");

    private void ReportViolation(string rule, string message)
    {
        var violation = new ProtocolViolation(rule, message);
        if (_violations.Count < MaxViolations && !_violations.Contains(violation))
        {
            _violations.Add(violation);
        }
    }

    // When the next entry goes away, or translation goes off, what was owed before must have been done.
    private void ReportMissing()
    {
        foreach (((uint requester, uint? pasid), RequiredInvalidation required) in _required.ToArray())
        {
            if (!required.IsNew)
            {
                ReportViolation("vtd-kept", DescribeMissing(requester, pasid, required));
                _required.Remove((requester, pasid));
            }
        }
    }

    // A context entry is used again: what its predecessor owed would be found now.
    private void ContextFetched(uint requester) => Require(requester, null);

    private void EntryFetched(uint requester, uint domain, uint pasid)
    {
        if (!_usedDomains.TryGetValue(requester, out HashSet<uint>? domains))
        {
            _usedDomains[requester] = domains = [];
        }

        domains.Add(domain);
        Require(requester, pasid);
        Undrained(requester, pasid);
    }

    private void Require(uint requester, uint? pasid)
    {
        if (_required.Remove((requester, pasid), out RequiredInvalidation? required))
        {
            ReportViolation("vtd-kept", DescribeMissing(requester, pasid, required));
        }
    }

    private void Undrained(uint requester, uint pasid)
    {
        if (_undrained.Remove((requester, pasid)))
        {
            ReportViolation("vtd-not-drained", Text(
                $"SID 0x{requester:x4} PASID 0x{pasid:x}: the entry went away and its page requests were not drained ")
                + "(IOTLB, device-TLB, wait with PD; sections 6.5.2 and 7)");
        }
    }

    // When the number goes away elsewhere too, or another number of the device or the device as a whole, what was begun
    // must be complete.
    private void ReportMissingDrains(Func<(uint Requester, uint Pasid), bool> concerns)
    {
        foreach (((uint Requester, uint Pasid) key, Drain drain) in _undrained.ToArray())
        {
            if (drain.IsOld && concerns(key))
            {
                Undrained(key.Requester, key.Pasid);
            }
        }
    }

    private void EntryDropped(uint requester, uint pasid, CachedEntry entry)
    {
        if (entry.IsPresent && WordNow(entry.Address).Field(PasidEntry.P) == 0)
        {
            ReportMissing();
            ReportMissingDrains(left => left.Pasid == pasid || left.Requester == requester);
            if (Rules.Has(Ecap.PDS) && _caches.Contexts.TryGetValue(requester, out CachedContext? context)
                && context.Words.AsSpan().Get(ContextEntry.PRE) == 1)
            {
                _undrained[(requester, pasid)] = new Drain(entry.DomainId, HasSecondStage(entry));
            }

            _required[(requester, pasid)] = new RequiredInvalidation(
                [Need.Iotlb],
                [entry.DomainId],
                Text($"PASID entry 0x{entry.Address:x} went away"),
                wholeDomains: HasSecondStage(entry));
        }
    }

    private void ContextDropped(uint requester, CachedContext context)
    {
        if (!context.IsPresent || WordNow(context.Address).Field(ContextEntry.P) == 1)
        {
            return;
        }

        ReportMissingDrains(left => left.Requester == requester);
        _usedDomains.Remove(requester, out HashSet<uint>? domains);
        var needs = new List<Need>();
        if (domains is not null)
        {
            bool entries = _caches.Entries.Any(e => e.Key.Requester == requester && e.Value.IsPresent);
            if (entries || _cachingMode)
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
            ReportMissing();
            _required[(requester, null)] = new RequiredInvalidation(
                needs, domains ?? [], Text($"context entry 0x{context.Address:x} went away"));
        }
    }

    // Table 28: what such an entry leads to is dropped for the whole domain.
    private static bool HasSecondStage(CachedEntry entry) =>
        entry.Words.AsSpan().Get(PasidEntry.PGTT) is PasidEntry.SecondStage or PasidEntry.Nested;

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

    // Everything that a device asked for with a PASID, or with any.
    private static bool DropsDevice(ReadOnlySpan<ulong> words, uint requester, uint? pasid) =>
        words.Get(Invalidation.Type) == Invalidation.PasidDeviceTlb
        && words.Get(InvPasidDeviceTlb.SID) == requester
        && (words.Get(InvPasidDeviceTlb.GI) == 1 || words.Get(InvPasidDeviceTlb.PASID) == pasid)
        && words.Get(InvPasidDeviceTlb.S) == 1
        && words.Get(InvPasidDeviceTlb.ADDR) == InvPasidDeviceTlb.ADDR.ValueMask >> 1;

    // What is present in memory now; 0 where the page is gone already.
    private ulong WordNow(ulong address) =>
        ModelMemory.IsBacked(address, 8) ? ModelMemory.Device.ReadQword(address) : 0;

    // Each group can fulfil one step of a required that existed before it: the next step needs the one before completed.
    private void Advance(List<ulong[]> group, bool drains)
    {
        foreach (((uint requester, uint pasid), Drain drain) in _undrained.ToArray())
        {
            if (drain.Step(group, drains, requester, pasid))
            {
                _undrained.Remove((requester, pasid));
            }
        }

        if (_requiredOfRoot is { } root && root.Step(group, 0, null))
        {
            _requiredOfRoot = null;
        }

        foreach (((uint requester, uint? pasid), RequiredInvalidation required) in _required.ToArray())
        {
            if (required.Step(group, requester, pasid))
            {
                _required.Remove((requester, pasid));
            }
        }
    }

    // A store to an entry that is cached as present: its fields may change only after P was cleared and that was made
    // known, because hardware reads the entry in pieces.
    private void OnChange(MemoryEvent change)
    {
        if (change.Kind is not (MemoryEventKind.Store or MemoryEventKind.Free)
            || (Status & GlobalCommandBits.TE) == 0)
        {
            return;
        }

        if (change.Kind == MemoryEventKind.Free)
        {
            Freed(change.Address, change.Address + (((ulong)change.Bytes + 0xFFF) & ~0xFFFUL));
            return;
        }

        lock (_cacheGate)
        {
            foreach (CachedEntry entry in _caches.Entries.Values)
            {
                if (entry.IsPresent)
                {
                    CheckStore(change, "PASID entry", entry.Address, entry.Words!);
                }
            }

            foreach (CachedContext context in _caches.Contexts.Values)
            {
                if (context.IsPresent)
                {
                    CheckStore(change, "context entry", context.Address, context.Words);
                }
            }
        }
    }

    // Memory may go when nothing that is cached leads to it any more.
    private void Freed(ulong start, ulong end)
    {
        lock (_cacheGate)
        {
            if (FindReferenceTo(start, end) is { } what)
            {
                ReportViolation("vtd-freed-while-cached", Text(
                    $"memory at 0x{start:x} was freed while {what} is cached and leads there (section 6.5.3.3)"));
            }
        }
    }

    private string? FindReferenceTo(ulong start, ulong end)
    {
        bool Hits(ulong address, ulong bytes = 4096) => address < end && address + bytes > start;
        if (Hits(RootTable & RootTableAddress.RTA.WordMask))
        {
            return "the root table address register";
        }

        foreach ((uint key, ulong half) in _caches.Roots)
        {
            if (half.Field(RootEntry.LP) == 1 && Hits(half & RootEntry.LCTP.WordMask))
            {
                return Text($"the root entry of bus {key >> 1:x2}");
            }
        }

        foreach ((uint requester, CachedContext context) in _caches.Contexts)
        {
            ReadOnlySpan<ulong> words = context.Words;
            ulong bytes = (ulong)PasidDirectoryEntry.SizeBytes << ((int)words.Get(ContextEntry.PDTS) + 7);
            if (context.IsPresent && Hits(words.GetAddress(ContextEntry.PASIDDIRPTR), bytes))
            {
                return Text($"the context entry of SID 0x{requester:x4}");
            }
        }

        foreach (((uint requester, uint index), CachedDirectory directory) in _caches.Directories)
        {
            if (Hits(directory.Value & PasidDirectoryEntry.SMPTBLPTR.WordMask))
            {
                return Text($"PASID directory entry 0x{index:x} of SID 0x{requester:x4}");
            }
        }

        foreach (((uint requester, uint pasid), CachedEntry entry) in _caches.Entries)
        {
            if (entry.IsPresent
                && (Hits(entry.Directory & PasidDirectoryEntry.SMPTBLPTR.WordMask)
                    || PageTableOf(entry).Any(table => Hits(table))))
            {
                return Text($"the entry of SID 0x{requester:x4} PASID 0x{pasid:x}");
            }
        }

        foreach ((TranslationKey key, ulong value) in _caches.Upper)
        {
            // The first stage of a nested entry has guest addresses.
            bool isGuest = key.Type == PasidEntry.FirstStage && _caches.Entries.Values.Any(
                entry => entry.IsPresent && entry.DomainId == key.DomainId && HasSecondStage(entry));
            if (!isGuest && Hits(value & FirstStageEntry.ADDR.WordMask))
            {
                return Text($"an upper page table entry of DID {key.DomainId} PASID 0x{key.Pasid:x}");
            }
        }

        foreach ((TranslationKey key, CachedPage page) in _caches.Pages)
        {
            if (Hits(page.Page))
            {
                return Text($"a translation of DID {key.DomainId} PASID 0x{key.Pasid:x}");
            }
        }

        foreach ((DeviceKey key, DeviceItem item) in _caches.Devices)
        {
            if (Hits(item.Page))
            {
                return Text($"a translation in the TLB of SID 0x{key.Requester:x4}");
            }
        }

        return null;
    }

    // The top tables at host addresses that an entry leads to.
    private static IEnumerable<ulong> PageTableOf(CachedEntry entry)
    {
        ulong[] words = entry.Words!;
        ulong type = words.AsSpan().Get(PasidEntry.PGTT);
        if (type == PasidEntry.FirstStage)
        {
            yield return words.AsSpan().GetAddress(PasidEntry.FSPTPTR);
        }
        else if (HasSecondStage(entry))
        {
            yield return words.AsSpan().GetAddress(PasidEntry.SSPTPTR);
        }
    }

    private void CheckStore(in MemoryEvent change, string what, ulong address, ulong[] words)
    {
        ulong offset = change.Address - address;
        if (offset >= (ulong)words.Length * 8)
        {
            return;
        }

        int word = (int)(offset / 8);

        // P lies at the same place in both.
        if (words[word] != change.Value && (word > 0 || change.Value.Field(PasidEntry.P) == 1))
        {
            ReportViolation("vtd-cached-entry-changed", Text(
                $"word {word} of the {what} at 0x{address:x} becomes 0x{change.Value:x} while it is cached as present ")
                + Text($"with 0x{words[word]:x} (section 6.2: clear P, invalidate, then change)"));
        }
    }

    /// <summary>Invalidations that are still owed, in order.</summary>
    private sealed class RequiredInvalidation(
        List<Need> needs,
        HashSet<uint> domains,
        string cause,
        bool isOlderThanGroup = false,
        bool wholeDomains = false)
    {
        private readonly Queue<Need> _needs = new(needs);

        /// <summary>Whether the group in which it arose is the last one so far.</summary>
        public bool IsNew { get; private set; } = !isOlderThanGroup;

        /// <summary>A group of invalidations has completed.</summary>
        /// <returns>Whether nothing is owed any more.</returns>
        public bool Step(List<ulong[]> group, uint requester, uint? pasid)
        {
            // The group in which the entry was dropped is no later one.
            if (IsNew)
            {
                IsNew = false;
                return false;
            }

            // Both kinds of device TLB entries may go together, but not with what they come from.
            bool devices = group.All(words => words.AsSpan().Get(Invalidation.Type)
                is Invalidation.DeviceTlb or Invalidation.PasidDeviceTlb);
            bool more = true;
            while (more && _needs.TryPeek(out Need need) && IsMet(group, need, requester, pasid, devices))
            {
                _needs.Dequeue();
                more = need == Need.DeviceTlb;
            }

            return _needs.Count == 0;
        }

        public override string ToString() => $"{cause}, and still owed are: {string.Join(", ", _needs)}";

        private bool IsMet(List<ulong[]> group, Need need, uint requester, uint? pasid, bool devices) =>
            (devices || need is not (Need.DeviceTlb or Need.PasidDeviceTlb))
            && (domains.Count == 0
                ? group.Any(words => Meets(words, need, requester, pasid, null))
                : domains.All(domain => group.Any(words => Meets(words, need, requester, pasid, domain))));

        private bool Meets(ReadOnlySpan<ulong> words, Need need, uint requester, uint? pasid, uint? domain)
        {
            ulong type = words.Get(Invalidation.Type);
            return need switch
            {
                Need.ContextCache => type == Invalidation.ContextCache
                    && words.Get(InvContextCache.G) == InvContextCache.Global,
                Need.PasidCache => type == Invalidation.PasidCache
                    && (words.Get(InvPasidCache.G) == InvPasidCache.Global
                        || (words.Get(InvPasidCache.G) == InvPasidCache.Domain
                            && words.Get(InvPasidCache.DID) == domain)),
                Need.Iotlb => DropsTranslations(words, domain, pasid, wholeDomains),
                Need.DeviceTlb => type == Invalidation.DeviceTlb && words.Get(InvDeviceTlb.SID) == requester
                    && words.Get(InvDeviceTlb.S) == 1
                    && (words.Get(InvDeviceTlb.ADDR) | (1UL << 51)) == InvDeviceTlb.ADDR.ValueMask,

                // Only GI names every PASID.
                _ => DropsDevice(words, requester, null),
            };
        }
    }

    /// <summary>How far the teardown of a PASID entry and the drain of its page requests have come.</summary>
    private sealed class Drain(uint domain, bool wholeDomain)
    {
        private DrainStep _step;

        /// <summary>Whether the group in which it arose has completed.</summary>
        public bool IsOld { get; private set; }

        /// <summary>A group of invalidations has completed.</summary>
        /// <param name="group">Its descriptors.</param>
        /// <param name="drains">Whether the wait at its end has PD.</param>
        /// <param name="requester">The device.</param>
        /// <param name="pasid">The number.</param>
        /// <returns>Whether page requests are drained.</returns>
        public bool Step(List<ulong[]> group, bool drains, uint requester, uint pasid)
        {
            // The group in which the entry was dropped is no later one.
            if (!IsOld)
            {
                IsOld = true;
                return false;
            }

            // The teardown takes a group for each step; the drain may take one or several, a device TLB at a time.
            bool more = true;
            while (more && IsDone(group, drains, requester, pasid))
            {
                more = _step is DrainStep.IotlbAgain or DrainStep.DeviceTlbAgain;
                if (_step == DrainStep.Wait)
                {
                    return true;
                }

                _step++;
            }

            return false;
        }

        private bool IsDone(List<ulong[]> group, bool drains, uint requester, uint pasid) => _step switch
        {
            DrainStep.Iotlb or DrainStep.IotlbAgain =>
                group.Any(words => DropsTranslations(words, domain, pasid, wholeDomain)),
            DrainStep.DeviceTlb or DrainStep.DeviceTlbAgain => group.Any(words => DropsDevice(words, requester, pasid)),
            _ => drains,
        };
    }
}
