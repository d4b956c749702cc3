// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Identifiers;

namespace PasidFramework.Conformance.Tests.Flaws;

/// <summary>Broken drivers: the reference driver with one flaw each, at least one for every case of the
/// catalogue.</summary>
internal static class AllFlaws
{
    // Commands of the reference architecture: OP is bits 3:0 of the first word, ALL bit 4.
    private const ulong Device = 1;
    private const ulong Entry = 2;
    private const ulong Translations = 3;
    private const ulong DeviceTlb = 4;
    public static IReadOnlyList<Flaw> All { get; } =
    [
        Flaw.OfMemory("reserved-bit", "sets a reserved bit of PASID entries", ["ENC-001", "ENC-003"],
            m => new ChangesEntries(m, v => v | (1UL << 60))),
        Flaw.OfMemory("wrong-root", "points PASID entries at the page behind the page table", ["ENC-002", "TIL-001"],
            m => new ChangesEntries(m, v => v + 0x1000)),
        Flaw.OfUnit("last-pasid", "refuses the last PASID of a table", ["TIL-002"], u => new RefusesLast(u)),
        Flaw.OfUnit("late-reserve", "reserves a PASID after the core has asked", ["TIL-003"], u => new ReservesLate(u)),
        Flaw.OfMemory("aliases", "gives entries that lie 64 places apart one place", ["TIL-001", "TIL-004"], m =>
            new AliasesEntries(m)),
        Flaw.OfMemory("valid-first", "stores the valid bit before the rest of an entry", ["TRN-001", "TRN-006"], m =>
            new ValidFirst(m)),
        Flaw.OfMemory("torn-removal", "changes an entry in two steps, the first one wrong",
            ["TRN-002", "TRN-003", "TRN-007", "TRN-008"], m => new TornRemoval(m)),
        Flaw.OfMemory("disturbs-leaves", "clears the other directory entries while it adds a leaf",
            ["TRN-004", "TRN-009"], m => new DisturbsOthers(m, directories: true)),
        Flaw.OfMemory("disturbs-devices", "clears the other device entries while it adds a device",
            ["TRN-005", "TRN-010"], m => new DisturbsOthers(m, directories: false)),
        Flaw.OfMemory("no-flush", "never flushes, and declares walkers that do not snoop",
            ["CAP-004", "TRN-006", "TRN-007", "TRN-008", "TRN-009", "TRN-010"], m => new NeverFlushes(m)),
        new("overwrites", "its table writer says that it replaced an entry", ["TRN-011"],
            s => s with { TableFormat = new FaultyFormat(s.TableFormat!, Errno.EEXIST) }),
        new("beyond", "its table writer says that it wrote beyond the width", ["TRN-012"],
            s => s with { TableFormat = new FaultyFormat(s.TableFormat!, Errno.EINVAL) }),
        Flaw.Forgets("no-translations-all", "does not invalidate the translations of a process that goes",
            ["INV-001", "INV-002", "INV-009", "CON-003"], (w, _) => (w & 0x1F) == (Translations | 0x10)),
        Flaw.Forgets("no-translations-range", "does not invalidate ranges of translations", ["INV-003", "INV-004"],
            (w, _) => (w & 0x1F) == Translations),
        Flaw.OfUnit("short-range", "invalidates all pages of a range but the last", ["INV-003"], u =>
            new OneShortInvalidation(u)),
        Flaw.OfUnit("one-byte", "takes a range of one byte for an empty one", ["INV-005"], u => new OneByteIsEmpty(u)),
        Flaw.Forgets("no-entry", "does not invalidate PASID entries", ["INV-006"], (w, _) => (w & 0x1F) == Entry),
        Flaw.Forgets("no-device", "does not invalidate device entries", ["INV-007"], (w, _) => (w & 0xF) == Device),
        Flaw.Forgets("no-table", "does not invalidate a table that goes", ["INV-008"], (w, _) =>
            (w & 0x1F) == (Entry | 0x10)),
        Flaw.Forgets("no-device-tlb", "does not invalidate device TLBs",
            ["CAP-003", "INV-010", "INV-011", "INV-012", "INV-013"],
            (w, _) => (w & 0xF) == DeviceTlb),
        Flaw.OfDriver("clears-quietly", "clears an entry and leaves it to the caches to go on", ["INV-014"], d =>
            new FaultyDriver(d)
        {
            Hardware = h => new FaultyHardware(h) { BendMemory = m => new WatchesStores(m) },
            Unit = (u, h) => new ClearsQuietly(u, (FaultyStores)h.Memory),
        }),
        Flaw.OfUnit("first-is-last", "clears the entry when the first device goes", ["LIF-001"], u =>
            new FirstIsLast(u)),
        Flaw.OfUnit("no-exit", "does nothing when a process exits", ["LIF-002"], u => new NoExit(u)),
        Flaw.OfUnit("leaks", "loses a page with each attach", ["LIF-003"], (u, h) => new LeaksAPage(u, h)),
        Flaw.OfUnit("one-domain", "serves a process in its first domain only", ["LIF-004"], u =>
            new OneDomainAProcess(u)),
        Flaw.OfUnit("keeps-devices", "leaves the entry of a removed device", ["LIF-005", "INV-007"], u =>
            new KeepsDevices(u)),
        Flaw.OfUnit("keeps-tags", "never gives ASIDs back", ["LIF-006"], u => new NeverFreesProcesses(u)),
        Flaw.OfUnit("drops-every-7th-invalidation", "forgets every seventh invalidation", ["LIF-007"], u =>
            new ForgetsOneInSeven(u)),
        Flaw.OfUnit("one-space", "says that PASIDs are a domain's, and uses them for the unit", ["LIF-008"], u =>
            new OneSpaceInDisguise(u)),
        OfAllocator("ignores-range", "ignores the range that is asked for", ["ALC-001"], (_, a) =>
            new IgnoresRequestedRange(a)),
        OfAllocator("reserves-nothing", "says yes to a reservation and forgets it", ["ALC-002"], (_, a) =>
            new ReservesNothing(a)),
        OfAllocator("full-is-invalid", "calls a full range an invalid one", ["ALC-003"], (_, a) =>
            new SaysInvalidWhenFull(a)),
        OfAllocator("frees-anything", "says that it freed what was not live", ["ALC-004"], (_, a) =>
            new FreesAnything(a)),
        OfAllocator("never-again", "never allocates a PASID twice", ["ALC-005"], (_, a) => new NeverGivesAgain(a)),
        OfAllocator("unguarded", "checks and takes in two steps", ["ALC-006"], (r, _) => new Unguarded(r)),
        OfAllocator("nondeterministic", "begins somewhere else each time", ["ALC-007"], (_, a) =>
            new DiffersEachTime(a)),
        OfAllocator("forgets-last", "never gives the last PASID of a range", ["ALC-008", "ALC-001"], (_, a) =>
            new ForgetsTheLast(a)),
        Flaw.OfUnit("always-wide", "claims 20 bits whatever there is", ["CAP-001", "OPT-003"], u => new AlwaysWide(u)),
        Flaw.OfUnit("narrow", "has units of 7 bits whatever there is", ["CAP-001"], u => new Narrow(u)),
        Flaw.OfRegisters("no-pasids", "takes hardware without PASIDs for hardware with 20 bits", ["CAP-002"],
            r => new FaultyReads(r, 0x00, (id, _) => (id & (0x1FUL << 4)) == 0 ? id | (20UL << 4) : id)),
        Flaw.OfMetadata("hides-ats", "does not declare Ats, and takes such devices", ["CAP-003"],
            m => m.Capabilities &= ~DriverCapabilities.Ats),
        Flaw.OfMetadata("hides-noncoherent", "does not declare NonCoherent, and takes such hardware", ["CAP-004"],
            m => m.Capabilities &= ~DriverCapabilities.NonCoherent),
        Flaw.OfMetadata("hides-faults", "does not declare FaultRecords, and decodes them", ["CAP-005"],
            m => m.Capabilities &= ~DriverCapabilities.FaultRecords),
        Flaw.OfMetadata("hides-allocator", "does not declare OwnAllocator, and has one", ["CAP-006"],
            m => m.Capabilities &= ~DriverCapabilities.OwnAllocator),
        Flaw.OfUnit("no-requester", "leaves the requester out of fault records", ["FLT-001"],
            u => new FaultyFaults(u, f => f with { Requester = null })),
        Flaw.OfUnit("takes-twice", "gives each record twice", ["FLT-002"], u => new TakesTwice(u)),
        Flaw.OfUnit("wrong-pasid", "names the PASID next to the right one", ["FLT-003"],
            u => new FaultyFaults(u, f => f with { Pasid = f.Pasid is { } p ? new Pasid(p.Value ^ 1) : null })),
        Flaw.OfUnit("no-address", "leaves the address out of fault records", ["FLT-004"],
            u => new FaultyFaults(u, f => f with { Address = null })),
        Flaw.OfUnit("all-loads", "calls every access a load", ["FLT-005"], u =>
            new FaultyFaults(u, f => f with { IsWrite = false })),
        Flaw.OfMemory("loud-exit", "clears the entry of a process that exits instead of making it quiet",
            ["FLT-006", "LIF-002"],
            m => new LoudExit(m)),
        Flaw.OfUnit("stops-after-overflow", "takes no record any more after some were lost", ["FLT-007"], u =>
            new StopsAfterOverflow(u)),
        Flaw.OfUnit("first-device", "names the first device in every record", ["FLT-008"], u =>
            new NamesTheFirstDevice(u)),
        Flaw.OfMemory("keeps-memory", "gives no memory back", ["ERR-001", "MET-002"], m => new KeepsMemory(m)),
        Flaw.OfDriver("no-memory-is-eio", "calls a lack of memory EIO", ["ERR-001"], d => new FaultyDriver(d)
        {
            Result = r => r.Errno == Errno.ENOMEM ? OpResult<IIommuUnit>.Refuse(Errno.EIO, r.Reason!) : r,
        }),
        Flaw.OfUnit("always-fine", "says that a detach is done, done or not", ["ERR-002"], u =>
            new DetachIsAlwaysFine(u)),
        Flaw.OfRegisters("believes-itself", "takes what it expects for what the hardware says", ["ERR-003"], r =>
            new FaultyReads(
                new FaultyReads(r, 0x00, (_, _) => 1 | (20UL << 4) | (16UL << 9) | (1UL << 14) | (1UL << 16)),
                0x08,
                (_, written) => (written & 1) != 0 ? 3UL : 0)),
        Flaw.OfUnit("busy", "forgets an attach while another one runs", ["CON-001"], u => new ForgetsWhenBusy(u)),
        Flaw.OfUnit("not-after-exit", "does not detach what exited", ["CON-002"], u => new NotAfterExit(u)),
        Flaw.OfDriver("ignores-options", "ignores options that it does not know", ["OPT-001"], d => new FaultyDriver(d)
        {
            Setup = s => s with { Options = new Dictionary<string, string>() },
        }),
        Flaw.OfDriver("ignores-hardware-options", "its stand-in ignores options that it does not know", ["OPT-002"],
            d => new FaultyDriver(d) { HardwareSetup = s => s with { Options = new Dictionary<string, string>() } }),
        Flaw.OfUnit("other-name", "calls itself something else", ["OPT-004"], u => new OtherName(u)),
        Flaw.OfMetadata("bad-name", "has a name with a blank and capitals", ["MET-001"], m => m.Name = "Bad Name"),
        Flaw.OfUnit("never-ends", "does nothing when it is disposed", ["MET-002"], u => new NeverEnds(u)),
        Flaw.OfUnit("one-of-a-kind", "keeps the unit in a static field", ["MET-003"], u => new OneOfAKind(u)),
        new("twins", "exports two structures with one id", ["MET-004"], s =>
            s with { Structures = [.. s.Structures, s.Structures[0]] }),
        new("no-reader", "exports no reader of its tables", ["MET-005"], s => s with { Reader = null }),
    ];

    private static Flaw OfAllocator(
        string name,
        string what,
        string[] cases,
        Func<PasidRange, Allocation.IPasidAllocator, Allocation.IPasidAllocator> bend) =>
        Flaw.OfUnit(name, what, cases, u => new FaultyAllocatorUnit(u, bend));
}
