// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Tests;

/// <summary>What is kept in memory of a long trace, and that deciding early decides the same.</summary>
public class StreamingTests
{
    [Theory]
    [InlineData(0.0)]
    [InlineData(0.002)]
    public void Deciding_as_it_goes_gives_what_the_whole_trace_says(double lost)
    {
        for (int seed = 1; seed <= 200; seed++)
        {
            using Trace trace = TestData.Require(TestData.ReadTrace(Simulate(seed, pids: 40, steps: 400, lost)));
            (IReadOnlyList<AddressSpaceLife> lives, TimelineCounts counts) = WholeTimeline.Build([.. trace.Events]);

            using ProcessTimeline timeline = ProcessTimeline.Build(trace);

            Assert.True(counts == timeline.Counts, $"seed {seed}: {counts} {timeline.Counts}");
            Assert.Equal(lives, timeline.Lives);
        }
    }

    [Fact]
    public void Forgetting_early_loses_no_task()
    {
        for (int seed = 1; seed <= 50; seed++)
        {
            using Trace trace = TestData.Require(TestData.ReadTrace(Simulate(seed, pids: 40, steps: 400, lost: 0)));
            (IReadOnlyList<AddressSpaceLife> lives, TimelineCounts counts) = WholeTimeline.Build([.. trace.Events]);

            using ProcessTimeline timeline = ProcessTimeline.Build(trace, maxWaiting: 16);

            // Tasks are counted once each, whatever was said of them.
            Assert.Equal(
                counts.Processes + counts.Threads + counts.Unattributed,
                timeline.Counts.Processes + timeline.Counts.Threads + timeline.Counts.Unattributed
                    - (timeline.Counts.MissingForks - counts.MissingForks));
            Assert.InRange(timeline.Lives.Count, lives.Count * 0.85, lives.Count * 1.15);
        }
    }

    [Fact]
    public void Memory_follows_the_tasks_that_live_and_not_the_length_of_the_trace()
    {
        (int Tasks, int Steps, int Living) once = Held(steps: 5_000);
        (int Tasks, int Steps, int Living) longer = Held(steps: 50_000);

        Assert.InRange(longer.Tasks, 1, once.Tasks + 100);
        Assert.InRange(longer.Steps, 1, 400);
        Assert.InRange(longer.Living, 1, once.Living + 60);

        static (int Tasks, int Steps, int Living) Held(int steps)
        {
            using Trace trace = TestData.Require(TestData.ReadTrace(Simulate(7, pids: 100, steps, lost: 0)));
            using ProcessTimeline timeline = ProcessTimeline.Build(trace, maxWaiting: 64);
            Scenario scenario = TestData.ReadScenario(ReplayTests.Rules("""{ "devices": ["wide", "narrow"] }"""));
            using Workload workload = Workload.Plan(timeline, scenario, 1);
            Workload.Reader reader = workload.Open();
            int living = 0;
            while (reader.TryRead(out _))
            {
                living = Math.Max(living, reader.Living);
            }

            Assert.Equal(0, reader.Living);
            Assert.InRange(workload.Steps, timeline.Lives.Count, timeline.Lives.Count * 3L);
            return (timeline.TasksHeld, workload.StepsHeld, living);
        }
    }

    [Fact]
    public void A_process_s_record_is_dropped_at_its_end()
    {
        using var metrics = new RunMetrics("p", ["d"]);
        int most = 0;
        for (ulong number = 1; number <= 1000; number++)
        {
            var process = new SimulatedAddressSpace(number, 1, "a", string.Empty, LifeEnd.Exit);
            foreach (uint pasid in new uint[] { 1, 2 })
            {
                metrics.Add(Event(ReplayEventKind.Bind, process, $"d{pasid}", pasid));
            }

            foreach (uint pasid in new uint[] { 1, 2 })
            {
                metrics.Add(Event(ReplayEventKind.Unbind, process, $"d{pasid}", pasid));
            }

            most = Math.Max(most, metrics.ProcessesHeld);
            metrics.End(number);
        }

        Assert.Equal((1, 0), (most, metrics.ProcessesHeld));
        Assert.Equal((1000, 1000), (metrics.Result().ProcessesBound, metrics.Result().ProcessesWithDifferingPasids));
    }

    private static ReplayEvent Event(ReplayEventKind kind, SimulatedAddressSpace process, string device, uint pasid) =>
        new()
        {
            Kind = kind,
            Operation = ReplayOperation.Bind,
            Process = process,
            Device = device,
            Driver = "d",
            Pasid = new Pasid(pasid),
        };

    private static string Simulate(int seed, int pids, int steps, double lost)
    {
        var lines = new StringBuilder();
        var kernel = new KernelSimulation(seed, pids, lost);
        for (int i = 0; i < steps; i++)
        {
            kernel.Step(lines);
        }

        return lines.ToString();
    }
}
