// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Comparison.Running;

/// <summary>Which policy did best, by rules that are printed with it.</summary>
/// <param name="Policy">Name of the policy.</param>
/// <param name="Text">The verdict in one line of at most 80 characters where names are short.</param>
/// <param name="Ownership">Who should own the PASIDs, as far as the runs show; null where only one side ran.</param>
public sealed record Verdict(string Policy, string Text, string? Ownership)
{
    /// <summary>The rules.</summary>
    public const string Rule =
        "fewest failures, then longest 1 % reuse distance, then smallest tables at peak, then first in the list";

    /// <summary>Judges runs.</summary>
    /// <param name="runs">At least one.</param>
    internal static Verdict Of(IReadOnlyList<RunResult> runs)
    {
        RunResult best = Best(runs)!;
        string reuse = best.ReuseDistance.Percentile01 is { } distance
            ? InvariantText.Text($"1 % reuse distance {distance}")
            : "no PASID used twice";
        string text = InvariantText.Text(
            $"Verdict: {best.Policy}: {Failures(best)}, {reuse}, tables {best.TableBytesPeak / 1024} KiB");
        return new Verdict(best.Policy, text, CompareOwners(runs));
    }

    private static string? CompareOwners(IReadOnlyList<RunResult> runs)
    {
        RunResult? core = Best(runs.Where(r => r.Policy != "vendor"));
        RunResult? vendor = Best(runs.Where(r => r.Policy == "vendor"));
        if (core is null || vendor is null)
        {
            return null;
        }

        return InvariantText.Text(
            $"{core.Policy} ({Failures(core)}) against vendor ({Failures(vendor)}): PASIDs differ between devices in"
                + $" {core.ProcessesWithDifferingPasids} against {vendor.ProcessesWithDifferingPasids}"
                + $" of {vendor.ProcessesBound} processes, tables take {core.TableBytesPeak / 1024}"
                + $" against {vendor.TableBytesPeak / 1024} KiB at peak.");
    }

    private static string Failures(RunResult run) => run.FailureCount == 1
        ? "1 failure"
        : InvariantText.Text($"{run.FailureCount} failures");

    // A PASID that was never used twice rests for ever.
    private static RunResult? Best(IEnumerable<RunResult> runs) => runs
        .OrderBy(r => r.FailureCount)
        .ThenByDescending(r => r.ReuseDistance.Percentile01 ?? long.MaxValue)
        .ThenBy(r => r.TableBytesPeak)
        .FirstOrDefault();
}
