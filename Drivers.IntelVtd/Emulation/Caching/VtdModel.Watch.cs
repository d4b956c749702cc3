// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Emulation.Caching;

/// <content>
/// What the driver must not do although no fault says so. Sections 6.2 and 6.5.
/// </content>
internal sealed partial class VtdModel
{
    private readonly ViolationLog _log;
    public IReadOnlyList<ProtocolViolation> Violations => _log.All();
    protected override void OnInvalidAccess(string rule, string message) => _log.Report(rule, message);

    protected override void RootTableLatched()
    {
        lock (_cacheGate)
        {
            _owed.RootTableLatched();
        }
    }

    protected override void EnableChanges(bool on)
    {
        lock (_cacheGate)
        {
            if (on)
            {
                _owed.TurnsOn(hasQueue: (Status & GlobalCommandBits.QIE) != 0);
            }
            else
            {
                _owed.TurnsOff();
            }
        }
    }

    protected override void QueueSwitched()
    {
        if (!_pending.IsEmpty)
        {
            OnInvalidAccess("vtd-queue-off",
                "the queue is switched while invalidations have not completed (section 6.5.2)");
            _pending.Clear();
        }
    }

    // A store to an entry that is cached as present: its fields may change only after P was cleared and that was made
    // known, because hardware reads the entry in pieces.
    private void OnChange(MemoryEvent change)
    {
        if (change.Kind is not (MemoryEventKind.Store or MemoryEventKind.Free) || (Status & GlobalCommandBits.TE) == 0)
        {
            return;
        }

        if (change.Kind == MemoryEventKind.Free)
        {
            Freed(AddressRange.OfFreed(change));
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
    private void Freed(AddressRange freed)
    {
        lock (_cacheGate)
        {
            string? what = VtdCaches.IsPage(freed, RootTable & RootTableAddress.RTA.WordMask)
                ? "the root table address register"
                : _caches.All.FindReferenceInto(freed);
            if (what is not null)
            {
                _log.Report("vtd-freed-while-cached",
                    $"memory at 0x{freed.First:x} was freed while {what} is cached and leads there (section 6.5.3.3)");
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
        if (words[word] != change.Value && (word > 0 || change.Value.Get(PasidEntry.P) == 1))
        {
            _log.Report("vtd-cached-entry-changed",
                $"word {word} of the {what} at 0x{address:x} becomes 0x{change.Value:x} while it is cached as present "
                + $"with 0x{words[word]:x} (section 6.2: clear P, invalidate, then change)");
        }
    }
}
