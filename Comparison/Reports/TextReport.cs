// SPDX-License-Identifier: Apache-2.0
using System.Text;
using PasidFramework.Comparison.Running;

namespace PasidFramework.Comparison.Reports;

/// <summary>
/// Writes a result for people: the verdict first, then two tables, no line longer than 80 characters.
/// </summary>
public static class TextReport
{
    /// <summary>Longest line in characters.</summary>
    public const int Width = 80;

    private const int DriversPerTable = 3;

    /// <summary>Writes a result.</summary>
    /// <param name="destination">Where to.</param>
    public static void Write(ComparisonResult result, TextWriter destination)
    {
        ArgumentNullException.ThrowIfNull(result);
        ArgumentNullException.ThrowIfNull(destination);
        var lines = new List<string>();
        Wrap(lines, string.Empty, result.Verdict.Text);
        if (result.Verdict.Ownership is { } ownership)
        {
            Wrap(lines, "Owners:  ", ownership);
        }

        Wrap(lines, "Rule:    ", Verdict.Rule + ".");
        lines.Add(string.Empty);
        AddInput(lines, result.Request);
        lines.Add(string.Empty);
        AddPolicies(lines, result.Runs);
        string[] drivers = [.. result.Runs[0].Drivers.Select(d => d.Name)];
        for (int first = 0; first < drivers.Length; first += DriversPerTable)
        {
            lines.Add(string.Empty);
            AddDrivers(lines, result.Runs, first, Math.Min(drivers.Length, first + DriversPerTable));
        }

        lines.Add(string.Empty);
        Wrap(lines, string.Empty,
            "Reuse distance: frees in a PASID's space between its own free and its next use; '-' where no PASID was"
            + " used twice. Differ: processes whose PASIDs differ between devices. Tables: KiB of PASID tables at peak"
            + " and after the last exit; cmd: commands per unbind, exits included.");
        foreach (string line in lines)
        {
            destination.Write(line);
            destination.Write('\n');
        }
    }

    private static void AddInput(List<string> lines, ComparisonRequest request)
    {
        Trace trace = request.Timeline.Trace;
        TimelineCounts counts = request.Timeline.Counts;
        Scenario scenario = request.Scenario;
        double seconds = (trace.LastNanoseconds - trace.FirstNanoseconds) / 1e9;
        Wrap(
            lines,
            "Trace:   ",
            Text($"{trace.File}: {trace.Events.Count} events in {seconds:F1} s, {counts.Processes} processes, ")
                + Text($"{counts.Threads} threads, {counts.AddressSpaces} address spaces; {counts.StartedBefore} ")
                + Text($"processes began before it and {counts.EndedAfter} outlived it"));
        Wrap(
            lines,
            "System:  ",
            Text($"{scenario.File}: {scenario.Instances.Count} IOMMU instances, {scenario.Devices.Count} devices, ")
                + Text($"{scenario.Rules.Count} rules; seed {request.Seed}"));
        foreach (string note in Notes(request.Timeline))
        {
            Wrap(lines, "Note:    ", note);
        }
    }

    /// <summary>What of a trace could not be read from it.</summary>
    public static IReadOnlyList<string> Notes(ProcessTimeline timeline)
    {
        ArgumentNullException.ThrowIfNull(timeline);
        Trace trace = timeline.Trace;
        TimelineCounts counts = timeline.Counts;
        var notes = new List<string>();
        if (trace.LostGaps > 0)
        {
            notes.Add(Text($"the trace has {trace.LostGaps} gaps with {trace.LostEvents} lost events: ")
                + "lives around them are not complete");
        }

        if (counts.MissingExits + counts.MissingForks > 0)
        {
            notes.Add(Text(
                $"{counts.MissingForks} forks and {counts.MissingExits} exits are missing in the trace"));
        }

        if (trace.OutOfOrder > 0)
        {
            notes.Add(Text($"time goes back in {trace.OutOfOrder} lines, first in line {trace.FirstOutOfOrderLine}; ")
                + "they were put in order");
        }

        if (counts.Ambiguous + counts.Unattributed > 0)
        {
            notes.Add(Text($"of {counts.Ambiguous + counts.Unattributed} tasks the trace does not say whether they ")
                + "were processes; they are taken for threads");
        }

        return notes;
    }

    private static void AddPolicies(List<string> lines, IReadOnlyList<RunResult> runs)
    {
        int name = NameWidth(runs, 24);
        lines.Add($"{Pad("", name)}                              peak  reuse distance");
        lines.Add($"{Pad("policy", name)}   binds  failures          live     min     1 %  differ");
        foreach (RunResult run in runs)
        {
            string[] failures =
            [
                .. run.Failures.Where(f => f.Value > 0).Select(f => Text($"{f.Value} {f.Key}")),
            ];
            lines.Add(string.Concat(
                Pad(run.Policy, name),
                Text($"{run.Binds,8}  "),
                Pad(failures.Length == 0 ? "0" : failures[0], 16),
                Text($"{run.PeakLive,6}"),
                Number(run.ReuseDistance.Minimum),
                Number(run.ReuseDistance.Percentile01),
                Text($"{run.ProcessesWithDifferingPasids,8}")));
            foreach (string failure in failures.Skip(1))
            {
                lines.Add($"{Pad("", name + 10)}{failure}");
            }
        }
    }

    private static void AddDrivers(List<string> lines, IReadOnlyList<RunResult> runs, int first, int end)
    {
        int name = NameWidth(runs, 17);
        var head = new StringBuilder(Pad("tables in KiB", name));
        var units = new StringBuilder(Pad("policy", name));
        for (int i = first; i < end; i++)
        {
            head.Append(' ').Append(Right(runs[0].Drivers[i].Name, 20));
            units.Append("   peak  final    cmd");
        }

        lines.Add(head.ToString());
        lines.Add(units.ToString());
        foreach (RunResult run in runs)
        {
            var line = new StringBuilder(Pad(run.Policy, name));
            for (int i = first; i < end; i++)
            {
                DriverResult driver = run.Drivers[i];
                line.Append(Kibibytes(driver.TableBytesPeak)).Append(Kibibytes(driver.TableBytesFinal));
                line.Append(Text($"{driver.CommandsPerUnbind,7:F2}"));
            }

            lines.Add(line.ToString());
        }
    }

    private static int NameWidth(IReadOnlyList<RunResult> runs, int limit) =>
        Math.Min(limit, Math.Max(15, runs.Max(r => r.Policy.Length)));

    private static string Number(long? value) =>
        value is { } number ? Text($"{number,8}") : Right("-", 8);

    // Six digits fit the column; beyond, mebibytes do.
    private static string Kibibytes(long bytes) => bytes < 1_000_000L * 1024
        ? Text($"{bytes / 1024,7}")
        : Right(Text($"{bytes / (1024 * 1024)}M"), 7);

    private static string Pad(string text, int width) =>
        text.Length <= width ? text.PadRight(width) : text[..(width - 1)] + "~";

    private static string Right(string text, int width) =>
        text.Length <= width ? text.PadLeft(width) : text[..(width - 1)] + "~";

    // Breaks between words; a word longer than a line, such as a file's name, is broken itself.
    private static void Wrap(List<string> lines, string label, string text)
    {
        var line = new StringBuilder(label);
        bool isEmpty = true;
        IEnumerable<string> parts = text.Split(' ')
            .SelectMany(w => w.Chunk(Width - label.Length)).Select(c => new string(c));
        foreach (string part in parts)
        {
            if (!isEmpty && line.Length + 1 + part.Length > Width)
            {
                lines.Add(line.ToString());
                line.Clear().Append(' ', label.Length);
                isEmpty = true;
            }

            if (!isEmpty)
            {
                line.Append(' ');
            }

            line.Append(part);
            isEmpty = false;
        }

        lines.Add(line.ToString());
    }
}
