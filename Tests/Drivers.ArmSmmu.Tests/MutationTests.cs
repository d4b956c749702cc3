using System.Globalization;
using PasidFramework.Drivers.ArmSmmu.Hardware;
using PasidFramework.Drivers.ArmSmmu.Model;
using PasidFramework.Drivers.ArmSmmu.PageTables;
using PasidFramework.Drivers.ArmSmmu.Readers;
using PasidFramework.Drivers.ArmSmmu.Tests.Support;
using PasidFramework.Hardware;
using PasidFramework.ModelHarness;
using PasidFramework.Models;
using PasidFramework.Tables;

namespace PasidFramework.Drivers.ArmSmmu.Tests;

/// <summary>
/// The driver on the model: as it is nothing is wrong, and with any one store, flush, barrier or command missing or wrong
/// something is. What caught what is in <c>Vectors/mutants.txt</c>, what cannot matter in
/// <c>Vectors/equivalent-mutants.txt</c>.
/// </summary>
public sealed class MutationTests(ITestOutputHelper output)
{
    private const ulong PrefetchConfiguration = 0x01;

    private static readonly Dictionary<string, (bool Coherent, StoreOrder Order, bool TwoLevel)> s_machines = new()
    {
        ["coherent two-level"] = (true, StoreOrder.Immediate, true),
        ["coherent linear"] = (true, StoreOrder.Immediate, false),
        ["weak two-level"] = (true, StoreOrder.Weak, true),
        ["weak linear"] = (true, StoreOrder.Weak, false),
        ["flushed two-level"] = (false, StoreOrder.Immediate, true),
        ["flushed linear"] = (false, StoreOrder.Immediate, false),
        ["flushed weak two-level"] = (false, StoreOrder.Weak, true),
        ["flushed weak linear"] = (false, StoreOrder.Weak, false),
    };

    public static TheoryData<string> Machines => [.. s_machines.Keys];

    [Theory]
    [MemberData(nameof(Machines))]
    public void D1_D2_D3_D5_D6_D12_D13_the_driver_as_it_is_does_nothing_that_the_model_catches(string machine)
    {
        ScenarioReport report = ModelScenario.Run(Setup(machine, new Judge(machine, [])));
        Assert.Empty(report.Failures);
        Assert.True(report.Probes > 1000);
    }

    [Theory]
    [MemberData(nameof(Machines))]
    public void Every_mutant_is_caught(string machine)
    {
        var listings = new List<string>();
        var first = new Judge(machine, listings);
        ScenarioReport clean = ModelScenario.Run(Setup(machine, first));
        Assert.Empty(clean.Failures);
        (ulong Start, ulong End) queue = first.Queue;

        Mutant[] mutants = [.. Mutants(machine, clean.Actions, queue)];
        var caught = new string[mutants.Length];
        Parallel.For(0, mutants.Length, new ParallelOptions { MaxDegreeOfParallelism = 2 }, i =>
        {
            ScenarioReport report = ModelScenario.Run(Setup(machine, new Judge(machine, listings)), mutants[i].Mutation);
            caught[i] = !report.Applied ? "never applied" : report.Failures.Count == 0 ? "SURVIVED" : Classify(report.Failures[0]);
            mutants[i].Message = report.Failures.Count == 0 ? string.Empty : report.Failures[0];
        });

        var lines = new List<string>();
        foreach (IGrouping<(string, string), int> group in Enumerable.Range(0, mutants.Length)
            .GroupBy(i => (mutants[i].Kind, mutants[i].Equivalent is { } reason && caught[i] == "SURVIVED" ? $"equivalent: {reason}" : caught[i]))
            .OrderBy(g => g.Key, Comparer<(string, string)>.Create((a, b) => string.CompareOrdinal($"{a}", $"{b}"))))
        {
            lines.Add(string.Create(CultureInfo.InvariantCulture, $"{machine} | {group.Key.Item1} | {group.Count()} | {group.Key.Item2}"));
        }

        string[] reasons = [.. DataFile.Lines("equivalent-mutants.txt").Select(l => l.Split('|')[0].Trim())];
        Assert.All(mutants, m => Assert.True(m.Equivalent is null || reasons.Contains(m.Equivalent)));
        foreach (string line in lines)
        {
            output.WriteLine(line);
        }

        for (int i = 0; i < mutants.Length; i++)
        {
            output.WriteLine($"  {mutants[i].Kind}: {mutants[i].What}: {caught[i]}: {mutants[i].Message}");
        }

        Assert.DoesNotContain(Enumerable.Range(0, mutants.Length), i => caught[i] == "never applied"
            || (caught[i] == "SURVIVED" && mutants[i].Equivalent is null));
        Assert.Equal(
            DataFile.Lines("mutants.txt").Where(l => l.StartsWith(machine + " |", StringComparison.Ordinal)), lines);
    }

    private static ScenarioSetup Setup(string machine, Judge judge)
    {
        (bool coherent, StoreOrder order, bool twoLevel) = s_machines[machine];
        return new ScenarioSetup
        {
            Driver = new SmmuDriver(),
            Model = new SmmuModelFactory(),
            PageTables = new LpaePageTableFormat(),
            Hardware = new HardwareSetup
            {
                Coherent = coherent,
                PasidBits = twoLevel ? 20 : 10,
                Options = new Dictionary<string, string> { ["sid-bits"] = twoLevel ? "16" : "8" },
            },
            Order = order,
            Check = judge.Look,
            Requesters = RequestersOf(machine),
        };
    }

    private static RequesterId[] RequestersOf(string machine) => s_machines[machine].TwoLevel
        ? [new RequesterId(0x0118), new RequesterId(0x0120), new RequesterId(0x0290)]
        : [new RequesterId(0x18), new RequesterId(0x20), new RequesterId(0x90)];

    private static IEnumerable<Mutant> Mutants(
        string machine, IReadOnlyList<DriverAction> actions, (ulong Start, ulong End) queue)
    {
        (bool coherent, StoreOrder order, _) = s_machines[machine];
        bool isWeak = order == StoreOrder.Weak;
        var memory = new Dictionary<ulong, ulong>();
        DriverAction? last = null;
        bool ordered = false;
        bool wasSame = false;
        int shutdown = ShutdownOf(actions, queue);
        for (int i = 0; i < actions.Count; i++)
        {
            DriverAction action = actions[i];
            bool isQueue = action.Address >= queue.Start && action.Address < queue.End;
            string what = string.Create(CultureInfo.InvariantCulture, $"{action.Kind} {action.Number} 0x{action.Address:x} 0x{action.Value:x}{(isQueue ? " queue" : string.Empty)}");
            switch (action.Kind)
            {
                case MemoryEventKind.Flush when !coherent:
                    yield return new Mutant(
                        isQueue ? "drop flush of commands" : "drop flush",
                        what,
                        new Mutation.DropFlush(action.Number),
                        i >= shutdown ? "shutdown" : null);
                    break;
                case MemoryEventKind.Barrier:
                    ordered = true;
                    if (isWeak)
                    {
                        yield return new Mutant(
                            "drop barrier", what, new Mutation.DropBarrier(action.Number), i >= shutdown ? "shutdown" : null);
                    }

                    break;
                case MemoryEventKind.Store:
                    bool isSame = memory.GetValueOrDefault(action.Address) == action.Value;
                    string? equivalent = isSame ? "same-value"
                        : i >= shutdown ? "shutdown"
                        : isQueue && (action.Address & 15) == 8 && IsTwin(actions, i) ? "twin"
                        : isQueue && (action.Address & 15) == 8 && action.Value == 1 && memory.GetValueOrDefault(action.Address) == 0
                            ? "path-too" : null;
                    yield return new Mutant(
                        isQueue ? "drop store of a command" : "drop store", what, new Mutation.DropStore(action.Number), equivalent);
                    if (ordered && last is { } before)
                    {
                        yield return new Mutant(
                            "swap stores across a barrier",
                            what,
                            new Mutation.SwapStores(before.Number),
                            wasSame ? "same-value" : null);
                    }

                    memory[action.Address] = action.Value;
                    last = action;
                    wasSame = isSame;
                    ordered = false;
                    if (!isWeak && coherent && isQueue && (action.Address & 15) == 8)
                    {
                        string? reason = i >= shutdown ? "shutdown"
                            : IsTwin(actions, i) ? "twin"
                            : SyncReason(actions, i, queue);
                        foreach (Mutant command in Commands(actions, i, action.Value))
                        {
                            yield return command with { Equivalent = reason };
                        }
                    }

                    break;
            }
        }
    }

    // The last two devices are removed when the core goes: after that the unit is switched off.
    private static int ShutdownOf(IReadOnlyList<DriverAction> actions, (ulong Start, ulong End) queue)
    {
        int[] removals = [.. Enumerable.Range(0, actions.Count).Where(i => IsCommand(actions[i], queue, 0x03))];
        int at = removals[^2];
        while (actions[at].Kind != MemoryEventKind.Store || (actions[at].Address >= queue.Start && actions[at].Address < queue.End))
        {
            at--;
        }

        return at;
    }

    private static bool IsCommand(DriverAction action, (ulong Start, ulong End) queue, ulong opcode) =>
        action.Kind == MemoryEventKind.Store
        && action.Address >= queue.Start
        && action.Address < queue.End
        && (action.Address & 15) == 0
        && (action.Value & 0xFF) == opcode;

    // The same invalidation of translations is sent once more: the process is in two domains.
    private static bool IsTwin(IReadOnlyList<DriverAction> actions, int high)
    {
        ulong low = actions[high - 1].Value;
        return (low & 0xFF) is 0x11 or 0x12 && Enumerable.Range(1, actions.Count - 1).Any(i =>
            i != high
            && actions[i].Kind == MemoryEventKind.Store
            && actions[i - 1].Kind == MemoryEventKind.Store
            && actions[i].Value == actions[high].Value
            && actions[i - 1].Value == low);
    }

    // Why a SYNC may be missed less than others: what stands before and after it.
    private static string? SyncReason(IReadOnlyList<DriverAction> actions, int high, (ulong Start, ulong End) queue)
    {
        if ((actions[high - 1].Value & 0xFF) != 0x46)
        {
            return null;
        }

        bool IsLow(int i) => actions[i].Kind == MemoryEventKind.Store
            && actions[i].Address >= queue.Start && actions[i].Address < queue.End && (actions[i].Address & 15) == 0;
        int before = Enumerable.Range(0, high - 1).Last(IsLow);
        int after = Enumerable.Range(high + 1, actions.Count - high - 1).FirstOrDefault(IsLow, -1);
        ulong first = actions[before].Value & 0xFF;
        ulong second = after < 0 ? 0 : actions[after].Value & 0xFF;
        return (first, second) switch
        {
            (0x11 or 0x12, 0x40) => "gone",
            (0x40 or 0x05, 0x11 or 0x12) when IsTwin(actions, after + 1) => "twin",
            _ => null,
        };
    }

    // The two stores of a command: low word, high word.
    private static IEnumerable<Mutant> Commands(IReadOnlyList<DriverAction> actions, int index, ulong high)
    {
        DriverAction first = actions[index - 1];
        ulong low = first.Value;
        int numberLow = first.Number;
        int numberHigh = actions[index].Number;
        string name = $"{DecodedCommand.From(low, high)} #{numberLow}";

        Mutant Replace(string kind, ulong newLow, ulong newHigh) => new(
            kind,
            name,
            new Mutation.ReplaceStores(
                $"{kind}: {name}", new Dictionary<int, ulong> { [numberLow] = newLow, [numberHigh] = newHigh }));

        int opcode = (int)(low & 0xFF);
        yield return Replace(
            $"drop {name.Split(' ')[0]}", PrefetchConfiguration, 0);
        bool hasSid = opcode is 0x03 or 0x05 or 0x06 or 0x40;
        if (hasSid)
        {
            // Without Leaf the first-level descriptor counts, which neighbours share.
            int bit = opcode == 0x03 && (high & 1) == 0 ? 40 : 32;
            yield return Replace("wrong SID", low ^ (1UL << bit), high);
        }

        if (opcode is 0x05 || (opcode == 0x40 && (low & (1UL << 9)) == 0))
        {
            int bit = opcode == 0x05 && (high & 1) == 0 ? 22 : 12;
            yield return Replace("wrong SSID", low ^ (1UL << bit), high);
        }

        if (opcode is 0x11 or 0x12)
        {
            yield return Replace("wrong ASID", low ^ (1UL << 48), high);
            yield return Replace("wrong VMID", low ^ (1UL << 32), high);
        }

        if (opcode is 0x03 or 0x05 && (high & 1) == 0)
        {
            yield return Replace("Leaf instead of path", low, high | 1);
        }

        if (opcode == 0x12)
        {
            yield return Replace("wrong address", low, high ^ 0x10_0000);
            if ((high >> 10 & 3) != 0)
            {
                yield return (low >> 12 & 31) > 0
                    ? Replace("smaller range", low - (1UL << 12), high)
                    : Replace("smaller range", low - (1UL << 20), high);
            }
        }

        if (opcode == 0x40)
        {
            ulong size = high & 0x3F;
            if (size > 0)
            {
                yield return Replace("smaller Size", low, size == 52 ? high - 52 : high - 1);
            }

            if (size < 52)
            {
                yield return Replace("wrong address", low, high ^ (0x1000UL << (int)size));
            }
        }

        if (opcode == 0x04 && (high & 31) == 31)
        {
            yield return Replace("smaller Range", low, 0);
        }
    }

    private static string Classify(string failure)
    {
        int at = failure.IndexOf("complaint ", StringComparison.Ordinal);
        if (at >= 0)
        {
            return failure[(at + 10)..].Split(':')[0];
        }

        return failure switch
        {
            _ when failure.Contains("must reach", StringComparison.Ordinal) => "probe",
            _ when failure.Contains("of the dying", StringComparison.Ordinal) => "probe",
            _ when failure.Contains("queue stopped", StringComparison.Ordinal) => "command error",
            _ when failure.Contains("is cached as", StringComparison.Ordinal) => "stale cache",
            _ when failure.Contains("tables differ", StringComparison.Ordinal) => "tables",
            _ when failure.Contains("half written", StringComparison.Ordinal) => "half written",
            _ when failure.Contains("the walker read", StringComparison.Ordinal) => "stray read",
            _ when failure.Contains("page memory are left", StringComparison.Ordinal) => "leak",
            _ when failure.Contains("Exception", StringComparison.Ordinal) => "exception",
            _ => "error of the driver",
        };
    }

    /// <summary>What is looked at after every step of the scenario, and at the tables between any two stores.</summary>
    private sealed class Judge(string machine, List<string> listings)
    {
        private const uint FirstPasid = 62;
        private const uint LastPasid = 65;

        private readonly bool _isClean = listings.Count == 0;
        private IIommuModel? _model;
        private int _step;
        private string? _halfWritten;

        public (ulong Start, ulong End) Queue { get; private set; }

        public string? Look(IIommuModel model)
        {
            if (_model is null)
            {
                _model = model;
                ulong value = model.Registers.Read64(0x90);
                ulong start = value & 0x000F_FFFF_FFFF_FFE0;
                Queue = (start, start + (16UL << (int)(value & 31)));
                model.ModelMemory.Changed += OnChange;
            }

            if ((model.Registers.Read32(0x60) | model.Registers.Read32(0x64)) != 0)
            {
                return "the command queue stopped";
            }

            if (_halfWritten is not null)
            {
                return _halfWritten;
            }

            string? stale = ((SmmuModel)model).FindStale();
            if (stale is not null)
            {
                return stale;
            }

            string listing = string.Join('\n', Valid(model).Select(
                i => $"{i.Structure} {i.Requester} {i.Pasid} {string.Join(' ', i.Words)}"));
            int step = _step++;
            if (_isClean)
            {
                listings.Add(listing);
            }
            else if (step < listings.Count && listings[step] != listing)
            {
                return "the tables differ from those of the driver as it is";
            }

            // Pages that the scenario changes but does not ask for before.
            foreach (RequesterId requester in RequestersOf(machine))
            {
                for (uint pasid = FirstPasid; pasid <= LastPasid; pasid++)
                {
                    for (ulong address = 0x11000; address < 0x18000; address += 0x1000)
                    {
                        _ = model.Translate(new DmaAccess(requester, new Pasid(pasid), address, IsWrite: false));
                    }
                }
            }

            return null;
        }

        private static IEnumerable<TableItem> Valid(IIommuModel model) => new SmmuTableReader().Open(
            model.ModelMemory.Device,
            new Dictionary<string, ulong>
            {
                ["STRTAB_BASE"] = model.Registers.Read64(0x80),
                ["STRTAB_BASE_CFG"] = model.Registers.Read32(0x88),
            }).Value!.Items().Where(i => i.Text != "invalid" && (model.Registers.Read32(0x20) & 1) != 0);

        // A walker without caches, at this moment, with every set of stores that may be visible to it.
        private void OnChange(MemoryEvent change)
        {
            if (change.Kind is MemoryEventKind.Allocate or MemoryEventKind.Free
                || (change.Address >= Queue.Start && change.Address < Queue.End)
                || (_model!.Registers.Read32(0x20) & 1) == 0)
            {
                return;
            }

            // Every device may ask for every number at any moment, and what it is told is cached.
            foreach (RequesterId requester in RequestersOf(machine))
            {
                for (uint pasid = FirstPasid; pasid <= LastPasid; pasid++)
                {
                    _ = _model.Translate(new DmaAccess(requester, new Pasid(pasid), 0x10000, IsWrite: false));
                }
            }

            if (change.Kind != MemoryEventKind.Store)
            {
                return;
            }

            _model.ModelMemory.ForEachVisible(() =>
            {
                foreach (RequesterId requester in RequestersOf(machine))
                {
                    for (uint pasid = FirstPasid; pasid <= LastPasid; pasid++)
                    {
                        LookAt(new DmaAccess(requester, new Pasid(pasid), 0x10000, IsWrite: false));
                    }
                }
            });
        }

        private void LookAt(in DmaAccess access)
        {
            var steps = new List<TableStep>();
            var walker = new SmmuWalker(_model!.ModelMemory.Device, new SmmuHardwareOptions { StallModel = 1 }) { Steps = steps };
            _ = walker.Follow(access, StreamRoot.Of(
                _model.Registers.Read64(0x80), _model.Registers.Read32(0x88), recordsUnknown: true));
            foreach (TableStep step in steps)
            {
                // A valid descriptor without memory attributes is not whole; one with bits of a fresh page neither.
                bool isCd = step.Structure == "arm-smmuv3/cd";
                bool isValid = step.Words.Count > 0 && (step.Words[0] >> (isCd ? 31 : 0) & 1) != 0;
                if (isValid && ((isCd && step.Words[3] == 0)
                    || (step.Structure == "arm-smmuv3/ste" && step.Words[1] == 0) || step.Words.Contains(ModelMemory.Poison)))
                {
                    _halfWritten ??= $"{step.Structure} at 0x{step.Address:x} can be seen half written";
                }
            }
        }
    }

    private sealed record Mutant(string Kind, string What, Mutation Mutation, string? Equivalent = null)
    {
        public string Message { get; set; } = string.Empty;
    }
}
