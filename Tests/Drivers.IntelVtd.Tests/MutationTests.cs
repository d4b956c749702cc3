// SPDX-License-Identifier: Apache-2.0
using PasidFramework.TestKit.Mutations;

namespace PasidFramework.Drivers.IntelVtd.Tests;

/// <summary>
/// Breaks the driver in every way that the recorded run of the scenario offers, one at a time: the model, the probes or
/// the driver itself must notice.
/// </summary>
public sealed class MutationTests(ITestOutputHelper output)
{
    private const int QueueBytes = 8192;

    private static readonly Family[] s_families =
    [
        new("coherent, stores and descriptors", true, StoreOrder.Immediate, r => r.DroppedStores()
            .Concat(r.Descriptors())),
        new("coherent, drains of page requests", true, StoreOrder.Immediate, r => r.Drains(),
            DeviceFeatures.Ats | DeviceFeatures.Pri),
        new("coherent, barriers", true, StoreOrder.Weak, r => r.Barriers()),
        new("not coherent, flushes", false, StoreOrder.Weak, r => r.Flushes()),
        new("not coherent, barriers", false, StoreOrder.Weak, r => r.Barriers()),
    ];

    public static TheoryData<int, string> Worlds => new MatrixTheoryData<int, string>(
        [0, 1], s_families.Select(f => f.Name));

    [Theory]
    [MemberData(nameof(Worlds))]
    public void D2_D3_D5_D6_every_mutant_of_the_driver_is_caught(int cachingMode, string name)
    {
        Family family = s_families.Single(f => f.Name == name);
        ScenarioSetup setup = ScenarioTests.Setup(family.Coherent, family.Order, cachingMode)
            with { Features = family.Features };
        ulong queue = 0;
        ScenarioReport clean = Run(setup, null, model => queue = model.Registers.Read64(0x90) & ~0xFFFUL);
        Assert.Empty(clean.Failures);
        var recording = new VtdRecording(clean.Actions, mutation => Run(setup, mutation, _ => { }), queue);

        MutationReport report = s_runner.Run($"CM={cachingMode} {name}", family.Make(recording));

        output.WriteLine(string.Join('\n', [.. report.Log, .. report.Lines]));
        Assert.True(report.Problems.Count == 0, string.Join('\n', report.Problems));
    }

    private static readonly MutationRunner s_runner = new(
        [
            ("walker read", "stray read"),
            ("faults*must reach", "access faults"),
            ("must reach", "stale or wrong translation"),
            ("walker sees", "not visible after the call"),
            ("ill-formed", "ill-formed entry visible"),
            ("quiet", "quiet entry left"),
            ("cached is", "cached differs from stored"),
            ("of the dying", "exit is not quiet"),
            ("ETIMEDOUT", "driver times out"),
            ("EIO", "queue error"),
        ],
        otherwise: "the core");

    private static ScenarioReport Run(ScenarioSetup setup, Mutation? mutation, Action<IIommuModel> probe)
    {
        var watch = new ScenarioWatch(setup);
        return ModelScenario.Run(
            setup with
            {
                Driver = watch,
                Model = watch,
                Check = model =>
                {
                    probe(model);
                    return watch.Check(model);
                },
            },
            mutation);
    }

    private sealed record Family(
        string Name, bool Coherent, StoreOrder Order, Func<VtdRecording, IEnumerable<Mutant>> Make,
        DeviceFeatures Features = DeviceFeatures.Ats);

    /// <summary>What the clean driver did, and the mutants that follow from it.</summary>
    private sealed class VtdRecording(
        IReadOnlyList<DriverAction> actions, Func<Mutation, ScenarioReport> run, ulong queue)
        : Recording(actions, run)
    {
        private readonly int[] _barriersBefore =
        [
            .. actions.Select((a, i) => (a, i)).Where(p => p.a.Kind == MemoryEventKind.Store)
                .Select(p => actions.Take(p.i).Count(b => b.Kind == MemoryEventKind.Barrier)),
        ];

        public IEnumerable<Mutant> Flushes() => Actions
            .Where(a => a.Kind == MemoryEventKind.Flush)
            .Select(a => Make(
                "drop flush", $"{a.Number} of {a.Value} bytes{In(a.Address)}", null, new Mutation.DropFlush(a.Number)));

        public IEnumerable<Mutant> Barriers()
        {
            for (int i = 0; i < Actions.Count; i++)
            {
                if (Actions[i].Kind != MemoryEventKind.Barrier)
                {
                    continue;
                }

                yield return Make(
                    "drop barrier", $"{Actions[i].Number}", null, new Mutation.DropBarrier(Actions[i].Number));

                // The two stores that a barrier keeps apart: parts of one entry, or an entry and the link to its table.
                DriverAction[] before = [.. Actions.Take(i).Where(a => a.Kind == MemoryEventKind.Store).TakeLast(1)];
                DriverAction[] after = [.. Actions.Skip(i).Where(a => a.Kind == MemoryEventKind.Store).Take(1)];
                if (before.Length == 0 || after.Length == 0 || IsUnchanged(before[0].Number)
                    || IsQueue(before[0].Address))
                {
                    continue;
                }

                ulong page = before[0].Address & ~0xFFFUL;
                bool entry = (after[0].Address & ~63UL) == (before[0].Address & ~63UL);
                bool link = (after[0].Value & ~0xFFFUL) == page;
                if (entry || link)
                {
                    yield return Make(
                        "swap stores", $"{before[0].Number}{In(before[0].Address)} and {after[0].Number}",
                        link ? "link" : null, new Mutation.SwapStores(before[0].Number));
                }
            }
        }

        public IEnumerable<Mutant> DroppedStores()
        {
            foreach (DriverAction store in Stores)
            {
                // A store of what is there already changes nothing: there is no such mutant.
                if (!IsUnchanged(store.Number))
                {
                    int word = (int)(store.Address & 31) / 8;
                    string? excuse = IsQueue(store.Address) ? Excuse(store.Number - word)
                        : store.Value == 0 && (store.Address & 63) is 8 or 16 ? "erase" : null;
                    yield return Make(
                        "drop store", $"{store.Number} of 0x{store.Value:x}{In(store.Address)}", excuse,
                        new Mutation.DropStore(store.Number));
                }
            }
        }

        public IEnumerable<Mutant> Descriptors() => Of(_ => true);

        // The submissions whose closing wait has PD.
        public IEnumerable<Mutant> Drains() => Of(store => (Submission(store.Number)[^1].Value & 0x8F) == 0x85);

        private IEnumerable<Mutant> Of(Func<DriverAction, bool> choose)
        {
            foreach (DriverAction store in Stores.Where(s => IsQueue(s.Address) && (s.Address & 31) == 0 && choose(s)))
            {
                int at = store.Number;
                ulong low = store.Value;
                ulong high = Stores[at + 1].Value;
                foreach ((string what, ulong newLow, ulong newHigh) in Wrong(low, high))
                {
                    yield return Make(what, $"{at} 0x{low:x} 0x{high:x}", Excuse(at),
                        new Mutation.ReplaceStores(
                            what, new Dictionary<int, ulong> { [at] = newLow, [at + 1] = newHigh }));
                }
            }
        }

        private static IEnumerable<(string, ulong, ulong)> Wrong(ulong low, ulong high)
        {
            const ulong Nothing = 5; // a wait that neither notifies nor fences
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

            // With GI the PASID is ignored.
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
            ulong type = Stores[first].Value & 0xF;
            bool fence = type == 5 && (Stores[first].Value & 0x40) != 0;
            if (submission.Any(s => (s.Value & 0xF) == 1))
            {
                return type is 2 or 7 || fence ? "empty-table" : null;
            }

            // The submission before it, with nothing but the queue written in between.
            int start = submission[0].Number;
            if ((type != 6 && !fence) || start == 0 || !IsQueue(Stores[start - 1].Address))
            {
                return null;
            }

            HashSet<(ulong, ulong)> before =
                [.. Submission(start - 4).Select(s => (s.Value, Stores[s.Number + 1].Value))];
            return submission.Where(s => (s.Value & 0xF) == 6)
                .All(s => before.Contains((s.Value, Stores[s.Number + 1].Value)))
                ? "other-link"
                : null;
        }

        // The first stores of the descriptors that are submitted together: up to the barrier.
        private List<DriverAction> Submission(int number)
        {
            int barriers = BarriersBefore(number);
            return
            [
                .. Stores.Where(s =>
                    IsQueue(s.Address) && (s.Address & 31) == 0 && BarriersBefore(s.Number) == barriers),
            ];
        }

        private int BarriersBefore(int store) => _barriersBefore[store];
        private bool IsQueue(ulong address) => address >= queue && address < queue + QueueBytes;

        private string In(ulong address) => IsQueue(address) ? " in the queue" : Text($" at 0x{address:x}");
    }
}
