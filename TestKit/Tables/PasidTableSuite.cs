// SPDX-License-Identifier: Apache-2.0
using PasidFramework.DriverKit.Emulation;

namespace PasidFramework.TestKit.Tables;

/// <summary>What the contract promises of a PASID table format, seen through an independent decoder: for any format,
/// without a test framework.</summary>
/// <exception cref="SuiteFailedException">From each check: what was expected and found.</exception>
public sealed class PasidTableSuite(IPasidTableFormat format, PasidEntryDecoder decode)
{
    private const ulong FirstRoot = 0x8_9000_0000;

    /// <summary>The checks by name.</summary>
    public static IReadOnlyDictionary<string, Action<PasidTableSuite>> Checks { get; } =
        new Dictionary<string, Action<PasidTableSuite>>
        {
            [nameof(EntriesAreReadBack)] = suite => suite.EntriesAreReadBack(),
            [nameof(WidthsAreKept)] = suite => suite.WidthsAreKept(),
            [nameof(RefusalsChangeNothing)] = suite => suite.RefusalsChangeNothing(),
            [nameof(AllocationsMayFail)] = suite => suite.AllocationsMayFail(),
            [nameof(ValidBitsAreStoredLast)] = suite => suite.ValidBitsAreStoredLast(),
            [nameof(WalkersSeeOldOrNew)] = suite => suite.WalkersSeeOldOrNew(),
            [nameof(SyncIsCalledForEachChange)] = suite => suite.SyncIsCalledForEachChange(),
            [nameof(SyncMayRefuse)] = suite => suite.SyncMayRefuse(),
        };

    /// <summary>Entries that the format cannot express, beside misaligned roots and those beyond 2^52.</summary>
    public IReadOnlyList<PasidTableEntry> Misfits { get; init; } = [];

    private static PasidEntryView Absent => new(PasidEntryKind.Absent);
    private static PasidEntryView Silent => new(PasidEntryKind.Quiet);

    /// <summary>Applies any numbers as operations to a table and to a dictionary; both must agree after every
    /// step, and nothing leaks.</summary>
    /// <param name="pasidBits">1 to 20.</param>
    public void RunSequence(int pasidBits, IEnumerable<int> codes)
    {
        var memory = new ObservedMemory();
        uint[] places = [.. Places(pasidBits)];
        var model = new Dictionary<uint, PasidEntryView>();
        using (IPasidTable table = Create(memory, new ObservedSync(memory), pasidBits))
        {
            foreach (int code in codes)
            {
                uint number = (uint)code;
                uint pasid = places[(number >> 2) % places.Length];
                bool isTaken = model.TryGetValue(pasid, out PasidEntryView view);
                string what = Text($"operation {number % 4} on PASID {pasid} of {pasidBits} bits");
                switch (number % 4)
                {
                    case 0:
                        Expect(isTaken ? Errno.None : Errno.ENOENT, table.Clear(new Pasid(pasid)).Errno, $"{what}");
                        model.Remove(pasid);
                        break;
                    case 1:
                        Errno expected = !isTaken ? Errno.ENOENT : format.CanQuiet ? Errno.None : Errno.EOPNOTSUPP;
                        Expect(expected, table.Quiet(new Pasid(pasid)).Errno, $"{what}");
                        if (isTaken)
                        {
                            model[pasid] = format.CanQuiet ? Silent : view;
                        }

                        break;
                    default:
                        PasidTableEntry entry = Entry(number >> 7);
                        Expect(isTaken ? Errno.EEXIST : Errno.None, table.Set(new Pasid(pasid), entry).Errno,
                            $"{what}");
                        model[pasid] = isTaken ? view : Valid(entry);
                        break;
                }

                foreach (uint place in places)
                {
                    Expect(model.GetValueOrDefault(place), At(memory, table, place), $"PASID {place} after {what}");
                }

                Expect(memory.AllocatedBytes, table.TableBytes, $"bytes of the table after {what}");
            }
        }

        Expect(0L, memory.AllocatedBytes, $"bytes that stay allocated");
    }

    public void EntriesAreReadBack()
    {
        foreach (int bits in new[] { 1, 6, 10, 11, 14, 20 })
        {
            int count = Places(bits).Count();
            RunSequence(bits, [
                .. Enumerable.Range(0, count).Select(i => (i << 7) | (i << 2) | 2),
                .. Enumerable.Range(0, count).Where(i => i % 2 == 0).Select(i => (i << 2) | 1),
                .. Enumerable.Range(0, count).Select(i => i << 2),
                .. Enumerable.Range(0, count).Select(i => ((i + 3) << 7) | (i << 2) | 3),
            ]);
        }

        var memory = new ObservedMemory();
        IPasidTable table = Create(memory, new ObservedSync(memory), 20);
        foreach (uint pasid in Places(20))
        {
            bool isNew = At(memory, table, pasid ^ 1) == Absent;
            int before = table.Leaves;
            Expect(Errno.None, table.Set(new Pasid(pasid), Entry(1)).Errno, $"set of PASID {pasid}");
            Expect(true, table.Leaves == before || (isNew && table.Leaves == before + 1), $"a leaf on its first use");
        }

        (int Leaves, long Bytes) full = (table.Leaves, table.TableBytes);
        foreach (uint pasid in Places(20))
        {
            Expect(Errno.None, table.Clear(new Pasid(pasid)).Errno, $"clear of PASID {pasid}");
        }

        Expect(full, (table.Leaves, table.TableBytes), $"leaves and bytes of an empty table");
        memory.AllocationsLeft = 0;
        Expect(Errno.None, table.Set(new Pasid(1), Entry(1)).Errno, $"set in a leaf that stayed");
        table.Dispose();
        table.Dispose();
        Expect(0L, memory.AllocatedBytes, $"bytes after dispose");
        Suite.Throws<ObjectDisposedException>(
            () => table.Set(new Pasid(1), Entry(1)), $"{format.Name}: a disposed table takes an entry");
    }

    public void WidthsAreKept()
    {
        var memory = new ObservedMemory();
        var sync = new ObservedSync(memory);
        foreach (int bits in new[] { int.MinValue, -1, 0, 21, 32, int.MaxValue })
        {
            Expect(Errno.EINVAL, format.Create(memory, bits, sync).Errno, $"a table of {bits} bits");
            Expect(0L, memory.AllocatedBytes, $"bytes of a table of {bits} bits");
        }

        for (int bits = 1; bits <= Pasid.MaxBits; bits++)
        {
            using IPasidTable table = Create(memory, sync, bits);
            Expect(bits, table.PasidBits, $"width");
            Expect(format.CanQuiet, table.CanQuiet, $"CanQuiet of table and format");
            uint last = (1u << bits) - 1;
            Expect(Errno.None, table.Set(new Pasid(last), Entry(7)).Errno, $"the last PASID of {bits} bits");
            Expect(Valid(Entry(7)), At(memory, table, last), $"the last PASID of {bits} bits");
            if (bits < Pasid.MaxBits)
            {
                var next = new Pasid(last + 1);
                ExpectRefusal(memory, Errno.EINVAL, () => table.Set(next, Entry(7)), $"set beyond {bits} bits");
                ExpectRefusal(memory, Errno.EINVAL, () => table.Quiet(next), $"quiet beyond {bits} bits");
                ExpectRefusal(memory, Errno.EINVAL, () => table.Clear(next), $"clear beyond {bits} bits");
            }
        }
    }

    public void RefusalsChangeNothing()
    {
        var memory = new ObservedMemory();
        using IPasidTable table = Create(memory, new ObservedSync(memory), 20);
        var one = new Pasid(1);
        Pasid[] absent = [new Pasid(2), new Pasid(0xFFFFF)];
        Misfit(1);
        Expect(Errno.None, table.Set(one, Entry(1)).Errno, $"set");
        Misfit(2);
        foreach (Pasid pasid in absent)
        {
            ExpectRefusal(memory, Errno.ENOENT, () => table.Quiet(pasid), $"quiet of no entry");
            ExpectRefusal(memory, Errno.ENOENT, () => table.Clear(pasid), $"clear of no entry");
        }

        ExpectRefusal(memory, Errno.EEXIST, () => table.Set(one, Entry(2)), $"set over a valid entry");
        if (format.CanQuiet)
        {
            Expect(Errno.None, table.Quiet(one).Errno, $"quiet");
            ExpectRefusal(memory, Errno.EEXIST, () => table.Set(one, Entry(2)), $"set over a quiet entry");
            Expect(Silent, At(memory, table, 1), $"a quiet entry");
        }
        else
        {
            ExpectRefusal(memory, Errno.EOPNOTSUPP, () => table.Quiet(one), $"quiet");
        }

        void Misfit(uint pasid)
        {
            foreach (PasidTableEntry entry in (PasidTableEntry[])[new(FirstRoot + 1, 1), new(1UL << 52, 1), .. Misfits])
            {
                ExpectRefusal(memory, Errno.EINVAL, () => table.Set(new Pasid(pasid), entry), $"{entry}");
            }
        }
    }

    public void AllocationsMayFail()
    {
        bool hasFailed = true;
        for (int failing = 1; hasFailed; failing++)
        {
            var memory = new ObservedMemory { FailAllocation = failing };
            OpResult<IPasidTable> created = format.Create(memory, 20, new ObservedSync(memory));
            hasFailed = !created.IsOk;
            if (hasFailed)
            {
                Expect(Errno.ENOMEM, created.Errno, $"creation");
                Expect(0L, memory.AllocatedBytes, $"bytes of no table");
                continue;
            }

            IPasidTable table = created.Value!;
            uint[] pasids = [1, 0x12345, 0xFFFFF];
            for (int i = 0; i < pasids.Length; i++)
            {
                var pasid = new Pasid(pasids[i]);
                PasidTableEntry entry = Entry((uint)i);
                int leaves = table.Leaves;
                memory.Steps.Clear();
                OpResult result = table.Set(pasid, entry);
                if (!result.IsOk)
                {
                    hasFailed = true;
                    Expect(Errno.ENOMEM, result.Errno, $"set of PASID {pasid}");
                    Expect(0, memory.Steps.Count(IsChange), $"stores and calls of a refusal");
                    Expect((leaves, memory.AllocatedBytes), (table.Leaves, table.TableBytes), $"leaves and bytes");
                    Expect(Absent, At(memory, table, pasid.Value), $"PASID {pasid}");
                    result = table.Set(pasid, entry);
                }

                Expect(Errno.None, result.Errno, $"set of PASID {pasid} with memory");
                for (int j = 0; j <= i; j++)
                {
                    Expect(Valid(Entry((uint)j)), At(memory, table, pasids[j]), $"PASID {pasids[j]}");
                }
            }

            table.Dispose();
            Expect(0L, memory.AllocatedBytes, $"bytes after allocation {failing} was refused");
            Expect(true, hasFailed || failing > 2, $"a table and a leaf need memory");
        }
    }

    /// <summary>D2: an entry becomes valid with the last store of its installation, and goes with the first of its
    /// removal.</summary>
    public void ValidBitsAreStoredLast()
    {
        var memory = new ObservedMemory();
        using IPasidTable table = Create(memory, new ObservedSync(memory), 20);
        Expect(Errno.None, table.Set(new Pasid(0x40), Entry(1)).Errno, $"set of a neighbour");
        var seen = new List<(StepKind Kind, PasidEntryView Cpu, PasidEntryView Walker)>();
        memory.OnStep = step => seen.Add((step.Kind, At(memory, table, 0x41), At(memory.Walker, table, 0x41)));
        for (uint round = 2; round < 5; round++)
        {
            PasidEntryView valid = Valid(Entry(round));
            seen.Clear();
            Expect(Errno.None, table.Set(new Pasid(0x41), Entry(round)).Errno, $"set");
            int last = seen.FindLastIndex(s => s.Kind == StepKind.Store);
            Expect(true, seen[..last].All(s => s.Cpu == Absent && s.Walker == Absent),
                $"nothing before the last store");
            Expect(valid, seen[last].Cpu, $"the last store");
            Expect(valid, seen[^1].Walker, $"what is written back when the last invalidation is asked for");
            Expect(StepKind.Configuration, seen[^1].Kind, $"the last step");

            seen.Clear();
            if (format.CanQuiet)
            {
                Expect(Errno.None, table.Quiet(new Pasid(0x41)).Errno, $"quiet");
                Expect(1, seen.Count(s => s.Kind == StepKind.Store), $"stores of a quieting");
                ExpectFirst(seen, Silent);
                seen.Clear();
            }

            Expect(Errno.None, table.Clear(new Pasid(0x41)).Errno, $"clear");
            ExpectFirst(seen, Absent);
        }
    }

    /// <summary>D3: between any two stores, whatever has arrived, a walker finds the old entry or the new, and the new
    /// one from the invalidation on.</summary>
    public void WalkersSeeOldOrNew()
    {
        foreach ((bool coherent, int bits) in new[] { (true, 6), (true, 20), (false, 6), (false, 20) })
        {
            var model = new ModelMemory(coherent, StoreOrder.Weak);
            var memory = new ObservedMemory(model);
            using IPasidTable table = Create(memory, new ObservedSync(memory), bits);
            model.StoreBarrier();
            uint probe = 0;
            int states = 0;
            PasidEntryView[] allowed = [];
            model.Changed += _ => states += model.ForEachVisible(() => Judge("between two stores"));
            memory.OnStep = step =>
            {
                if (step.Kind is StepKind.Configuration or StepKind.Path or StepKind.Translations)
                {
                    model.StoreBarrier();
                }
            };
            foreach (uint place in new uint[] { 0x12345, 0x12346, 0x12345, 0x800 })
            {
                uint pasid = place & ((1u << bits) - 1);
                probe = pasid;
                PasidTableEntry entry = Entry((uint)states);
                Change(Absent, Valid(entry), () => table.Set(new Pasid(pasid), entry));
                if (format.CanQuiet && pasid % 2 == 1)
                {
                    Change(Valid(entry), Silent, () => table.Quiet(new Pasid(pasid)));
                    Change(Silent, Absent, () => table.Clear(new Pasid(pasid)));
                }
                else
                {
                    Change(Valid(entry), Absent, () => table.Clear(new Pasid(pasid)));
                }
            }

            Expect(0, model.StrayReads.Count, $"walks into memory that is not there");
            Expect(true, states > 40, $"states that were probed: {states}");

            void Change(PasidEntryView before, PasidEntryView after, Func<OpResult> change)
            {
                allowed = [before, after];
                Expect(Errno.None, change().Errno, $"a change of PASID {probe}");
                allowed = [after];
                Judge("after the invalidation");
            }

            void Judge(string when)
            {
                PasidEntryView seen = At(model.Device, table, probe);
                if (allowed.Length > 0 && !allowed.Contains(seen))
                {
                    throw new SuiteFailedException(Text($"{format.Name}: a walker sees {seen} {when}"));
                }
            }
        }
    }

    public void SyncIsCalledForEachChange()
    {
        foreach (int bits in new[] { 6, 20 })
        {
            var memory = new ObservedMemory();
            using IPasidTable table = Create(memory, new ObservedSync(memory), bits);
            int leaves = table.Leaves;
            MemoryStep[] first = CallsOf(() => table.Set(new Pasid(1), Entry(1)));
            Expect(table.Leaves > leaves, first.Any(s => s.Kind == StepKind.Path),
                $"a call for the path to a new leaf");
            Expect(true, table.Leaves == leaves || first.Length == 1, $"one call makes path and entry known");
            ExpectEntryOnly(CallsOf(() => table.Set(new Pasid(2), Entry(2))), 2);
            if (format.CanQuiet)
            {
                ExpectRemoval(CallsOf(() => table.Quiet(new Pasid(2))), 2);

                // It leads to no translation.
                ExpectEntryOnly(CallsOf(() => table.Clear(new Pasid(2))), 2);
            }
            else
            {
                ExpectRemoval(CallsOf(() => table.Clear(new Pasid(2))), 2);
            }

            ExpectRemoval(CallsOf(() => table.Clear(new Pasid(1))), 1);

            MemoryStep[] CallsOf(Func<OpResult> change)
            {
                memory.Steps.Clear();
                Expect(Errno.None, change().Errno, $"a change");
                return [.. memory.Steps.Where(s => s.Kind >= StepKind.Configuration)];
            }
        }

        void ExpectEntryOnly(MemoryStep[] calls, uint pasid) => Expect(
            true, calls.Length > 0 && calls.All(c => c == new MemoryStep(StepKind.Configuration, pasid, 0)),
            $"calls for the entry of PASID {pasid} alone, not {string.Join(", ", calls)}");

        void ExpectRemoval(MemoryStep[] calls, uint pasid)
        {
            Expect(new MemoryStep(StepKind.Translations, pasid, Entry(pasid).ArchId), calls[^1], $"the last call");
            ExpectEntryOnly(calls[..^1], pasid);
        }
    }

    public void SyncMayRefuse()
    {
        foreach (int bits in new[] { 6, 20 })
        {
            foreach (bool isFirst in new[] { true, false })
            {
                ForEachRefusal(bits, !isFirst, 0, (table, memory, refuse) =>
                {
                    OpResult result = refuse(() => table.Set(new Pasid(1), Entry(1)));
                    bool isRefused = !result.IsOk;
                    Expect(isRefused ? Absent : Valid(Entry(1)), At(memory, table, 1), $"PASID 1");
                    Expect(isRefused ? Absent : Valid(Entry(1)), At(memory.Walker, table, 1), $"PASID 1 of a walker");
                    if (isRefused)
                    {
                        bool wasPath = memory.Steps.Any(s => s.Kind == StepKind.Path);
                        ExpectRefusal(memory, Errno.ENOENT, () => table.Clear(new Pasid(1)),
                            $"clear of what is not there");
                        Expect(Errno.None, table.Set(new Pasid(1), Entry(2)).Errno, $"set again");
                        Expect(wasPath, memory.Steps.Any(s => s.Kind == StepKind.Path), $"the path is asked for again");
                        Expect(Valid(Entry(2)), At(memory, table, 1), $"PASID 1");
                    }

                    return isRefused;
                });
            }

            if (format.CanQuiet)
            {
                ForEachRefusal(bits, false, 1, (table, memory, refuse) =>
                {
                    bool isRefused = !refuse(() => table.Quiet(new Pasid(1))).IsOk;
                    Expect(Silent, At(memory, table, 1), $"a quiet entry");
                    memory.Steps.Clear();
                    Expect(Errno.None, table.Clear(new Pasid(1)).Errno, $"clear");
                    Expect(isRefused, memory.Steps.Any(IsTranslations), $"translations of an unconfirmed entry");
                    return isRefused;
                });
            }

            ForEachRefusal(bits, false, 1, (table, memory, refuse) =>
            {
                memory.Steps.Clear();
                OpResult result = refuse(() => table.Clear(new Pasid(1)));
                Expect(Absent, At(memory, table, 1), $"PASID 1");
                Expect(true, memory.Steps.Any(IsTranslations), $"translations whatever the configuration answers");
                return !result.IsOk;
            });
        }
    }

    private static bool IsTranslations(MemoryStep step) => step.Kind == StepKind.Translations;

    // Everything but memory that was taken and given back.
    private static bool IsChange(MemoryStep step) => step.Kind is not (StepKind.Allocate or StepKind.Free);

    // First, last and edges of the leaves of all formats, and some between.
    private static IEnumerable<uint> Places(int bits) =>
        ((uint[])[0, 1, 2, 63, 64, 255, 256, 1023, 1024, 0x1234, 0x12345, (1u << bits) - 2, (1u << bits) - 1])
        .Where(pasid => pasid >> bits == 0).Distinct();

    private static PasidTableEntry Entry(uint number) =>
        new(FirstRoot + ((number & 0xFFFF) * 4096UL), 1 + (number % 0xFE));

    private static PasidEntryView Valid(in PasidTableEntry entry) =>
        new(PasidEntryKind.Valid, entry.PageTableRoot, entry.ArchId);

    // Refuses each call of an operation in turn, until the operation has no more.
    private void ForEachRefusal(
        int bits, bool hasNeighbour, int entries,
        Func<IPasidTable, ObservedMemory, Func<Func<OpResult>, OpResult>, bool> body)
    {
        for (int failing = 1, refused = 1; refused > 0; failing++)
        {
            var memory = new ObservedMemory();
            var sync = new ObservedSync(memory);
            using IPasidTable table = Create(memory, sync, bits);
            if (hasNeighbour)
            {
                Expect(Errno.None, table.Set(new Pasid(2), Entry(9)).Errno, $"set of a neighbour");
            }

            if (entries > 0)
            {
                Expect(Errno.None, table.Set(new Pasid(1), Entry(1)).Errno, $"set");
            }

            refused = body(table, memory, change =>
            {
                memory.Steps.Clear();
                sync.FailCall = sync.Calls + failing;
                OpResult result = change();
                bool wasReached = sync.Calls >= sync.FailCall;
                sync.FailCall = 0;
                Expect(wasReached ? Errno.ETIMEDOUT : Errno.None, result.Errno,
                    $"answer where call {failing} is refused");
                return result;
            })
                ? 1 : 0;
            Expect(true, refused > 0 || failing > 1, $"calls were made");
        }
    }

    private void ExpectFirst(
        List<(StepKind Kind, PasidEntryView Cpu, PasidEntryView Walker)> seen, PasidEntryView after)
    {
        Expect((StepKind.Store, after), (seen[0].Kind, seen[0].Cpu), $"the first step");
        int call = seen.FindIndex(s => s.Kind == StepKind.Configuration);
        Expect(true, seen[..call].Count(s => s.Kind == StepKind.Store) == 1, $"one store before the invalidation");
        Expect(true, seen[call..].All(s => s.Walker == after), $"it is written back before the invalidation");
    }

    private void ExpectRefusal(ObservedMemory memory, Errno errno, Func<OpResult> change, InvariantText what)
    {
        memory.Steps.Clear();
        string text = Text(what);
        Expect(errno, change().Errno, $"{text}");
        Expect(0, memory.Steps.Count, $"steps of a refusal: {text}");
    }

    private IPasidTable Create(IPhysicalMemory memory, IPasidTableSync sync, int bits) =>
        format.Create(memory, bits, sync) is { IsOk: true } created
            ? created.Value
            : throw new SuiteFailedException(Text($"{format.Name}: no table of {bits} bits"));

    private PasidEntryView At(IMemoryReader memory, IPasidTable table, uint pasid)
    {
        try
        {
            return decode(memory, table.AttachParameters, pasid);
        }
        catch (ArgumentException)
        {
            return new PasidEntryView(PasidEntryKind.Malformed);
        }
    }

    private void Expect<T>(T expected, T found, InvariantText what) =>
        Suite.Expect(expected, found, what, format.Name);
}
