// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.TestKit.Mutations;

/// <summary>A driver that does one thing wrong.</summary>
/// <param name="Kind">What it does wrong; the lists count mutants by kind.</param>
/// <param name="Name">Where, as precisely as it takes to find the place.</param>
/// <param name="Excuse">The name in equivalent-mutants.txt that applies if nothing notices; null for none.</param>
/// <param name="Run">Runs it on a machine of its own, beside others.</param>
public sealed record Mutant(string Kind, string Name, string? Excuse, Func<MutantRun> Run)
{
    /// <summary>A mutant of what the driver does to memory.</summary>
    public static Mutant Of(
        string kind, string name, string? excuse, Mutation mutation, Func<Mutation, ScenarioReport> run) =>
        new(kind, name, excuse, () => MutantRun.Of(run(mutation)));
}
