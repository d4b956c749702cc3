// SPDX-License-Identifier: Apache-2.0
using PasidFramework.TestKit.Mutations;

namespace PasidFramework.Drivers.ArmSmmu.Tests;

/// <summary>
/// The driver on the model: as it is nothing is wrong, and with any one store, flush, barrier or command missing or
/// wrong something is. What caught what is in <c>Vectors/mutants.txt</c>, what cannot matter in
/// <c>Vectors/equivalent-mutants.txt</c>.
/// </summary>
/// <remarks>
/// The driver as it is runs on all eight machines. Mutants run where they add something: stores and commands where the
/// walker sees every store at once, on both shapes of table; barriers and swaps where stores are certain only at a
/// barrier; flushes and barriers where they must be flushed, too, on both shapes. A machine that is left out would
/// repeat them: "weak linear" has no barrier that "flushed weak linear" has not, and a flush that is dropped shows
/// nothing on "flushed" that it does not on "flushed weak". A store of what is there already is no mutant when it is
/// dropped or swapped: the memory after it is the same bit for bit.
/// </remarks>
public sealed class MutationTests(ITestOutputHelper output)
{
    private const ulong PrefetchConfiguration = 0x01;

    private static readonly Dictionary<string, Machine> s_machines = new()
    {
        ["coherent two-level"] = new(true, StoreOrder.Immediate, true, Kinds.Stores | Kinds.Swaps | Kinds.Commands),
        ["coherent linear"] = new(true, StoreOrder.Immediate, false, Kinds.Stores | Kinds.Swaps | Kinds.Commands),
        ["weak two-level"] = new(true, StoreOrder.Weak, true, Kinds.Swaps | Kinds.Barriers),
        ["weak linear"] = new(true, StoreOrder.Weak, false, Kinds.None),
        ["flushed two-level"] = new(false, StoreOrder.Immediate, true, Kinds.None),
        ["flushed linear"] = new(false, StoreOrder.Immediate, false, Kinds.None),
        ["flushed weak two-level"] = new(false, StoreOrder.Weak, true, Kinds.Flushes | Kinds.Barriers),
        ["flushed weak linear"] = new(false, StoreOrder.Weak, false, Kinds.Flushes | Kinds.Barriers),
    };

    [Flags]
    private enum Kinds
    {
        None = 0,
        Stores = 1,
        Swaps = 2,
        Commands = 4,
        Barriers = 8,
        Flushes = 16,
    }

    public static TheoryData<string> Machines => [.. s_machines.Keys];

    [Theory]
    [MemberData(nameof(Machines))]
    public void D1_D2_D3_D5_D6_D12_D13_the_driver_as_it_is_does_nothing_that_the_model_catches(string machine)
    {
        ScenarioReport report = ModelScenario.Run(Setup(machine, new Judge(machine, null)));
        Assert.True(report.Failures.Count == 0, string.Join('\n', report.Failures));
        Assert.True(report.Probes > 1000);
    }

    public static TheoryData<string> MutatedMachines =>
        [.. s_machines.Where(m => m.Value.Kinds != Kinds.None).Select(m => m.Key)];

    [Theory]
    [MemberData(nameof(MutatedMachines))]
    public void Every_mutant_is_caught(string machine)
    {
        var clean = new Judge(machine, null);
        ScenarioReport whole = ModelScenario.Run(Setup(machine, clean));
        Assert.Empty(whole.Failures);
        var recording = new SmmuRecording(s_machines[machine], whole.Actions, clean, mutation =>
            ModelScenario.Run(Setup(machine, new Judge(machine, clean)), mutation));

        MutationReport report = s_runner.Run(machine, recording.Mutants());

        output.WriteLine(string.Join('\n', [.. report.Log, .. report.Lines]));
        Assert.True(report.Problems.Count == 0, string.Join('\n', report.Problems));
    }

    private static readonly MutationRunner s_runner = new(
        [
            ("must reach", "probe"),
            ("of the dying", "probe"),
            ("queue stopped", "command error"),
            ("is cached as", "stale cache"),
            ("tables differ", "tables"),
            ("half written", "half written"),
            ("the walker read", "stray read"),
            ("page memory are left", "leak"),
            ("Exception", "exception"),
        ],
        otherwise: "error of the driver");

    private static ScenarioSetup Setup(string machine, Judge judge)
    {
        (bool coherent, StoreOrder order, bool twoLevel, _) = s_machines[machine];
        return new ScenarioSetup
        {
            Driver = new SmmuDriver(),
            Model = judge,
            UnitOptions = new Dictionary<string, string> { ["poll-limit"] = "1000" },
            PageTables = ArmPageTables.Granule4K,
            Hardware = new HardwareSetup
            {
                Coherent = coherent,
                PasidBits = twoLevel ? 20 : 10,
                Options = new Dictionary<string, string> { ["sid-bits"] = twoLevel ? "16" : "8" },
            },
            Order = order,
            Check = judge.Check,
            Requesters = RequestersOf(machine),
        };
    }

    private static RequesterId[] RequestersOf(string machine) => s_machines[machine].IsTwoLevel
        ? [new RequesterId(0x0118), new RequesterId(0x0120), new RequesterId(0x0290)]
        : [new RequesterId(0x18), new RequesterId(0x20), new RequesterId(0x90)];

    private sealed record Machine(bool IsCoherent, StoreOrder Order, bool IsTwoLevel, Kinds Kinds);

    /// <summary>What the driver as it is did, and the mutants that follow from it.</summary>
    private sealed class SmmuRecording : Recording
    {
        private readonly Kinds _kinds;
        private readonly List<Entry> _entries = [];
        private readonly Dictionary<int, int> _entryOfStore = [];

        public SmmuRecording(
            Machine machine, IReadOnlyList<DriverAction> actions, Judge judge, Func<Mutation, ScenarioReport> run)
            : base(actions, run)
        {
            _kinds = machine.Kinds;
            int command = 0;
            var memory = new Dictionary<ulong, ulong>();
            for (int i = 0; i < Stores.Count; i++)
            {
                DriverAction store = Stores[i];
                bool isQueue = judge.IsQueue(store.Address);
                int step = isQueue ? judge.StepsOfCommands[command++] : -1;
                bool isIdle = isQueue && judge.CommandsToEmptyDevices.Contains(command - 1);
                memory[store.Address] = store.Value;
                if (isQueue && (store.Address & 15) == 8)
                {
                    _entryOfStore[store.Number - 1] = _entryOfStore[store.Number] = _entries.Count;
                    uint asid = (uint)(Stores[i - 1].Value >> 48);
                    _entries.Add(new Entry(step, true, store.Number - 1, Stores[i - 1].Value, store.Value, memory.Any(
                        word => !judge.IsQueue(word.Key) && IsWalkedDescriptor(word.Key, word.Value)
                            && word.Value >> 48 == asid), isIdle));
                }
                else if (!isQueue)
                {
                    _entryOfStore[store.Number] = _entries.Count;
                    _entries.Add(new Entry(step, false, store.Number, store.Value, 0, false, false));
                }
            }
        }

        public IEnumerable<Mutant> Mutants()
        {
            DriverAction? last = null;
            DriverAction? lastOfTables = null;
            bool isOrdered = false;
            bool isTableOrdered = false;
            foreach (DriverAction action in Actions)
            {
                string what = Text($"{action.Kind} {action.Number} 0x{action.Address:x} 0x{action.Value:x}");
                switch (action.Kind)
                {
                    case MemoryEventKind.Flush when _kinds.HasFlag(Kinds.Flushes):
                        yield return Make("drop flush", $"{what}", null, new Mutation.DropFlush(action.Number));
                        break;
                    case MemoryEventKind.Barrier:
                        isOrdered = true;
                        isTableOrdered = true;
                        if (_kinds.HasFlag(Kinds.Barriers))
                        {
                            yield return Make("drop barrier", $"{what}", null, new Mutation.DropBarrier(action.Number));
                        }

                        break;
                    case MemoryEventKind.Store:
                        foreach (Mutant mutant in OfStore(action, what))
                        {
                            yield return mutant;
                        }

                        if (isOrdered && last is { } before && !IsUnchanged(before.Number)
                            && _kinds.HasFlag(Kinds.Swaps))
                        {
                            yield return Make(
                                "swap stores across a barrier", $"{what}", null,
                                new Mutation.SwapStores(before.Number));
                        }

                        last = action;
                        isOrdered = false;
                        if (_entries[_entryOfStore[action.Number]].IsCommand)
                        {
                            break;
                        }

                        // The commands between the two are sent before the first of them is stored.
                        if (isTableOrdered && lastOfTables is { } late && !IsUnchanged(late.Number)
                            && _kinds.HasFlag(Kinds.Swaps))
                        {
                            yield return Make(
                                "store to a table too late", $"0x{late.Address:x} 0x{late.Value:x} after {what}", null,
                                new Mutation.DelayStore(late.Number, action.Number));
                        }

                        lastOfTables = action;
                        isTableOrdered = false;
                        break;
                }
            }
        }

        // A valid context descriptor whose page tables are walked: word 0 with V and without EPD0 (5.4). Words 0 of
        // stream table entries and first-level descriptors of context tables are valid by bit 0, which is 0 in T0SZ =
        // 16.
        private static bool IsWalkedDescriptor(ulong address, ulong word) =>
            (address & 63) == 0 && (word & 1) == 0 && (word >> 31 & 1) != 0 && (word >> 14 & 1) == 0;

        private IEnumerable<Mutant> OfStore(DriverAction store, string what)
        {
            int at = _entryOfStore[store.Number];
            Entry entry = _entries[at];
            string? reason = entry.IsCommand ? ReasonOf(at) : null;
            bool isHigh = entry.IsCommand && store.Number != entry.Number;
            if (_kinds.HasFlag(Kinds.Stores) && !IsUnchanged(store.Number))
            {
                bool losesLeaf = isHigh && entry.Opcode is 0x03 or 0x05 && entry.High == 1;
                yield return Make(
                    entry.IsCommand ? "drop store of a command" : "drop store",
                    $"{what}{(entry.IsCommand ? $" of {entry}" : string.Empty)}",
                    losesLeaf ? "path-too" : reason,
                    new Mutation.DropStore(store.Number));
            }

            if (_kinds.HasFlag(Kinds.Commands) && isHigh)
            {
                foreach (Mutant mutant in Commands(entry))
                {
                    yield return mutant with { Excuse = reason };
                }
            }
        }

        // Why a command may be missed less than others.
        private string? ReasonOf(int at)
        {
            Entry entry = _entries[at];
            if (IsRepeated(at))
            {
                return "repeated";
            }

            int first = entry.Opcode == 0x46 ? at - 1 : at;
            int own = first;
            while (own >= 0 && _entries[own].IsToEmptyDevice)
            {
                own--;
            }

            // The command itself, a SYNC that follows a SYNC and nothing but such commands, or that first SYNC.
            bool isBefore = entry.Opcode == 0x46 && at + 1 < _entries.Count && _entries[at + 1].IsToEmptyDevice;
            if (isBefore || (own < first && (first == at || (own >= 0 && _entries[own].Opcode == 0x46))))
            {
                return "holds-nothing";
            }

            if (entry.IsTlbiOfAsid && entry.AsidLives && FollowsRemoval(at))
            {
                return "asid-lives";
            }

            if (entry.Opcode != 0x46 || at == 0 || at + 1 == _entries.Count)
            {
                return null;
            }

            Entry before = _entries[at - 1];
            Entry after = _entries[at + 1];
            if (IsRepeated(at + 1) || (IsRepeated(at - 1) && after.Opcode == 0x40))
            {
                return "repeated";
            }

            if (before.Opcode == 0x05 && after.IsTlbiOfAsid && after.AsidLives && FollowsRemoval(at + 1))
            {
                return "asid-lives";
            }

            return before.IsTlbiOfAsid && after.Opcode == 0x40 && FollowsRemoval(at - 1)
                && _entries[at - 3].Ssid == after.Ssid
                ? "gone" : null;
        }

        // The same invalidation of translations stands before it within the same call of the core, with nothing between
        // but SYNC, ATC_INV and the like: no store, no configuration.
        private bool IsRepeated(int at)
        {
            Entry entry = _entries[at];
            for (int i = at - 1; entry.IsTlbi && i >= 0; i--)
            {
                Entry earlier = _entries[i];
                if (earlier.Step != entry.Step || !(earlier.IsTlbi || earlier.Opcode is 0x46 or 0x40))
                {
                    return false;
                }

                if (earlier.Low == entry.Low && earlier.High == entry.High)
                {
                    return true;
                }
            }

            return false;
        }

        // CFGI_CD, SYNC, and then this one, after a store that made the descriptor invalid or its tables unused.
        private bool FollowsRemoval(int at)
        {
            if (at < 3 || _entries[at - 1].Opcode != 0x46 || _entries[at - 2].Opcode != 0x05)
            {
                return false;
            }

            int store = at - 2;
            while (store >= 0 && _entries[store].Opcode == 0x05)
            {
                store--;
            }

            return store >= 0 && !_entries[store].IsCommand && !IsWalkedDescriptor(0, _entries[store].Low);
        }

        // The two stores of a command: low word, high word.
        private IEnumerable<Mutant> Commands(Entry command)
        {
            ulong low = command.Low;
            ulong high = command.High;
            int numberLow = command.Number;
            int numberHigh = numberLow + 1;
            string name = $"{command} #{numberLow}";

            Mutant Replace(string kind, ulong newLow, ulong newHigh) => Make(
                kind,
                $"{name}",
                null,
                new Mutation.ReplaceStores(
                    $"{kind}: {name}", new Dictionary<int, ulong> { [numberLow] = newLow, [numberHigh] = newHigh }));

            int opcode = command.Opcode;
            yield return Replace($"drop {name.Split(' ')[0]}", PrefetchConfiguration, 0);
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

        /// <summary>A command, or a store to a table (its value is the low word).</summary>
        private sealed record Entry(
            int Step, bool IsCommand, int Number, ulong Low, ulong High, bool AsidLives, bool IsToEmptyDevice)
        {
            public int Opcode => IsCommand ? (int)(Low & 0xFF) : -1;
            public bool IsTlbi => Opcode is 0x11 or 0x12;
            public bool IsTlbiOfAsid => Opcode == 0x11;
            public uint Ssid => (uint)(Low >> 12) & Pasid.MaxValue;

            public override string ToString() => $"{DecodedCommand.From(Low, High)}";
        }
    }

    /// <summary>What is checked after every step of the scenario, and at the tables between any two stores.</summary>
    /// <param name="machine">The machine.</param>
    /// <param name="clean">That of the driver as it is; null for itself.</param>
    private sealed class Judge(string machine, Judge? clean) : IIommuModelFactory
    {
        private const int LineBytes = 64;
        private const int PageBytes = 4096;
        private const uint FirstPasid = 62;
        private const uint LastPasid = 65;
        private readonly bool _isCoherent = s_machines[machine].IsCoherent;

        // Words that the driver has stored, and one of every line of its tables, after every step.
        private readonly List<Dictionary<ulong, ulong>> _seen = [];
        private readonly SortedSet<ulong> _words = [];
        private readonly HashSet<ulong> _pageTables = [];
        private IIommuModel _model = null!;
        private (ulong Start, ulong End) _queue;
        private (ulong Start, ulong End) _fresh;
        private bool _hasChanged = true;
        private bool _hasStopped;
        private string? _halfWritten;

        /// <summary>The step of every store to the queue.</summary>
        public List<int> StepsOfCommands { get; } = [];

        /// <summary>Indices (as in <see cref="StepsOfCommands"/>) of high words of ATC_INV of everything, with PASIDs
        /// or without, to a device that held nothing of the kind.</summary>
        public HashSet<int> CommandsToEmptyDevices { get; } = [];

        public IIommuModel Create(HardwareSetup setup, StoreOrder order = StoreOrder.Immediate)
        {
            _model = new SmmuModelFactory().Create(setup, order);
            _model.ModelMemory.Changed += OnChange;
            return _model;
        }

        public bool IsQueue(ulong address) => IsIn(address, _queue);

        public string? Check(IIommuModel model)
        {
            if (_hasStopped || _model.Registers.Read32(0x60) != 0)
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

            if (Compare(model) is { } different)
            {
                return different;
            }

            // Pages that the scenario changes but does not ask for before.
            ForEachStream((requester, pasid) =>
            {
                for (ulong address = 0x11000; address < 0x18000; address += 0x1000)
                {
                    _ = model.Translate(new DmaAccess(requester, pasid, address, IsWrite: false));
                }
            });
            return null;
        }

        private static bool IsIn(ulong address, (ulong Start, ulong End) range) =>
            address >= range.Start && address < range.End;

        private void ForEachStream(Action<RequesterId, Pasid> check)
        {
            foreach (RequesterId requester in RequestersOf(machine))
            {
                for (uint pasid = FirstPasid; pasid <= LastPasid; pasid++)
                {
                    check(requester, new Pasid(pasid));
                }
            }
        }

        private string? Compare(IIommuModel model)
        {
            int step = _seen.Count;
            if (step == 0)
            {
                // Hardware writes event records.
                (ulong Start, ulong End) records = QueueAt(0xA0, 5);
                _words.RemoveWhere(w => IsQueue(w) || IsIn(w, records));
            }

            if (clean is null)
            {
                _seen.Add(_hasChanged ? _words.ToDictionary(w => w, model.ModelMemory.Device.ReadQword) : _seen[^1]);
            }
            else
            {
                _seen.Add([]);
                if (step < clean._seen.Count
                    && (_hasChanged || !ReferenceEquals(clean._seen[step], clean._seen[step - 1])))
                {
                    foreach ((ulong address, ulong value) in clean._seen[step])
                    {
                        if (!_words.Contains(address) || model.ModelMemory.Device.ReadQword(address) != value)
                        {
                            return "the tables differ from those of the driver as it is";
                        }
                    }
                }
            }

            _hasChanged = false;
            return null;
        }

        // Base register with log2 of the entries in bits 4:0; 0 before it is written.
        private (ulong Start, ulong End) QueueAt(int register, int entryBytesLog2)
        {
            ulong value = _model.Registers.Read64(register);
            ulong start = value & 0x000F_FFFF_FFFF_FFE0;
            return start == 0 ? default : (start, start + (1UL << (int)(value & 31) << entryBytesLog2));
        }

        private void AddTable(ulong start, int bytes)
        {
            for (ulong line = start; line < start + (ulong)bytes; line += LineBytes)
            {
                _words.Add(line);
            }
        }

        // A walker without caches, at this moment, with every set of stores that may be visible to it.
        private void OnChange(MemoryEvent change)
        {
            // GERROR toggles: two errors are like none afterwards.
            _hasStopped |= _model.Registers.Read32(0x60) != 0;
            if (_queue.End == 0)
            {
                _queue = QueueAt(0x90, 4);
            }

            switch (change.Kind)
            {
                // The pages of a process come one at a time, and tables of the driver are larger.
                case MemoryEventKind.Allocate when change.Bytes == PageBytes:
                    _pageTables.Add(change.Address);
                    return;
                case MemoryEventKind.Allocate:
                    AddTable(change.Address, change.Bytes);
                    _fresh = (change.Address, change.Address + (ulong)change.Bytes);
                    return;
                case MemoryEventKind.Free:
                    _pageTables.Remove(change.Address);
                    _words.RemoveWhere(w => IsIn(w, (change.Address, change.Address + (ulong)change.Bytes)));
                    return;
                case MemoryEventKind.Store when IsQueue(change.Address):
                    StepsOfCommands.Add(_seen.Count);
                    if ((change.Address & 15) == 8 && IsToEmptyDevice(_model.ModelMemory.ReadQword(change.Address - 8)))
                    {
                        CommandsToEmptyDevices.Add(StepsOfCommands.Count - 1);
                    }

                    return;
                case MemoryEventKind.Store when !_pageTables.Contains(change.Address & ~(PageBytes - 1UL)):
                    _words.Add(change.Address);
                    break;
                case MemoryEventKind.Flush when !IsQueue(change.Address)
                    && !_pageTables.Contains(change.Address & ~(PageBytes - 1UL)):
                case MemoryEventKind.Barrier when _hasChanged:
                    break;
                default:
                    return;
            }

            // What nothing leads to yet cannot be seen.
            _hasChanged = true;
            if (change.Kind != MemoryEventKind.Barrier && IsIn(change.Address, _fresh))
            {
                return;
            }

            if (change.Kind == MemoryEventKind.Store)
            {
                _fresh = default;
            }

            if ((_model.Registers.Read32(0x20) & 1) == 0)
            {
                return;
            }

            // Every device may ask for every PASID at any moment, and the answer is cached.
            ForEachStream((requester, pasid) =>
                _ = _model.Translate(new DmaAccess(requester, pasid, 0x10000, IsWrite: false)));
            if (change.Kind == (_isCoherent ? MemoryEventKind.Store : MemoryEventKind.Flush))
            {
                _model.ModelMemory.ForEachVisible(() => ForEachStream((requester, pasid) =>
                    LookAt(new DmaAccess(requester, pasid, 0x10000, IsWrite: false))));
            }
        }

        // ATC_INV with Global, or without SSV.
        private bool IsToEmptyDevice(ulong low)
        {
            bool hasPasid = (low >> 11 & 1) != 0;
            string device = Text($"StreamID 0x{low >> 32:x} ");
            return (low & 0xFF) == 0x40
                && hasPasid == ((low >> 9 & 1) != 0)
                && !_model.Cached.Any(c => c.Cache == "device-TLB"
                    && c.Key.StartsWith(device + (hasPasid ? "PASID" : "no PASID"), StringComparison.Ordinal));
        }

        private void LookAt(in DmaAccess access)
        {
            var steps = new List<TableStep>();
            var walker =
                new SmmuWalker(_model.ModelMemory.Device, new SmmuHardwareOptions { StallModel = 1 }) { Steps = steps };
            _ = walker.Follow(access, StreamRoot.Of(
                _model.Registers.Read64(0x80), _model.Registers.Read32(0x88), recordsUnknown: true));
            foreach (TableStep step in steps)
            {
                // A valid descriptor without memory attributes is not whole; one with bits of a fresh page neither.
                bool isCd = step.Structure == "arm-smmuv3/cd";
                bool isValid = step.Words.Count > 0 && (step.Words[0] >> (isCd ? 31 : 0) & 1) != 0;
                if (isValid && ((isCd && step.Words[3] == 0)
                    || (step.Structure == "arm-smmuv3/ste" && step.Words[1] == 0)
                        || step.Words.Contains(ModelMemory.Poison)))
                {
                    _halfWritten ??= $"{step.Structure} at 0x{step.Address:x} can be seen half written";
                }
            }
        }
    }
}
