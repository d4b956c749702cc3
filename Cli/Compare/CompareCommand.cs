// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Comparison.Reports;
using System.CommandLine;
using System.Globalization;
using PasidFramework.Allocation;
using PasidFramework.Comparison.Inputs;
using PasidFramework.Comparison.Replay;
using PasidFramework.Comparison.Running;
using PasidFramework.Comparison.Scenarios;
using PasidFramework.Comparison.Traces;

namespace PasidFramework.Cli.Compare;

/// <summary><c>pasidctl compare</c>: allocation policies on a real trace over the loaded drivers.</summary>
internal sealed class CompareCommand(Terminal terminal, CancellationToken cancellation)
{

    private readonly Option<string?> _trace = SharedOptions.Value(
        "--trace",
        "FILE",
        "Raw tracefs text of sched_process_fork/exec/exit, plain or gzip [default: the bundled one]");

    private readonly Option<string?> _scenario = SharedOptions.Value(
        "--scenario", "FILE", "IOMMU instances, devices and rules as JSON [default: the bundled one]");

    private readonly Option<string[]> _policies = SharedOptions.Values(
        "--policy", "NAME", "A policy, or several with commas (may be repeated) [default: all]");

    private readonly Option<string?> _seed = SharedOptions.Value(
        "--seed", "N", "Seed of everything that is drawn [default: Pasid:Seed, or 1]");

    private readonly Option<string?> _json = SharedOptions.Value(
        "--json", "FILE|-", "Write the result as JSON to FILE, or to stdout instead of the table for '-'");

    private readonly Option<string?> _events = SharedOptions.Value(
        "--events", "FILE", "Write every event, one JSON object a line");

    private readonly Option<string[]> _directories = SharedOptions.Directories();

    private readonly Option<string[]> _settings = SharedOptions.Values(
        "--set", "KEY=VALUE", "A setting, such as Pasid:QuarantineFrees=128 (may be repeated)");

    private readonly Option<string?> _config = SharedOptions.Value(
        "--config", "FILE", "File with settings as JSON, section Pasid");

    private readonly Option<bool> _quiet = SharedOptions.Quiet();

    public static Command Create(Terminal terminal, CancellationToken cancellation)
    {
        var compare = new CompareCommand(terminal, cancellation);
        var command = new Command("compare", "Compare PASID allocation policies on a trace of real processes")
        {
            compare._trace, compare._scenario, compare._policies, compare._seed, compare._json, compare._events,
            compare._directories, compare._settings, compare._config, compare._quiet,
        };
        command.SetAction(compare.Run);
        return command;
    }

    private static string Bundled(params ReadOnlySpan<string> path) =>
        Path.Combine([AppContext.BaseDirectory, "data", .. path]);

    private int Run(ParseResult parsed)
    {
        bool quiet = parsed.GetValue(_quiet);
        string? jsonPath = parsed.GetValue(_json);
        string? eventsPath = parsed.GetValue(_events);
        CheckOutputs(jsonPath, eventsPath);

        Scenario scenario = Read(
            "--scenario", parsed.GetValue(_scenario) ?? Bundled("scenarios", "default.json"), ScenarioReader.Read);
        using Trace trace = Read(
            "--trace",
            parsed.GetValue(_trace) ?? Bundled("traces", "dotnet-build.trace.gz"),
            (stream, name) => TraceReader.Read(stream, name, cancellation));

        using PluginCatalog catalog = Plugins.Load(parsed.GetValue(_directories) ?? []);
        IReadOnlyList<Policy> policies = Choose(parsed.GetValue(_policies) ?? [], catalog.Allocators.Keys);
        ulong? seed = ParseSeed(parsed.GetValue(_seed));
        PasidOptions options = Settings.Load(
            parsed.GetValue(_config), parsed.GetValue(_settings) ?? [], policies, seed, catalog.Allocators.Keys);
        using ProcessTimeline timeline = ProcessTimeline.Build(trace);
        var request = new ComparisonRequest
        {
            Timeline = timeline,
            Scenario = scenario,
            Policies = policies,
            Drivers = catalog.Drivers.ToDictionary(d => d.Name, d => d.Instance),
            Allocators = catalog.Allocators,
            Options = options,
            Seed = seed ?? options.Seed,
        };
        bool refused = Plugins.Report(catalog, terminal, quiet);
        CheckDrivers(request, catalog);

        using PendingFile? events = eventsPath is null ? null : PendingFile.Create("--events", eventsPath);
        using PendingFile? json = jsonPath is null or "-" ? null : PendingFile.Create("--json", jsonPath);
        InputResult<ComparisonResult> result = terminal.WithProgress(quiet, show => Comparer.Run(
            request, events?.Stream, show is null ? null : p => show(p.Policy, p.Done), cancellation));
        if (!result.IsOk)
        {
            throw new UsageException(result.Error.ToString());
        }

        Publish(result.Value, jsonPath, json, events, quiet);
        return refused ? ExitCode.Plugin : ExitCode.Ok;
    }

    // Here and not in the parser, which speaks of the types of its own language.
    private static ulong? ParseSeed(string? text)
    {
        if (text is null)
        {
            return null;
        }

        return ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong seed)
            ? seed
            : throw new UsageException($"--seed: '{text}' is not a whole number; expected 0 to {ulong.MaxValue}");
    }

    private static void CheckOutputs(string? json, string? events)
    {
        if (events == "-")
        {
            throw new UsageException("--events: '-' is not possible; expected a file");
        }

        if (json is not null and not "-" && events is not null && Path.GetFullPath(json) == Path.GetFullPath(events))
        {
            throw new UsageException($"--json and --events both name {json}; expected two files");
        }
    }

    private static T Read<T>(string option, string path, Func<Stream, string, InputResult<T>> read)
        where T : class
    {
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16);
            InputResult<T> result = read(stream, path);
            return result.IsOk ? result.Value : throw new UsageException(result.Error.ToString());
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new UsageException($"{path}: no such file; expected a file for {option}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            string why = Directory.Exists(path) ? "is a directory" : $"cannot be read: {e.Message}";
            throw new UsageException($"{path}: {why}; expected a file for {option}");
        }
    }

    private static IReadOnlyList<Policy> Choose(string[] wanted, IEnumerable<string> allocators)
    {
        IReadOnlyList<Policy> known = Policy.Catalogue(allocators);
        string[] names = [.. wanted.SelectMany(w => w.Split(',')).Select(w => w.Trim())];
        if (names.Length == 0)
        {
            return known;
        }

        var chosen = new List<Policy>();
        foreach (string name in names)
        {
            Policy policy = known.FirstOrDefault(p => p.Name == name) ?? throw new UsageException(
                $"--policy: '{name}' is unknown", hint: $"known are {string.Join(", ", known.Select(p => p.Name))}");
            if (!chosen.Contains(policy))
            {
                chosen.Add(policy);
            }
        }

        return chosen;
    }

    private static void CheckDrivers(ComparisonRequest request, PluginCatalog catalog)
    {
        if (request.MissingDrivers() is [{ } missing, ..])
        {
            string loaded = catalog.Drivers.Count == 0
                ? "none"
                : string.Join(", ", catalog.Drivers.Select(d => d.Name));
            throw new UsageException(
                $"{request.Scenario.File}:{missing.Line}: instance {missing.Name} needs the driver '{missing.Driver}', "
                    + $"which is not loaded; loaded: {loaded}",
                ExitCode.Plugin,
                $"searched {string.Join(", ", catalog.SearchedDirectories)}; see 'pasidctl drivers'");
        }
    }

    private void Publish(
        ComparisonResult result, string? jsonPath, PendingFile? json, PendingFile? events, bool quiet)
    {
        using var report = new MemoryStream();
        if (jsonPath is not null)
        {
            JsonReport.Write(result, report);
        }

        if (json is not null)
        {
            report.WriteTo(json.Stream);
        }

        cancellation.ThrowIfCancellationRequested();
        if (jsonPath == "-")
        {
            Output.Write(terminal, report);
            foreach (string note in quiet ? [] : TextReport.Notes(result.Request.Timeline))
            {
                terminal.Say($"note: {note}");
            }
        }
        else
        {
            TextReport.Write(result, terminal.Out);
            terminal.Out.Flush();
        }

        // Last: where stdout cannot take the result, there are no files of it either.
        events?.Commit();
        json?.Commit();
    }
}
