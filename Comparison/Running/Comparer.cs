// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Options;

namespace PasidFramework.Comparison.Running;

/// <summary>
/// Replays one workload under several policies through the real core and the real drivers. The same request gives the
/// same result and the same events, byte for byte, however many policies run at one time.
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
    /// <exception cref="IOException">Events or temporary data cannot be written.</exception>
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

        using Workload workload = Workload.Plan(request.Timeline, request.Scenario, request.Seed, cancellation);
        using var runs = new PolicyRuns(request, workload, events, progress, cancellation);
        InputResult<IReadOnlyList<RunResult>> results = runs.RunAll();
        return results.IsOk
            ? InputResult<ComparisonResult>.Ok(new ComparisonResult
            {
                Request = request,
                Runs = results.Value,
                Verdict = Verdict.Of(results.Value),
            })
            : InputResult<ComparisonResult>.Refuse(results.Error);
    }
}
