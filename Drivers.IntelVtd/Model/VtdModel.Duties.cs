using System.Globalization;
using PasidFramework.Drivers.IntelVtd.Formats;
using PasidFramework.Drivers.IntelVtd.Registers;
using PasidFramework.Models;
using PasidFramework.Records;

namespace PasidFramework.Drivers.IntelVtd.Model;

/// <content>
/// What the driver owes the hardware (section 6.5.3.3 with table 28) where a forgotten invalidation need not show in a
/// translation, and what it must not do although no fault says so.
/// </content>
internal sealed partial class VtdModel
{
    private const int MostComplaints = 256;

    private readonly List<ModelComplaint> _complaints = [];
    private readonly Dictionary<(uint Requester, uint? Pasid), Duty> _duties = [];
    private readonly Dictionary<(uint Requester, uint Pasid), uint> _undrained = [];
    private readonly Dictionary<uint, HashSet<uint>> _usedDomains = [];
    private Duty? _rootDuty;
    private bool _rootLatched;

    private enum Need
    {
        ContextCache,
        PasidCache,
        Iotlb,
        DeviceTlb,
    }

    /// <inheritdoc/>
    public IReadOnlyList<ModelComplaint> Complaints
    {
        get
        {
            lock (_cacheGate)
            {
                return
                [
                    .. _complaints,
                    .. ModelMemory.StrayReads.Where(read => read.WasFreed).Select(read => new ModelComplaint(
                        "vtd-stray-read", Text($"the walker read freed memory at 0x{read.Address:x}"))),
                ];
            }
        }
    }

    /// <inheritdoc/>
    protected override void Misused(string rule, string message)
    {
        lock (_cacheGate)
        {
            Complain(rule, message);
        }
    }

    /// <inheritdoc/>
    protected override void RootTableLatched()
    {
        lock (_cacheGate)
        {
            _rootLatched = true;
            _rootDuty = Capabilities.Field(Cap.ESRTPS) == 1
                ? null
                : new Duty([Need.ContextCache, Need.PasidCache, Need.Iotlb], [], "a root table address was set", isOlderThanGroup: true);
        }
    }

    /// <inheritdoc/>
    protected override void QueueSwitched()
    {
        if (_groups.Count + _open.Count > 0)
        {
            Misused("vtd-queue-off", "the queue is switched while invalidations have not completed (section 6.5.2)");
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
                    Complain("vtd-te", "TE is set before SRTP took a root table address (Global Command Register)");
                }

                if ((Status & GlobalCommandBits.QIE) == 0)
                {
                    Complain("vtd-te", "TE is set in scalable mode without the invalidation queue (section 6.5.2)");
                }

                if (_rootDuty is { } duty)
                {
                    Complain("vtd-root-kept", Text($"TE is set and {duty} (table 28, root entry)"));
                }

                return;
            }

            Overdue();
            foreach ((uint requester, uint pasid) in _undrained.Keys.ToArray())
            {
                Undrained(requester, pasid);
            }

            foreach ((uint requester, CachedContext context) in _caches.Contexts)
            {
                if (context.IsPresent && WordNow(context.Address).Field(ContextEntry.P) == 0)
                {
                    Complain("vtd-kept", Text(
                        $"SID 0x{requester:x4}: context entry 0x{context.Address:x} went away and is cached still (table 28, context entry)"));
                }
            }

            _usedDomains.Clear();
            _caches.Devices.Clear();
        }
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private static string Owed(uint requester, uint? pasid, Duty duty) => pasid is { } number
        ? Text($"SID 0x{requester:x4} PASID 0x{number:x}: {duty} (table 28, PASID entry)")
        : Text($"SID 0x{requester:x4}: {duty} (table 28, context entry)");

    private void Complain(string rule, string message)
    {
        var complaint = new ModelComplaint(rule, message);
        if (_complaints.Count < MostComplaints && !_complaints.Contains(complaint))
        {
            _complaints.Add(complaint);
        }
    }

    // When the next entry goes away, or translation goes off, what was owed before must have been done.
    private void Overdue()
    {
        foreach (((uint requester, uint? pasid), Duty duty) in _duties.ToArray())
        {
            if (!duty.IsNew)
            {
                Complain("vtd-kept", Owed(requester, pasid, duty));
                _duties.Remove((requester, pasid));
            }
        }
    }

    // A context entry is used again: what its predecessor owed would be found now.
    private void ContextFetched(uint requester) => Due(requester, null);

    private void EntryFetched(uint requester, uint domain, uint pasid)
    {
        if (!_usedDomains.TryGetValue(requester, out HashSet<uint>? domains))
        {
            _usedDomains[requester] = domains = [];
        }

        domains.Add(domain);
        Due(requester, pasid);
        Undrained(requester, pasid);
    }

    private void Due(uint requester, uint? pasid)
    {
        if (_duties.Remove((requester, pasid), out Duty? duty))
        {
            Complain("vtd-kept", Owed(requester, pasid, duty));
        }
    }

    private void Undrained(uint requester, uint pasid)
    {
        if (_undrained.Remove((requester, pasid)))
        {
            Complain("vtd-not-drained", Text(
                $"SID 0x{requester:x4} PASID 0x{pasid:x}: the entry went away and page requests of it were not drained (IOTLB, device-TLB, wait with PD; sections 6.5.2 and 7)"));
        }
    }

    private void EntryDropped(uint requester, uint pasid, CachedEntry entry)
    {
        if (entry.IsPresent && WordNow(entry.Address).Field(PasidEntry.P) == 0)
        {
            Overdue();
            if (Rules.Has(Ecap.PDS) && _caches.Contexts.TryGetValue(requester, out CachedContext? context)
                && context.Words.AsSpan().Get(ContextEntry.PRE) == 1)
            {
                _undrained[(requester, pasid)] = entry.DomainId;
            }

            _duties[(requester, pasid)] = new Duty(
                [Need.Iotlb], [entry.DomainId], Text($"PASID entry 0x{entry.Address:x} went away"));
        }
    }

    private void ContextDropped(uint requester, CachedContext context)
    {
        if (!context.IsPresent || WordNow(context.Address).Field(ContextEntry.P) == 1)
        {
            return;
        }

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
        }

        if (needs.Count > 0)
        {
            Overdue();
            _duties[(requester, null)] = new Duty(
                needs, domains ?? [], Text($"context entry 0x{context.Address:x} went away"));
        }
    }

    // What is present in memory now; 0 where the page is gone already.
    private ulong WordNow(ulong address) =>
        ModelMemory.IsBacked(address, 8) ? ModelMemory.Device.ReadQword(address) : 0;

    // Each group can fulfil one step of a duty that existed before it: the next step needs the one before completed.
    private void Advance(List<ulong[]> group, bool drains)
    {
        if (drains)
        {
            foreach (((uint requester, uint pasid), uint domain) in _undrained.ToArray())
            {
                bool translations = group.Any(words => words.AsSpan().Get(Invalidation.Type) == Invalidation.PasidIotlb
                    && words.AsSpan().Get(InvPasidIotlb.G) == InvPasidIotlb.Pasid
                    && words.AsSpan().Get(InvPasidIotlb.DID) == domain
                    && words.AsSpan().Get(InvPasidIotlb.PASID) == pasid);
                bool device = group.Any(words => words.AsSpan().Get(Invalidation.Type) == Invalidation.PasidDeviceTlb
                    && words.AsSpan().Get(InvPasidDeviceTlb.SID) == requester
                    && words.AsSpan().Get(InvPasidDeviceTlb.PASID) == pasid
                    && words.AsSpan().Get(InvPasidDeviceTlb.S) == 1
                    && words.AsSpan().Get(InvPasidDeviceTlb.ADDR) == InvPasidDeviceTlb.ADDR.ValueMask >> 1);
                if (translations && device)
                {
                    _undrained.Remove((requester, pasid));
                }
            }
        }

        if (_rootDuty is { } root && root.Step(group, 0, null))
        {
            _rootDuty = null;
        }

        foreach (((uint requester, uint? pasid), Duty duty) in _duties.ToArray())
        {
            if (duty.Step(group, requester, pasid))
            {
                _duties.Remove((requester, pasid));
            }
        }
    }

    // A store to an entry that is cached as present: its fields may change only after P was cleared and that was made
    // known, because hardware reads the entry in pieces.
    private void OnChange(MemoryEvent change)
    {
        if (change.Kind != MemoryEventKind.Store || (Status & GlobalCommandBits.TE) == 0)
        {
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
            Complain("vtd-cached-entry-changed", Text(
                $"word {word} of the {what} at 0x{address:x} becomes 0x{change.Value:x} while it is cached as present with 0x{words[word]:x} (section 6.2: clear P, invalidate, then change)"));
        }
    }

    /// <summary>Invalidations that are still owed, in order.</summary>
    private sealed class Duty(
        List<Need> needs, HashSet<uint> domains, string cause, bool isOlderThanGroup = false)
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

            Need need = _needs.Peek();
            bool alone = need != Need.DeviceTlb || group.All(words => words.AsSpan().Get(Invalidation.Type)
                is Invalidation.DeviceTlb or Invalidation.PasidDeviceTlb);
            bool met = domains.Count == 0
                ? group.Any(words => Meets(words, need, requester, pasid, null))
                : domains.All(domain => group.Any(words => Meets(words, need, requester, pasid, domain)));
            if (alone && met)
            {
                _needs.Dequeue();
            }

            return _needs.Count == 0;
        }

        public override string ToString() => $"{cause}, and still owed are: {string.Join(", ", _needs)}";

        private static bool Meets(ReadOnlySpan<ulong> words, Need need, uint requester, uint? pasid, uint? domain)
        {
            ulong type = words.Get(Invalidation.Type);
            ulong granularity = words.Get(InvIotlb.G);
            uint named = (uint)words.Get(InvIotlb.DID);
            return need switch
            {
                Need.ContextCache => type == Invalidation.ContextCache && granularity == InvContextCache.Global,
                Need.PasidCache => type == Invalidation.PasidCache
                    && (granularity == InvPasidCache.Global
                        || (granularity == InvPasidCache.Domain && named == domain)),
                Need.Iotlb => (type == Invalidation.Iotlb
                        && (granularity == InvIotlb.Global
                            || (granularity == InvIotlb.Domain && named == domain)))
                    || (type == Invalidation.PasidIotlb && granularity == InvPasidIotlb.Pasid && named == domain
                        && words.Get(InvPasidIotlb.PASID) == pasid),
                _ => type == Invalidation.DeviceTlb && words.Get(InvDeviceTlb.SID) == requester
                    && words.Get(InvDeviceTlb.S) == 1
                    && (words.Get(InvDeviceTlb.ADDR) | (1UL << 51)) == InvDeviceTlb.ADDR.ValueMask,
            };
        }
    }
}
