// SPDX-License-Identifier: Apache-2.0
using PasidFramework.TestKit.Mutations;

namespace PasidFramework.Drivers.Reference.Tests;

/// <summary>
/// Breaks the driver in every way that the recorded run of the scenario offers, one at a time: the model, the probes,
/// the core or the driver itself must notice.
/// </summary>
public sealed class MutationTests(ITestOutputHelper output)
{
    private static readonly World[] s_worlds =
    [
        new("coherent, stores", true, StoreOrder.Immediate, r => r.BrokenStores()),
        new("coherent, commands", true, StoreOrder.Immediate, r => r.Commands()),
        new("coherent, commands, vendor", true, StoreOrder.Immediate, r => r.Commands(), PasidOptions.OwnershipVendor),
        new("coherent, barriers", true, StoreOrder.Weak, r => r.Barriers()),
        new("not coherent, weak, flushes and barriers", false, StoreOrder.Weak, r => r.Flushes().Concat(r.Barriers())),
        new("not coherent, weak, commands", false, StoreOrder.Weak, r => r.Commands()),
    ];

    private static readonly MutationRunner s_runner = new(
        [
            ("walker read", "stray read"),
            ("faults*must reach", "access faults"),
            ("must reach", "stale or wrong translation"),
            ("walker sees", "not visible after the call"),
            ("ill-formed", "ill-formed entry visible"),
            ("is running", "command left running"),
            ("torn entry", "torn entry visible"),
            ("quiet entry stays", "quiet entry left"),
            ("cached is", "cached differs from stored"),
            ("of the dying", "exit is not quiet"),
            ("ETIMEDOUT", "driver times out"),
            ("EIO", "command refused"),
        ],
        otherwise: "the core");

    public static TheoryData<string> Worlds => [.. s_worlds.Select(w => w.Name)];

    [Theory]
    [MemberData(nameof(Worlds))]
    public void D2_D3_D5_D6_every_mutant_of_the_driver_is_caught_or_explained(string name)
    {
        World world = s_worlds.Single(w => w.Name == name);
        ScenarioSetup setup = ScenarioTests.Setup(world.Coherent, world.Order, world.Ownership);
        (ScenarioReport clean, MutantRegisters sent) = Run(setup, null, null);
        Assert.Empty(clean.Failures);

        MutationReport report = s_runner.Run(name, world.Make(new ReferenceRecording(clean.Actions, setup, sent)));

        output.WriteLine(string.Join('\n', [.. report.Log, .. report.Lines]));
        Assert.True(report.Problems.Count == 0, string.Join('\n', report.Problems));
    }

    private static (ScenarioReport Report, MutantRegisters Registers) Run(
        ScenarioSetup setup, Mutation? memory, CommandMutation? command)
    {
        var watch = new ScenarioWatch(setup, command);

        // A mutated run must end at the first failure too where only a command is mutated; a number that no action has
        // does nothing else.
        Mutation? one = memory ?? (command is null ? null : new Mutation.DropStore(int.MaxValue));
        ScenarioReport report = ModelScenario.Run(
            setup with { Driver = watch, Model = watch, Check = watch.Check }, one);
        return (report, watch.Registers);
    }

    private sealed record World(
        string Name,
        bool Coherent,
        StoreOrder Order,
        Func<ReferenceRecording, IEnumerable<Mutant>> Make,
        string Ownership = PasidOptions.OwnershipCore);

    /// <summary>What the clean driver did, and the mutants that follow from it.</summary>
    private sealed class ReferenceRecording(
        IReadOnlyList<DriverAction> actions, ScenarioSetup setup, MutantRegisters sent)
        : Recording(actions, mutation => MutationTests.Run(setup, mutation, null).Report)
    {
        public IEnumerable<Mutant> Flushes() => Of(MemoryEventKind.Flush, (a, _) => Make(
            "drop flush", $"{a.Number} of {a.Value} bytes at 0x{a.Address:x}", null, new Mutation.DropFlush(a.Number)));

        public IEnumerable<Mutant> Barriers() => Of(MemoryEventKind.Barrier, (a, at) => Make(
            "drop barrier", $"{a.Number}", BarrierExcuse(at), new Mutation.DropBarrier(a.Number)));

        public IEnumerable<Mutant> BrokenStores()
        {
            for (int i = 0; i < Stores.Count; i++)
            {
                DriverAction store = Stores[i];

                // A store of what is there already changes nothing: there is no such mutant.
                if (!IsUnchanged(i))
                {
                    yield return Make(
                        "drop store", $"{i} of 0x{store.Value:x} at 0x{store.Address:x}", null,
                        new Mutation.DropStore(i));
                }

                if (i + 1 < Stores.Count && !IsUnchanged(i) && !IsUnchanged(i + 1))
                {
                    yield return Make(
                        "swap stores", $"{i} of 0x{store.Value:x} at 0x{store.Address:x} and {i + 1}", null,
                        new Mutation.SwapStores(i));
                }
            }
        }

        public IEnumerable<Mutant> Commands()
        {
            List<Command> commands = sent.Commands;
            for (int i = 0; i < commands.Count; i++)
            {
                Command command = commands[i];
                string name = Name(command);
                yield return Of($"drop {name}", new CommandMutation.Drop(i));

                // Within an operation the next command waits for this one.
                if (IsLast(i))
                {
                    yield return Of($"no wait for {name}", new CommandMutation.NoWait(i));
                }
                else
                {
                    yield return Of($"swap {name} and {Name(commands[i + 1])}", new CommandMutation.Swap(i));
                }

                foreach ((string what, Command other) in Wrong(command))
                {
                    yield return Of($"{name}, {what}", new CommandMutation.Replace(i, what, other));
                }

                Mutant Of(string kind, CommandMutation mutation) => new(
                    kind,
                    Text($"{mutation.Number} 0x{command.Word0:x} 0x{command.Word1:x}"),
                    Excuse(mutation.Number, mutation),
                    () =>
                    {
                        (ScenarioReport report, MutantRegisters registers) = MutationTests.Run(setup, null, mutation);
                        return MutantRun.Of(report) with { Applied = registers.Applied };
                    });
            }
        }

        private static IEnumerable<(string What, Command Other)> Wrong(Command command)
        {
            ulong word0 = command.Word0;
            bool all = word0.Has(Command.ALL);
            switch (word0.Get(Command.OP))
            {
                case Command.Device:
                    yield return ("wrong requester", command with { Word0 = word0 ^ (1UL << 40) });
                    break;
                case Command.PasidTable:
                    yield return ("wrong table", command with { Word1 = command.Word1 ^ (1UL << 40) });
                    if (all)
                    {
                        yield return ("one PASID only", command with { Word0 = word0 & ~Command.ALL.WordMask });
                        break;
                    }

                    yield return ("wrong PASID", command with { Word0 = word0 ^ (1UL << 20) });
                    if (!word0.Has(Command.LEAF))
                    {
                        yield return ("leaf only", command with { Word0 = word0 | Command.LEAF.WordMask });
                    }

                    break;
                case Command.Translations:
                    yield return ("wrong ASID", command with { Word0 = word0 ^ (1UL << 48) });
                    break;
                default:
                    yield return ("wrong requester", command with { Word0 = word0 ^ (1UL << 40) });
                    yield return word0.Has(Command.ANY)
                        ? ("one PASID only", command with { Word0 = word0 & ~Command.ANY.WordMask })
                        : ("wrong PASID", command with { Word0 = word0 ^ (1UL << 20) });
                    break;
            }

            if (word0.Get(Command.OP) is Command.Translations or Command.DeviceTlb)
            {
                ulong count = command.Word1.Get(Command.COUNT);
                yield return all ? ("one page only", command with { Word0 = word0 & ~Command.ALL.WordMask })
                    : count > 0 ? ("one page less", command with { Word1 = command.Word1 - 1 })
                    : ("wrong page", command with { Word1 = command.Word1 ^ (1UL << 40) });
            }
        }

        private bool IsLast(int command) => sent.OperationEnds.Contains(command + 1);

        // What may excuse a mutant of a command.
        private string? Excuse(int number, CommandMutation mutation)
        {
            Command command = sent.Commands[number];
            bool isSwap = mutation is CommandMutation.Swap;
            Command next = isSwap ? sent.Commands[number + 1] : command;
            if (command.Word0.Get(Command.OP) == Command.DeviceTlb && isSwap)
            {
                return "two-devices";
            }

            int first = sent.OperationEnds.Where(end => end <= number).DefaultIfEmpty(0).Max();
            bool isRemoval = sent.Commands[first].Word0.Get(Command.OP) == Command.PasidTable;
            if (isSwap && isRemoval && first != number)
            {
                return "unreachable";
            }

            Command translations = isSwap && command.Word0.Get(Command.OP) == Command.PasidTable ? next : command;
            return translations.Word0.Get(Command.OP) == Command.Translations && IsRepeated(number, translations)
                ? "other-link"
                : null;
        }

        // Whether the command of its kind and ASID before or after it in another operation is the same.
        private bool IsRepeated(int number, Command translations)
        {
            bool OfAsid(Command c) => c.Word0.Get(Command.OP) == Command.Translations
                && c.Word0.Get(Command.ASID) == translations.Word0.Get(Command.ASID);
            int at = sent.Commands.IndexOf(translations, number);
            return sent.Commands.Take(at).LastOrDefault(OfAsid) == translations
                || sent.Commands.Skip(at + 1).FirstOrDefault(OfAsid) == translations;
        }

        private static string Name(Command command) => command.Word0.Get(Command.OP) switch
        {
            Command.Device => "DEVICE",
            Command.PasidTable => command.Word0.Has(Command.ALL) ? "PASID ALL" : "PASID",
            Command.Translations => "TRANSLATIONS",
            _ => command.Word0.Has(Command.ANY) ? "DEVICE_TLB ANY" : "DEVICE_TLB",
        };

        // Every flush or barrier, but for those of a store of what was there already.
        private IEnumerable<Mutant> Of(MemoryEventKind kind, Func<DriverAction, int, Mutant> make)
        {
            for (int i = 0; i < Actions.Count; i++)
            {
                int store = i - (kind == MemoryEventKind.Flush ? 1 : 2);
                bool isOfNothing = store >= 0 && Actions[store].Kind == MemoryEventKind.Store
                    && IsUnchanged(Actions[store].Number);
                if (Actions[i].Kind == kind && !isOfNothing)
                {
                    yield return make(Actions[i], i);
                }
            }
        }

        // Each barrier comes right after a flush: of a fresh table, or of a word.
        private string? BarrierExcuse(int at)
        {
            DriverAction flush = Actions[at - 1];
            DriverAction[] next =
            [
                .. Actions.Skip(at + 1).TakeWhile(a => a.Kind != MemoryEventKind.Barrier)
                    .Where(a => a.Kind == MemoryEventKind.Store),
            ];
            bool isTable = flush.Value > 8;
            return isTable && !next.Any(store => (store.Value & ~0xFFFUL) == flush.Address) ? "linked-later"
                : !isTable && next.Length > 0 && next.All(store => (store.Address & 15) == 8) ? "second-word"
                : null;
        }
    }
}
