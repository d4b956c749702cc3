// SPDX-License-Identifier: Apache-2.0
using System.Globalization;

namespace PasidFramework.TestKit.Mutations;

/// <summary>
/// Runs broken drivers and compares what noticed them with the lists of a test project. <c>Vectors/mutants.txt</c> has
/// lines <c>world | kind | noticed by | mutants</c>, <c>Vectors/equivalent-mutants.txt</c> has <c>name | why</c>; a
/// mutant that nothing can notice is counted as noticed by <c>equivalent: name</c>.
/// </summary>
/// <remarks>
/// A deep run (<see cref="Effort.IsDeep"/>) runs every mutant and compares every line. Otherwise one mutant of each
/// kind is run in each world: it must be noticed by something that the list has for it, and there must be as many
/// mutants of each kind as the list counts.
/// </remarks>
/// <param name="causes">What a failure's text says about who noticed, first match first: parts of the text with a
/// <c>*</c> between them, and the name. Violations of the model's rules come before all of them.</param>
/// <param name="otherwise">The name where no text matches.</param>
public sealed class MutationRunner(IReadOnlyList<(string Text, string Cause)> causes, string otherwise)
{
    private const string Equivalent = "equivalent: ";
    private readonly string[][] _expected = [.. VectorFile.Read("mutants.txt")];
    private readonly HashSet<string> _excuses = [.. VectorFile.Read("equivalent-mutants.txt").Select(line => line[0])];

    /// <summary>Runs the mutants of one world.</summary>
    /// <param name="world">Memory and machine, as the lists name them.</param>
    /// <param name="mutants">All mutants that the recorded run offers.</param>
    public MutationReport Run(string world, IEnumerable<Mutant> mutants)
    {
        Mutant[] all = [.. mutants];
        Mutant[] chosen = Effort.IsDeep ? all : [.. all.GroupBy(m => m.Kind).Select(Representative)];
        var caught = new string[chosen.Length];
        var log = new string[chosen.Length];
        Parallel.For(0, chosen.Length, i =>
        {
            Mutant mutant = chosen[i];
            MutantRun run = mutant.Run();
            caught[i] = run.Failure is { } failure ? CauseOf(failure)
                : !run.Applied ? "NOT REACHED"
                : mutant.Excuse is { } excuse && _excuses.Contains(excuse) ? Equivalent + excuse
                : "NOTHING";
            log[i] = $"{world} | {mutant.Kind} | {mutant.Name} | {caught[i]} | {run.Failure}";
        });

        string[][] expected = [.. _expected.Where(line => line[0] == world)];
        string[] lines = [.. Enumerable.Range(0, chosen.Length).GroupBy(i => (chosen[i].Kind, caught[i]))
            .Select(g => Line(world, g.Key.Kind, g.Key.Item2, g.Count())).Order(StringComparer.Ordinal)];
        var problems = new List<string>();
        problems.AddRange(log.Where((_, i) => caught[i] is "NOTHING" or "NOT REACHED"));
        if (Effort.IsDeep)
        {
            string[] listed = [.. expected.Select(line => string.Join(" | ", line))];
            problems.AddRange(lines.Except(listed).Select(line => "found, not listed: " + line));
            problems.AddRange(listed.Except(lines).Select(line => "listed, not found: " + line));
        }
        else
        {
            problems.AddRange(log.Where((_, i) => !expected.Any(e => e[1] == chosen[i].Kind && e[2] == caught[i]))
                .Select(line => "not listed: " + line));
            problems.AddRange(Counts(all.GroupBy(m => m.Kind).Select(g => (g.Key, g.Count())))
                .Except(Counts(expected.GroupBy(e => e[1]).Select(
                    g => (g.Key, g.Sum(e => int.Parse(e[3], CultureInfo.InvariantCulture))))))
                .Select(count => "not as many as listed: " + count));
            problems.AddRange(expected.Select(e => e[1]).Except(all.Select(m => m.Kind))
                .Select(kind => "listed, no such mutant: " + kind));
        }

        problems.AddRange(_excuses.Where(e => !_expected.Any(line => line[2] == Equivalent + e))
            .Select(e => $"no mutant needs the excuse '{e}'"));
        return new MutationReport(problems, lines, log);

        IEnumerable<string> Counts(IEnumerable<(string Kind, int Count)> counts) =>
            counts.Select(c => Text($"{world} | {c.Kind} | {c.Count}"));
    }

    private static string Line(string world, string kind, string cause, int count) =>
        Text($"{world} | {kind} | {cause} | {count}");

    // From the middle of the scenario, where most is going on, and one that must be noticed where there is one.
    private static Mutant Representative(IEnumerable<Mutant> ofOneKind)
    {
        Mutant[] all = [.. ofOneKind];
        Mutant[] noticed = [.. all.Where(m => m.Excuse is null)];
        return noticed.Length > 0 ? noticed[noticed.Length / 2] : all[all.Length / 2];
    }

    private string CauseOf(string failure)
    {
        const string Violation = "violation ";
        int at = failure.IndexOf(Violation, StringComparison.Ordinal);
        if (at >= 0)
        {
            return failure[at..failure.IndexOf(':', at)];
        }

        foreach ((string text, string cause) in causes)
        {
            if (Contains(failure, text))
            {
                return cause;
            }
        }

        return otherwise;
    }

    private static bool Contains(string failure, string text)
    {
        int at = 0;
        foreach (string part in text.Split('*'))
        {
            at = failure.IndexOf(part, at, StringComparison.Ordinal);
            if (at < 0)
            {
                return false;
            }
        }

        return true;
    }
}
