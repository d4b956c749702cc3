using System.Globalization;
using PasidFramework.Contracts;
using PasidFramework.Hardware;
using PasidFramework.TestKit;

namespace PasidFramework.Drivers.IntelVtd.Tests;

/// <summary>
/// Breaks the driver in every way that the recorded run of the scenario offers, one at a time: the model, the probes or
/// the driver itself must notice.
/// </summary>
public sealed class MutationTests(ITestOutputHelper output)
{
    private const int QueueBytes = 8192;

    [Fact]
    public void D2_D3_D5_D6_every_mutant_of_the_driver_is_caught()
    {
        Dictionary<string, string> equivalent = VectorFile.Read("equivalent-mutants.txt")
            .ToDictionary(line => line[0], line => line[1]);
        var unused = new HashSet<string>(equivalent.Keys);
        var counts = new SortedDictionary<string, int>(StringComparer.Ordinal);
        var missed = new List<string>();
        foreach (int cachingMode in new[] { 0, 1 })
        {
            foreach (Family family in s_families)
            {
                string where = Text($"CM={cachingMode} {family.Name}");
                ScenarioSetup setup = ScenarioTests.Setup(family.Coherent, family.Order, cachingMode)
                    with { Features = family.Features };
                ulong queue = 0;
                ScenarioReport clean = Run(setup, null, model => queue = model.Registers.Read64(0x90) & ~0xFFFUL);
                Assert.Empty(clean.Failures);
                foreach (Mutant mutant in family.Make(new Recording(clean.Actions, queue)))
                {
                    (string kind, string name, string? excuse, Mutation mutation) = mutant;
                    ScenarioReport report = Run(setup, mutation, _ => { });
                    string caught = report.Failures.Count > 0 ? CaughtBy(report)
                        : report.Applied ? "nothing" : "not reached";
                    if (caught is "nothing" or "not reached")
                    {
                        if (excuse is null || !equivalent.ContainsKey(excuse))
                        {
                            missed.Add(Text($"{where}: {name} [{caught}] {excuse}"));
                        }
                        else
                        {
                            unused.Remove(excuse);
                            caught = Text($"equivalent: {excuse}");
                        }
                    }

                    string line = Text($"{where} | {kind} | {caught}");
                    counts[line] = counts.GetValueOrDefault(line) + 1;
                    string first = report.Failures.Count > 0 ? report.Failures[0] : string.Empty;
                    output.WriteLine(Text($"{where} | {kind} | {name} | {caught} | {first}"));
                }
            }
        }

        string[] summary = [.. counts.Select(c => Text($"{c.Key} | {c.Value}"))];
        output.WriteLine(string.Join('\n', summary));
        Assert.True(missed.Count == 0, Text($"{missed.Count} mutants were not caught:\n{string.Join('\n', missed)}"));
        Assert.Empty(unused);
        Assert.Equal(VectorFile.Read("mutants.txt").Select(line => string.Join(" | ", line)), summary);
    }

    private static readonly Family[] s_families =
    [
        new("coherent, stores and descriptors", true, StoreOrder.Immediate, r => r.Stores().Concat(r.Descriptors())),
        new("coherent, drains of page requests", true, StoreOrder.Immediate, r => r.Drains(),
            DeviceFeatures.Ats | DeviceFeatures.Pri),
        new("coherent, barriers", true, StoreOrder.Weak, r => r.Barriers()),
        new("not coherent, flushes", false, StoreOrder.Weak, r => r.Flushes()),
        new("not coherent, barriers", false, StoreOrder.Weak, r => r.Barriers()),
    ];

    private static ScenarioReport Run(ScenarioSetup setup, Mutation? mutation, Action<IIommuModel> look)
    {
        var watch = new ScenarioWatch(setup);
        return ModelScenario.Run(
            setup with
            {
                Driver = watch,
                Model = watch,
                Check = model =>
                {
                    look(model);
                    return watch.Check(model);
                },
            },
            mutation);
    }

    private static string CaughtBy(ScenarioReport report)
    {
        string failure = report.Failures[0];
        int violation = failure.IndexOf("violation ", StringComparison.Ordinal);
        return violation >= 0 ? failure[violation..failure.IndexOf(':', violation)]
            : failure.Contains("walker read", StringComparison.Ordinal) ? "stray read"
            : failure.Contains("must reach", StringComparison.Ordinal)
                ? failure.Contains("faults", StringComparison.Ordinal) ? "access faults" : "stale or wrong translation"
            : failure.Contains("walker sees", StringComparison.Ordinal) ? "not visible after the call"
            : failure.Contains("ill-formed", StringComparison.Ordinal) ? "ill-formed entry visible"
            : failure.Contains("quiet", StringComparison.Ordinal) ? "quiet entry left"
            : failure.Contains("cached is", StringComparison.Ordinal) ? "cached differs from stored"
            : failure.Contains("of the dying", StringComparison.Ordinal) ? "exit is not quiet"
            : failure.Contains("ETIMEDOUT", StringComparison.Ordinal) ? "driver times out"
            : failure.Contains("EIO", StringComparison.Ordinal) ? "queue error"
            : "the core";
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private sealed record Family(
        string Name, bool Coherent, StoreOrder Order, Func<Recording, IEnumerable<Mutant>> Make,
        DeviceFeatures Features = DeviceFeatures.Ats);

    /// <param name="Kind">What is done.</param>
    /// <param name="Name">To which action.</param>
    /// <param name="Excuse">The line of equivalent-mutants.txt that applies if nothing notices; null for none.</param>
    /// <param name="Mutation">The mutation.</param>
    private sealed record Mutant(string Kind, string Name, string? Excuse, Mutation Mutation);

    /// <summary>What the clean driver did, and the mutants that follow from it.</summary>
    private sealed class Recording(IReadOnlyList<DriverAction> actions, ulong queue)
    {
        private readonly DriverAction[] _stores = [.. actions.Where(a => a.Kind == MemoryEventKind.Store)];
        private readonly int[] _barriersBefore =
        [
            .. actions.Select((a, i) => (a, i)).Where(p => p.a.Kind == MemoryEventKind.Store)
                .Select(p => actions.Take(p.i).Count(b => b.Kind == MemoryEventKind.Barrier)),
        ];

        public IEnumerable<Mutant> Flushes() => actions
            .Where(a => a.Kind == MemoryEventKind.Flush)
            .Select(a => new Mutant(
                "drop flush",
                Text($"drop flush {a.Number} of {a.Value} bytes{In(a.Address)}"),
                null,
                new Mutation.DropFlush(a.Number)));

        public IEnumerable<Mutant> Barriers()
        {
            for (int i = 0; i < actions.Count; i++)
            {
                if (actions[i].Kind != MemoryEventKind.Barrier)
                {
                    continue;
                }

                yield return new Mutant("drop barrier", Text($"drop barrier {actions[i].Number}"), null,
                    new Mutation.DropBarrier(actions[i].Number));

                // The two stores that a barrier keeps apart: parts of one entry, or an entry and the link to its table.
                DriverAction[] before = [.. actions.Take(i).Where(a => a.Kind == MemoryEventKind.Store).TakeLast(1)];
                DriverAction[] after = [.. actions.Skip(i).Where(a => a.Kind == MemoryEventKind.Store).Take(1)];
                if (before.Length == 0 || after.Length == 0 || IsUnchanged(before[0]) || IsQueue(before[0].Address))
                {
                    continue;
                }

                ulong page = before[0].Address & ~0xFFFUL;
                bool entry = (after[0].Address & ~63UL) == (before[0].Address & ~63UL);
                bool link = (after[0].Value & ~0xFFFUL) == page;
                if (entry || link)
                {
                    yield return new Mutant("swap stores", Text(
                        $"swap stores {before[0].Number}{In(before[0].Address)} and {after[0].Number}"),
                        link ? "link" : null, new Mutation.SwapStores(before[0].Number));
                }
            }
        }

        public IEnumerable<Mutant> Stores()
        {
            foreach (DriverAction store in _stores)
            {
                // A store of what is there already changes nothing: there is no such mutant.
                if (!IsUnchanged(store))
                {
                    int word = (int)(store.Address & 31) / 8;
                    string? excuse = IsQueue(store.Address) ? Excuse(store.Number - word)
                        : store.Value == 0 && (store.Address & 63) is 8 or 16 ? "erase" : null;
                    yield return new Mutant("drop store", Text(
                        $"drop store {store.Number} of 0x{store.Value:x}{In(store.Address)}"), excuse,
                        new Mutation.DropStore(store.Number));
                }
            }
        }

        public IEnumerable<Mutant> Descriptors() => Of(_ => true);

        // The submissions whose closing wait has PD.
        public IEnumerable<Mutant> Drains() =>
            Of(store => (Submission(store.Number)[^1].Value & 0x8F) == 0x85);

        private IEnumerable<Mutant> Of(Func<DriverAction, bool> choose)
        {
            foreach (DriverAction store in _stores.Where(
                s => IsQueue(s.Address) && (s.Address & 31) == 0 && choose(s)))
            {
                int at = store.Number;
                ulong low = store.Value;
                ulong high = _stores[at + 1].Value;
                foreach ((string what, ulong newLow, ulong newHigh) in Wrong(low, high))
                {
                    yield return new Mutant(what, Text($"{what}: {at} 0x{low:x} 0x{high:x}"), Excuse(at),
                        new Mutation.ReplaceStores(
                            what, new Dictionary<int, ulong> { [at] = newLow, [at + 1] = newHigh }));
                }
            }
        }

        private static IEnumerable<(string, ulong, ulong)> Wrong(ulong low, ulong high)
        {
            const ulong Nothing = 5; // a wait that neither tells nor fences
            ulong type = low & 0xF;
            ulong granularity = (low >> 4) & 3;
            string name = Name(type);
            yield return ($"drop {name}", Nothing, 0);
            if (type == 5 && (low & 0x80) != 0)
            {
                yield return ("wait without drain", low & ~0x80UL, high);
            }

            if (type == 5 && (low & 0x40) != 0)
            {
                yield return ("wait without fence", low & ~0x40UL, high);
            }

            if ((type == 2 && granularity != 1) || type == 6 || (type == 7 && granularity != 3))
            {
                yield return ($"{name}, wrong DID", low ^ (3UL << 16), high);
            }

            // With GI the PASID is not looked at.
            bool everyPasid = type == 8 && (high & 1) != 0;
            if (everyPasid)
            {
                yield return ($"{name}, one PASID only", low, high & ~1UL);
            }
            else if (type is 6 or 8 || (type == 7 && granularity == 1))
            {
                yield return ($"{name}, wrong PASID", low ^ (1UL << 42), high);
            }

            if (type == 3 || (type == 1 && granularity == 3))
            {
                yield return ($"{name}, wrong SID", low ^ (1UL << 40), high);
            }
            else if (type == 8)
            {
                yield return ($"{name}, wrong SID", low ^ (1UL << 24), high);
            }

            (ulong narrower, ulong address) = (type, granularity) switch
            {
                (1, 1) => (low | 0x30, high),
                (2, 1) => ((low & ~0x30UL) | 0x20, high),
                (2, 2) => (low | 0x30, 0UL),
                (6, 2) => (low | 0x30, 0UL),
                (7, 3) => (low & ~0x30UL, high),
                (7, 0) => (low | 0x10, high),
                _ => (0UL, 0UL),
            };
            if (narrower != 0)
            {
                yield return ($"{name}, narrower granularity", narrower, address);
            }

            if (type == 6 && granularity == 3)
            {
                yield return ($"{name}, wrong address", low, high ^ (1UL << 46));
                if ((high & 0x3F) != 0)
                {
                    yield return ($"{name}, half the range", low, high - 1);
                }
            }

            bool all = type is 3 or 8 && high >> 12 == 0x7_FFFF_FFFF_FFFF;
            if (type is 3 or 8)
            {
                ulong size = type == 3 ? 1UL : 1UL << 11;
                yield return all || (high & size) != 0
                    ? ($"{name}, one page only", low,
                        all ? (everyPasid ? 1UL : 0) : high & (high + 0x1000) & ~0xFFFUL)
                    : ($"{name}, wrong address", low, high ^ (1UL << 46));
            }
        }

        private static string Name(ulong type) => type switch
        {
            1 => "context-cache",
            2 => "IOTLB",
            3 => "device-TLB",
            5 => "wait",
            6 => "PASID-IOTLB",
            7 => "PASID-cache",
            8 => "PASID-device-TLB",
            _ => Text($"type {type}"),
        };

        // What may excuse a mutant of the descriptor whose first store has this number.
        private string? Excuse(int first)
        {
            List<DriverAction> submission = Submission(first);
            ulong type = _stores[first].Value & 0xF;
            bool fence = type == 5 && (_stores[first].Value & 0x40) != 0;
            if (submission.Any(s => (s.Value & 0xF) == 1))
            {
                return type is 2 or 7 || fence ? "empty-table" : null;
            }

            // The submission before it, with nothing but the queue written in between.
            int start = submission[0].Number;
            if ((type != 6 && !fence) || start == 0 || !IsQueue(_stores[start - 1].Address))
            {
                return null;
            }

            HashSet<(ulong, ulong)> before =
                [.. Submission(start - 4).Select(s => (s.Value, _stores[s.Number + 1].Value))];
            return submission.Where(s => (s.Value & 0xF) == 6)
                .All(s => before.Contains((s.Value, _stores[s.Number + 1].Value)))
                ? "other-link"
                : null;
        }

        // The first stores of the descriptors that are submitted together: up to the barrier.
        private List<DriverAction> Submission(int number)
        {
            int barriers = BarriersBefore(number);
            return
            [
                .. _stores.Where(s =>
                    IsQueue(s.Address) && (s.Address & 31) == 0 && BarriersBefore(s.Number) == barriers),
            ];
        }

        private int BarriersBefore(int store) => _barriersBefore[store];

        private bool IsUnchanged(DriverAction store) => store.Value == _stores.Take(store.Number)
            .LastOrDefault(s => s.Address == store.Address).Value;

        private bool IsQueue(ulong address) => address >= queue && address < queue + QueueBytes;

        private string In(ulong address) => IsQueue(address) ? " in the queue" : Text($" at 0x{address:x}");
    }
}
