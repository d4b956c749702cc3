// SPDX-License-Identifier: Apache-2.0
using System.Numerics;

namespace PasidFramework.Drivers.IntelVtd.Emulation.Caching;

/// <content>
/// Invalidations, as late and in as bad an order as is legal. Section 6.5.2.
/// </content>
/// <remarks>
/// Descriptors between two fences form a group: hardware may work on them in any order, so device TLBs are invalidated
/// first and context entries last, and after each kind the accesses that are in flight fill again what they lost from
/// the caches that are still stale. A group takes effect when a wait that notifies the driver says that it is complete.
/// </remarks>
internal sealed partial class VtdModel
{
    private readonly PendingInvalidations<ulong[]> _pending = new();
    private readonly List<ulong[]> _waits = [];
    protected override void Invalidate(ReadOnlySpan<ulong> descriptor) => _pending.Add(descriptor.ToArray());

    protected override void Wait(ReadOnlySpan<ulong> descriptor)
    {
        bool notifies = descriptor.Get(InvWait.SW) == 1 || descriptor.Get(InvWait.IF) == 1;
        if (notifies)
        {
            _waits.Add(descriptor.ToArray());
            _pending.Wait();
        }

        // Without a fence what follows may have begun already, so the wait is answered when that is known.
        if (descriptor.Get(InvWait.FN) == 1)
        {
            _pending.Fence(descriptor.Get(InvWait.PD) == 1);
            if (notifies)
            {
                Answer();
            }
        }
    }

    protected override void QueueStopped()
    {
        if (_waits.Count == 0)
        {
            return;
        }

        // What came after the last wait stays pending.
        _pending.FenceAtLastWait(_waits[^1].AsSpan().Get(InvWait.PD) == 1);
        Answer();
    }

    private void Answer()
    {
        lock (_cacheGate)
        {
            _pending.Complete((group, drains) =>
            {
                foreach (ulong[] words in group)
                {
                    InvalidateDevice(words);
                }

                WorstOrder.Apply(
                    group,
                    access => _ = Resolve(access, fillsDevice: false),
                    words => InvalidateTranslations(words),
                    words => InvalidateEntries(words),
                    words => InvalidateContexts(words));
                _owed.Completed(group, drains);
            });
        }

        ModelMemory.Settle();
        foreach (ulong[] wait in _waits)
        {
            Complete(wait);
        }

        _waits.Clear();
    }

    private static DmaAccess InFlight(uint requester, uint? pasid, ulong address) =>
        new(new RequesterId(requester), pasid is { } number ? new Pasid(number) : null, address, false);

    private void InvalidateDevice(ReadOnlySpan<ulong> words)
    {
        ulong type = words.Get(Invalidation.Type);
        bool hasPasid = type == Invalidation.PasidDeviceTlb;
        if (!hasPasid && type != Invalidation.DeviceTlb)
        {
            return;
        }

        uint requester = (uint)words.Get(hasPasid ? InvPasidDeviceTlb.SID : InvDeviceTlb.SID);
        bool sized = words.Get(hasPasid ? InvPasidDeviceTlb.S : InvDeviceTlb.S) == 1;
        bool global = hasPasid && words.Get(InvPasidDeviceTlb.GI) == 1;
        ulong address = words.GetAddress(InvDeviceTlb.ADDR);
        uint? pasid = hasPasid ? (uint)words.Get(InvPasidDeviceTlb.PASID) : null;

        // The lowest 0 bit from bit 12 on gives the size.
        int ones = sized ? BitOperations.TrailingZeroCount(~(address >> 12)) : -1;
        ulong low = ones >= 51 ? ulong.MaxValue : (1UL << (12 + ones + 1)) - 1;
        foreach ((TranslationKey<DeviceTag> key, DeviceItem item) in _caches.Devices.Forget((key, _) =>
            key.Tag.Requester == requester
            && (global ? key.Tag.Pasid is not null : key.Tag.Pasid == pasid)
            && (key.First & ~low) == (address & ~low)))
        {
            // A request that passed the PASID entry while it was there is drained by the IOTLB invalidation only: until
            // then it is answered from the IOTLB. Any other is answered by what the caches hold now.
            if (!_owed.IsOwed(key.Tag.Requester, key.Tag.Pasid))
            {
                _ = Resolve(InFlight(key.Tag.Requester, key.Tag.Pasid, key.First), fillsDevice: true);
            }
            else if (_caches.Pages.TryGet(item.Translation, out CachedPage? page))
            {
                _caches.Devices.Replace(key, new DeviceItem(item.Translation, page.Page, page.Writable, page.Root));
            }
        }
    }

    private List<DmaAccess> InvalidateTranslations(ReadOnlySpan<ulong> words)
    {
        ulong type = words.Get(Invalidation.Type);
        bool byPasid = type == Invalidation.PasidIotlb;
        var lost = new List<DmaAccess>();
        if (!byPasid && type != Invalidation.Iotlb)
        {
            return lost;
        }

        ulong granularity = words.Get(InvIotlb.G);
        uint domain = (uint)words.Get(InvIotlb.DID);
        uint pasid = (uint)words.Get(InvPasidIotlb.PASID);
        bool page = granularity == InvIotlb.Page;
        bool leavesOnly = page && words.Get(InvIotlb.IH) == 1;
        int mask = (int)words.Get(InvIotlb.AM);
        ulong low = mask >= 52 ? ulong.MaxValue : (1UL << (12 + mask)) - 1;
        ulong first = words.GetAddress(InvIotlb.ADDR) & ~low;

        bool isGlobal = !byPasid && granularity == InvIotlb.Global;

        bool Matches(in TranslationKey<TranslationTag> key, int level)
        {
            TranslationTag tag = key.Tag;
            if (!isGlobal && tag.DomainId != domain)
            {
                return false;
            }

            // Second-stage translations have no PASID, and page-in-domain is for them: nested ones go as a whole.
            bool kind = byPasid ? tag.Type != PasidEntry.SecondStage && tag.Pasid == pasid
                : !page || tag.Type != PasidEntry.FirstStage;
            if (!kind || !page || (!byPasid && tag.Type == PasidEntry.Nested))
            {
                return kind;
            }

            // What the entry covers and the range overlap.
            ulong covered = WalkRules.LowBits(Math.Max(level, 1));
            ulong start = key.First & ~covered;
            return start <= (first | low) && first <= (start | covered);
        }

        lost.AddRange(_caches.Pages.Forget((key, item) => Matches(key, item.Level)).Select(
            p => InFlight(p.Value.Requester, p.Value.RequestPasid, p.Key.First)));
        if (!leavesOnly)
        {
            _caches.Upper.Forget((key, _) => Matches(key, VtdCaches.LevelOf(key.Shift)));
        }

        lost.AddRange(_caches.Blocked.Forget((key, item) => isGlobal || ((!byPasid || key.Pasid == pasid)
            && !(page && !byPasid)
            && (!page || ((item.Address ^ first) & ~low) == 0)
            && MatchesReplacement(key.Requester, item.RequestPasid, domain))).Select(
                b => InFlight(b.Key.Requester, b.Value.RequestPasid, b.Value.Address)));
        return lost;
    }

    private List<DmaAccess> InvalidateEntries(ReadOnlySpan<ulong> words)
    {
        var lost = new List<DmaAccess>();
        if (words.Get(Invalidation.Type) != Invalidation.PasidCache)
        {
            return lost;
        }

        ulong granularity = words.Get(InvPasidCache.G);
        uint domain = (uint)words.Get(InvPasidCache.DID);
        uint pasid = (uint)words.Get(InvPasidCache.PASID);

        // A directory entry has no domain id of its own: those of the entries below it count, any where there are none.
        lost.AddRange(_caches.Directories.Forget((key, _) =>
        {
            uint[] domains = [.. PresentBelow(key.Requester, key.Index).Select(entry => entry.DomainId)];
            return granularity == InvPasidCache.Global
                || ((granularity == InvPasidCache.Domain || key.Index == pasid >> 6)
                    && (domains.Length == 0 || domains.Contains(domain)));
        }).Select(d => InFlight(d.Key.Requester, d.Value.RequestPasid, 0)));

        foreach (((uint requester, uint of), CachedEntry entry) in _caches.Entries.Forget((key, entry) =>
            granularity == InvPasidCache.Global
            || ((granularity == InvPasidCache.Domain || key.Pasid == pasid)
                && (entry.IsPresent
                    ? entry.DomainId == domain
                    : MatchesReplacement(
                        key.Requester, entry.RequestPasid, domain, entry.Words is null ? 0 : entry.DomainId)))))
        {
            _owed.EntryDropped(requester, of, entry);
            lost.Add(InFlight(requester, entry.RequestPasid, 0));
        }

        return lost;
    }

    private List<DmaAccess> InvalidateContexts(ReadOnlySpan<ulong> words)
    {
        var lost = new List<DmaAccess>();
        if (words.Get(Invalidation.Type) != Invalidation.ContextCache)
        {
            return lost;
        }

        // Domain granularity acts as global in scalable mode, where a context entry has no domain id.
        bool global = words.Get(InvContextCache.G) != InvContextCache.Device;
        if (global)
        {
            _caches.Roots.Clear();
        }

        // The function mask leaves out 0 to 3 bits of the function number.
        uint mask = words.Get(InvContextCache.FM) switch { 1 => 4u, 2 => 6u, 3 => 7u, _ => 0u };
        uint of = (uint)words.Get(InvContextCache.SID);
        foreach ((uint requester, CachedContext context) in _caches.Contexts.Forget(
            (requester, _) => global || ((requester ^ of) & ~mask) == 0))
        {
            _owed.ContextDropped(requester, context);
            ForgetEmptyDirectories(requester);
            lost.Add(InFlight(requester, null, 0));
        }

        return lost;
    }

    private IEnumerable<CachedEntry> PresentBelow(uint requester, uint index) => _caches.Entries
        .Where(e => e.Key.Requester == requester && e.Key.Pasid >> 6 == index && e.Value.IsPresent)
        .Select(e => e.Value);

    // Without caching mode software may leave out the PASID-cache invalidation where no PASID entry is present
    // (table 28, context entry): what leads to none must not outlive the context entry then.
    private void ForgetEmptyDirectories(uint requester)
    {
        if (!_cachingMode)
        {
            _caches.Directories.Forget(
                (key, _) => key.Requester == requester && !PresentBelow(requester, key.Index).Any());
        }
    }

    // An entry that was not present is tagged with nothing that counts: it goes with domain id 0, or with that of the
    // entry that has taken its place, else with what stood in its field; with any where there is neither.
    private bool MatchesReplacement(uint requester, uint? pasid, uint domain, uint field = 0)
    {
        WalkResult found = TableWalker.Configure(Rules, RootTable, InFlight(requester, pasid, 0), _uncached);
        uint tag = found.Fault == 0 ? found.DomainId : field;
        return domain == 0 || tag == 0 || tag == domain;
    }
}
