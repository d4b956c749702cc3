// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;

namespace PasidFramework.Conformance.Running;

/// <summary>Runs cases. A failure or an exception of one does not keep the others from running.</summary>
public static class ConformanceRunner
{
    /// <summary>Name of the hardware of cases that need none.</summary>
    public const string NoHardware = "none";

    /// <summary>Runs the catalogue, or the part of it that was asked for.</summary>
    /// <param name="cancellation">Ends the run between two cases.</param>
    /// <exception cref="ArgumentException">An id or a family is unknown, or a waiver names no case.</exception>
    /// <exception cref="OperationCanceledException">The run was ended; there is no report.</exception>
    public static ConformanceReport Run(
        DriverUnderTest subject, RunOptions options, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(subject);
        ArgumentNullException.ThrowIfNull(options);
        List<CaseResult> results = [];
        foreach (ConformanceCase one in Select(options))
        {
            foreach (IHardwareBackEnd? backEnd in one.NeedsHardware ? subject.BackEnds : [null!])
            {
                cancellation.ThrowIfCancellationRequested();
                options.Starting?.Invoke(one, backEnd?.Name ?? NoHardware);
                CaseResult result = Excuse(RunCase(subject, one, backEnd, options), options);
                results.Add(result);
                options.Progress?.Invoke(result);
            }
        }

        return new ConformanceReport
        {
            Driver = subject.Metadata.Name,
            DriverVersion = subject.Version,
            DriverHash = subject.Hash,
            Seed = options.Seed,
            IsStrict = options.IsStrict,
            Hardware = [.. subject.BackEnds.Select(b => new BackEndNote(b.Name, b.Limits))],
            Results = results,
            WaiverProblems = [.. WaiverProblems(results, options)],
        };
    }

    /// <param name="backEnd">The back end; null for a case that needs none.</param>
    /// <param name="options">Seed and <see cref="RunOptions.Repeat"/> count; waivers do not.</param>
    [SuppressMessage("Design", "CA1031", Justification = "Whatever a driver throws is a verdict on it.")]
    public static CaseResult RunCase(
        DriverUnderTest subject, ConformanceCase one, IHardwareBackEnd? backEnd, RunOptions options)
    {
        ArgumentNullException.ThrowIfNull(subject);
        ArgumentNullException.ThrowIfNull(one);
        ArgumentNullException.ThrowIfNull(options);
        long begin = Stopwatch.GetTimestamp();
        using var context = new CaseContext(subject, one.Id, backEnd, options.Seed);
        Verdict verdict = Verdict.Pass;
        string reason = string.Empty;
        IReadOnlyList<string> details = [];
        try
        {
            one.Run(context);
            context.Finish();
            if (context.Checks == 0)
            {
                (verdict, reason) = (Verdict.Inconclusive, "no check was performed");
            }
        }
        catch (CaseEnd end)
        {
            (verdict, reason, details) = (end.Verdict, end.Message, end.Details);
        }
        catch (HardwareException e)
        {
            (verdict, reason) = (Verdict.Error, $"the hardware broke down: {OneLine(e.Message)}");
        }
        catch (Exception e)
        {
            verdict = Verdict.Error;
            reason = $"{e.GetType().Name}: {OneLine(e.Message)}";
            details = [.. (e.StackTrace ?? string.Empty).Split('\n', StringSplitOptions.TrimEntries)];
        }

        string hardware = backEnd?.Name ?? NoHardware;
        return new CaseResult
        {
            Case = one,
            Hardware = hardware,
            Verdict = verdict,
            Reason = reason,
            Details = verdict is Verdict.Pass or Verdict.NotApplicable ? [] : [.. details, .. context.Notes],
            Repeat = options.Repeat?.Invoke(one, hardware) ?? string.Empty,
            Checks = verdict == Verdict.NotApplicable ? 0 : context.Checks,
            Duration = Stopwatch.GetElapsedTime(begin),
        };
    }

    /// <summary>Whether the driver takes the settings of a run, on its own stand-in: a wrong name or value is the
    /// caller's mistake and no failure of the driver.</summary>
    /// <returns>Success, also where it is not for this to say; EINVAL with the driver's reason where it starts without
    /// settings and refuses these.</returns>
    [SuppressMessage("Design", "CA1031", Justification = "What a driver throws is for the cases to judge.")]
    public static OpResult CheckUnitOptions(DriverUnderTest subject)
    {
        ArgumentNullException.ThrowIfNull(subject);
        if (subject.UnitOptions.Count == 0)
        {
            return OpResult.Ok;
        }

        try
        {
            OpResult with = Start(subject, subject.UnitOptions);
            return with.Errno == Errno.EINVAL && Start(subject, new Dictionary<string, string>()).IsOk ? with
                : OpResult.Ok;
        }
        catch (Exception)
        {
            return OpResult.Ok;
        }
    }

    private static OpResult Start(DriverUnderTest subject, IReadOnlyDictionary<string, string> options)
    {
        using IIommuHardware hardware = subject.Driver.CreateHardware(new SystemMemory(), new HardwareSetup());
        OpResult<IIommuUnit> unit = subject.Driver.CreateUnit(
            new UnitSetup { Name = "unit0", Hardware = hardware, Options = options });
        unit.Value?.Dispose();
        return unit.Outcome;
    }

    private static string OneLine(string text) => text.ReplaceLineEndings(" ");

    private static IEnumerable<ConformanceCase> Select(RunOptions options)
    {
        foreach (string id in options.Cases.Concat(options.Waivers.Select(w => w.Id)))
        {
            if (!ConformanceCatalogue.Cases.Any(c => c.Id == id))
            {
                throw new ArgumentException(
                    $"case '{id}' is unknown; the catalogue has {ConformanceCatalogue.Cases[0].Id} to "
                    + $"{ConformanceCatalogue.Cases[^1].Id}");
            }
        }

        foreach (string family in options.Families)
        {
            if (!ConformanceCatalogue.Families.Contains(family))
            {
                throw new ArgumentException(
                    $"family '{family}' is unknown; expected one of "
                        + $"{string.Join(", ", ConformanceCatalogue.Families)}");
            }
        }

        return ConformanceCatalogue.Cases.Where(c =>
            (options.Cases.Count == 0 || options.Cases.Contains(c.Id))
            && (options.Families.Count == 0 || options.Families.Contains(c.Family)));
    }

    // One file serves runs on different back ends, so that not only those of this run are known.
    internal static bool IsBackEnd(string name) =>
        name is SoftwareBackEnds.Model or SoftwareBackEnds.StandIn or NoHardware or "qemu"
        || name.StartsWith("qemu-", StringComparison.Ordinal);

    private static CaseResult Excuse(CaseResult result, RunOptions options) => result.Verdict == Verdict.Fail
        ? result with
        {
            Waiver = options.Waivers.FirstOrDefault(
                w => w.Covers(result.Case.Id, result.Hardware) && w.Expires >= options.Today),
        }
        : result;

    // A waiver that is no longer needed hides the next failure, so it is as wrong as one.
    private static IEnumerable<string> WaiverProblems(List<CaseResult> results, RunOptions options)
    {
        foreach (Waiver waiver in options.Waivers)
        {
            CaseResult[] fitting = [.. results.Where(r => waiver.Covers(r.Case.Id, r.Hardware))];
            string where = waiver.Hardware is null ? waiver.Id : $"{waiver.Id} on {waiver.Hardware}";
            if (waiver.Expires < options.Today)
            {
                yield return Text($"the waiver of {where} expired on {waiver.Expires:yyyy-MM-dd}");
            }
            else if (waiver.Hardware is { } name && !IsBackEnd(name) && !results.Any(r => r.Hardware == name))
            {
                yield return $"the waiver of {where} names no back end: expected "
                    + $"{SoftwareBackEnds.Model}, {SoftwareBackEnds.StandIn}, {NoHardware}, qemu or qemu-VERSION";
            }
            else if (fitting.Any(r => r.Verdict == Verdict.Pass)
                && fitting.All(r => r.Verdict is Verdict.Pass or Verdict.NotApplicable))
            {
                yield return $"{where} passes: remove its waiver";
            }
        }
    }
}
