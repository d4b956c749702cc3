// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Options;

namespace PasidFramework.Comparison.Running;

/// <summary>
/// Replays one workload under several policies through the real core and the real drivers. The same request gives the
/// same result and the same events, byte for byte.
/// </summary>
public static class Comparer
{
    /// <summary>Runs a comparison.</summary>
    /// <param name="request">What to compare.</param>
    /// <param name="events">
    /// Where every event is written as JSON, one object a line; null for nowhere. What was written is complete only
    /// if the call returns a result.
    /// </param>
    /// <param name="progress">Progress from 0 to 1; called on the caller's thread.</param>
    /// <param name="cancellation">Ends it early.</param>
    /// <returns>The result, or what of the scenario the core or a driver refused.</returns>
    /// <exception cref="ArgumentException">A driver of the scenario is missing, or there is no policy.</exception>
    /// <exception cref="OptionsValidationException">The options do not fit a policy.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    /// <exception cref="InvalidOperationException">Core or driver broke a promise, such as leaking memory.</exception>
    public static InputResult<ComparisonResult> Run(
        ComparisonRequest request,
        Stream? events = null,
        Action<ComparisonProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (request.Policies.Count == 0)
        {
            throw new ArgumentException("A comparison needs a policy.", nameof(request));
        }

        if (request.MissingDrivers() is [{ } missing, ..])
        {
            throw new ArgumentException(
                $"Instance {missing.Name} needs the driver '{missing.Driver}', which is not there.", nameof(request));
        }

        Workload workload = Workload.Plan(request.Timeline, request.Scenario, request.Seed);
        using EventWriter? writer = events is null ? null : new EventWriter(events);
        var runs = new List<RunResult>();
        foreach (Policy policy in request.Policies)
        {
            int done = runs.Count;
            Action<int>? stepsDone = progress is null ? null : steps => progress(new ComparisonProgress(
                policy.Name,
                (done + ((double)steps / Math.Max(1, workload.Steps.Count))) / request.Policies.Count));
            InputResult<RunResult> run = Replay(request, workload, policy, writer, stepsDone, cancellation);
            if (!run.IsOk)
            {
                return InputResult<ComparisonResult>.Refuse(run.Error);
            }

            runs.Add(run.Value);
        }

        return InputResult<ComparisonResult>.Ok(new ComparisonResult
        {
            Request = request,
            Runs = runs,
            Verdict = Verdict.Of(runs),
        });
    }

    private static InputResult<RunResult> Replay(
        ComparisonRequest request,
        Workload workload,
        Policy policy,
        EventWriter? writer,
        Action<int>? stepsDone,
        CancellationToken cancellation)
    {
        PasidOptions options = policy.Derive(request.Options, request.Seed);
        var sink = new Sink(writer);
        using var replay = new PolicyReplay(
            request.Scenario, workload, Microsoft.Extensions.Options.Options.Create(options), request.Allocators, sink);
        sink.Begin(policy, replay.Drivers);
        if (replay.SetUp(request.Drivers) is { } error)
        {
            return InputResult<RunResult>.Refuse(error);
        }

        replay.Run(stepsDone, cancellation);
        replay.TearDown();
        return InputResult<RunResult>.Ok(sink.Metrics.Result());
    }

    private sealed class Sink(EventWriter? writer) : IReplaySink
    {
        public RunMetrics Metrics { get; private set; } = new(string.Empty, []);

        public void Begin(Policy policy, IReadOnlyList<string> drivers)
        {
            Metrics = new RunMetrics(policy.Name, drivers);
            writer?.Begin(policy, drivers);
        }

        public void Add(ReplayEvent happened)
        {
            Metrics.Add(happened);
            writer?.Add(happened);
        }
    }
}
