// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.TestKit.Mutations;

/// <summary>What a driver did in a scenario in which nothing was wrong: what mutants are made from.</summary>
/// <param name="actions">Its stores, flushes and barriers.</param>
/// <param name="run">Runs the scenario with a mutation, on a machine of its own.</param>
public class Recording(IReadOnlyList<DriverAction> actions, Func<Mutation, ScenarioReport> run)
{
    private readonly HashSet<int> _unchanged = Unchanged(actions);
    public IReadOnlyList<DriverAction> Actions => actions;

    /// <summary>The stores; each one's number is its index.</summary>
    public IReadOnlyList<DriverAction> Stores { get; } = [.. actions.Where(a => a.Kind == MemoryEventKind.Store)];

    /// <summary>Whether a store writes what the driver has stored there before: without it nothing is
    /// different.</summary>
    public bool IsUnchanged(int store) => _unchanged.Contains(store);

    /// <summary>A mutant of an action.</summary>
    protected Mutant Make(string kind, InvariantText name, string? excuse, Mutation mutation) =>
        Mutant.Of(kind, Text(name), excuse, mutation, run);

    private static HashSet<int> Unchanged(IReadOnlyList<DriverAction> actions)
    {
        var unchanged = new HashSet<int>();
        var memory = new Dictionary<ulong, ulong>();
        foreach (DriverAction store in actions.Where(a => a.Kind == MemoryEventKind.Store))
        {
            if (memory.GetValueOrDefault(store.Address) == store.Value)
            {
                unchanged.Add(store.Number);
            }

            memory[store.Address] = store.Value;
        }

        return unchanged;
    }
}
