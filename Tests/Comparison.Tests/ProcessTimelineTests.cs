// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Comparison.Tests;

public class ProcessTimelineTests
{
    public static TheoryData<string> Timelines() =>
        [.. Directory.EnumerateFiles(Path.Combine(TestData.Vectors, "timelines"))
            .Select(f => Path.GetFileNameWithoutExtension(f)).Order()];

    [Theory]
    [MemberData(nameof(Timelines))]
    public void Lives_are_found_as_the_vector_says(string name)
    {
        string text = File.ReadAllText(Path.Combine(TestData.Vectors, "timelines", name + ".trace"));
        string[] expected =
        [.. text.Split('\n').Where(l => l.StartsWith("# expect ", StringComparison.Ordinal)).Select(l => l[9..])];
        Assert.NotEmpty(expected);

        ProcessTimeline timeline = ProcessTimeline.Build(TestData.Require(TestData.ReadTrace(text)));

        string[] lives = [.. timeline.Lives.OrderBy(l => l.Pid).ThenBy(l => l.StartIndex).Select(Show)];
        Assert.Equal(expected.Where(e => e.StartsWith("life ", StringComparison.Ordinal)), lives);
        foreach (string count in expected.Where(e => !e.StartsWith("life ", StringComparison.Ordinal)))
        {
            string[] parts = count.Split(' ');
            Assert.Equal(count, $"{parts[0]} {Count(timeline.Counts, parts[0])}");
        }
    }

    [Fact]
    public void Every_task_of_the_bundled_trace_is_accounted_for()
    {
        ProcessTimeline timeline = ProcessTimeline.Build(TestData.ReadBundledTrace());

        TimelineCounts counts = timeline.Counts;
        HashSet<int> known = [];
        int tasks = 0;
        foreach (TraceEvent e in timeline.Trace.Events)
        {
            // A task is made by a fork, or is there before its first event.
            tasks += known.Add(e.Pid) ? 1 : 0;
            if (e.Kind == TraceEventKind.Fork)
            {
                known.Add(e.OtherPid);
                tasks++;
            }
        }

        Assert.Equal(tasks, counts.Processes + counts.Threads + counts.KernelThreads + counts.Unattributed);
        Assert.Equal(counts.Processes + counts.Execs, counts.AddressSpaces);
        Assert.Equal(counts.AddressSpaces, timeline.Lives.Count);
        Assert.Equal(0, counts.MissingForks + counts.MissingExits);

        // Forked tasks that exit with false and execute nothing, and the last thread of each process whose leader does.
        Assert.Equal(1667 + 279 + 157, counts.Threads - counts.Ambiguous);
    }

    [Fact]
    public void Every_process_that_ends_has_exactly_one_last_exit()
    {
        ProcessTimeline timeline = ProcessTimeline.Build(TestData.ReadBundledTrace());

        int last = timeline.Trace.Events.Count(e => e.Kind == TraceEventKind.Exit && e.IsGroupDead);

        Assert.Equal(last, timeline.Lives.Count(l => l.Ended == LifeEnd.Exit));
        Assert.Equal(timeline.Counts.Execs, timeline.Lives.Count(l => l.Ended == LifeEnd.Exec));
        Assert.Equal(timeline.Counts.EndedAfter, timeline.Lives.Count(l => l.Ended == LifeEnd.TraceEnd));
    }

    [Fact]
    public void Lives_are_numbered_from_one_in_the_order_of_their_begin_and_never_end_before_it()
    {
        ProcessTimeline timeline = ProcessTimeline.Build(TestData.ReadBundledTrace());

        Assert.Equal(Enumerable.Range(1, timeline.Lives.Count).Select(i => (ulong)i), timeline.Lives.Select(l => l.Id));
        Assert.All(timeline.Lives, l =>
            Assert.True(l.StartNanoseconds <= l.EndNanoseconds && l.StartIndex < l.EndIndex));
        Assert.Equal(timeline.Lives.Select(l => l.StartIndex).Order(), timeline.Lives.Select(l => l.StartIndex));
    }

    private static string Show(AddressSpaceLife life) => Text(
        $"life {life.Pid} {life.Name} {life.Began.ToString().ToLowerInvariant()} {Micros(life.StartNanoseconds)} "
            + $"{End(life.Ended)} {Micros(life.EndNanoseconds)}");

    private static long Micros(long nanoseconds) => nanoseconds % 1_000_000_000 / 1000;
    private static string End(LifeEnd end) => end == LifeEnd.TraceEnd ? "trace-end" : end.ToString().ToLowerInvariant();

    private static int Count(TimelineCounts counts, string name) => name switch
    {
        "processes" => counts.Processes,
        "threads" => counts.Threads,
        "kernelThreads" => counts.KernelThreads,
        "ambiguous" => counts.Ambiguous,
        "unattributed" => counts.Unattributed,
        "startedBefore" => counts.StartedBefore,
        "endedAfter" => counts.EndedAfter,
        "missingExits" => counts.MissingExits,
        "missingForks" => counts.MissingForks,
        _ => throw new ArgumentException($"unknown count {name}", nameof(name)),
    };
}
