// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text.Json;

namespace PasidFramework.Recompute;

/// <summary>Compares a report with figures that are computed here, one question at a time.</summary>
internal sealed class Check
{
    private readonly JsonElement _report;
    public Check(string path) => _report = JsonDocument.Parse(File.ReadAllText(path)).RootElement;
    public List<string> Differences { get; } = [];
    public int Compared { get; private set; }

    public void Run(Dictionary<string, List<Line>> runs)
    {
        string[] reported =
            [.. _report.GetProperty("runs").EnumerateArray().Select(r => r.GetProperty("policy").GetString()!)];
        Same("policies", string.Join(' ', reported), string.Join(' ', runs.Keys));
        foreach (JsonElement run in _report.GetProperty("runs").EnumerateArray())
        {
            string policy = run.GetProperty("policy").GetString()!;
            if (runs.TryGetValue(policy, out List<Line>? lines))
            {
                CheckRun(policy, run, lines);
            }
        }
    }

    private void CheckRun(string policy, JsonElement run, List<Line> lines)
    {
        Same($"{policy} binds", run, "binds", Count(lines, "bind"));
        Same($"{policy} unbinds", run, "unbinds", Count(lines, "unbind"));
        Same($"{policy} skippedBinds", run, "skippedBinds", Count(lines, "skip"));
        Same($"{policy} processesBound", run, "processesBound",
            lines.Where(l => l.Kind == "bind").Select(l => l.Process).Distinct().Count());
        Same($"{policy} peakLive", run, "peakLive", PeakLive(lines));
        Same($"{policy} processesWithDifferingPasids", run, "processesWithDifferingPasids", Differing(lines));
        Same($"{policy} complete", lines[0].Kind + lines[^1].Kind, "setupend");

        // Errors that the report does not name have not happened, and the other way round.
        JsonElement failures = run.GetProperty("failures");
        foreach (string errno in failures.EnumerateObject().Select(f => f.Name)
            .Union(lines.Where(l => l.Kind == "refuse").Select(l => l.Errno!)))
        {
            Same($"{policy} failures.{errno}", failures, errno,
                lines.Count(l => l.Kind == "refuse" && l.Errno == errno));
        }

        string[] spaces =
            [.. lines.Where(l => l.Kind == "allocate").Select(l => l.Space!).Distinct().Order(StringComparer.Ordinal)];
        CheckReuse($"{policy}", run, [.. spaces.SelectMany(s => Distances(lines, s))]);
        Same($"{policy} spaces", Names(run, "spaces"), string.Join(' ', spaces));
        foreach (JsonElement space in run.GetProperty("spaces").EnumerateArray())
        {
            string name = space.GetProperty("name").GetString()!;
            Line[] own = [.. lines.Where(l => l.Space == name)];
            Same($"{policy} {name} allocations", space, "allocations", Count(own, "allocate"));
            Same($"{policy} {name} frees", space, "frees", Count(own, "free"));
            Same($"{policy} {name} peakLive", space, "peakLive", PeakLive(own));
            Same($"{policy} {name} highestPasid", space, "highestPasid",
                own.Where(l => l.Kind == "allocate").Max(l => l.Pasid));
            CheckReuse($"{policy} {name}", space, Distances(lines, name));
        }

        Same($"{policy} drivers", Names(run, "drivers"),
            string.Join(' ', lines[0].TableBytes.Keys.Order(StringComparer.Ordinal)));
        foreach (JsonElement driver in run.GetProperty("drivers").EnumerateArray())
        {
            CheckDriver(policy, driver, lines);
        }
    }

    private void CheckDriver(string policy, JsonElement driver, List<Line> lines)
    {
        string name = driver.GetProperty("name").GetString()!;
        string what = $"{policy} {name}";
        Line[] own = [.. lines.Where(l => l.Driver == name)];
        long ends = Commands(lines, name, "unbind") + Commands(lines, name, "exit");
        long binds = Commands(lines, name, "bind");
        long setup = Commands(lines, name, "setup");
        long unbinds = Count(own, "unbind");
        long[] bytes = [.. lines.Where(l => l.TableBytes.ContainsKey(name)).Select(l => l.TableBytes[name])];
        Same($"{what} tableBytesPeak", driver, "tableBytesPeak", bytes.Max());
        Same($"{what} tableBytesFinal", driver, "tableBytesFinal", bytes[^1]);
        Same($"{what} commands", driver, "commands", ends);
        Same($"{what} commandsBind", driver, "commandsBind", binds);
        Same($"{what} commandsSetup", driver, "commandsSetup", setup);
        Same($"{what} commandsTotal", driver, "commandsTotal", setup + binds + ends);
        Same($"{what} binds", driver, "binds", Count(own, "bind"));
        Same($"{what} unbinds", driver, "unbinds", unbinds);
        Same($"{what} failures", driver, "failures", Count(own, "refuse"));
        double each = unbinds == 0 ? 0 : (double)ends / unbinds;
        double reported = driver.GetProperty("commandsPerUnbind").GetDouble();
        Same($"{what} commandsPerUnbind",
            reported.ToString(CultureInfo.InvariantCulture),
            Math.Abs(reported - each) <= 0.000051
                ? reported.ToString(CultureInfo.InvariantCulture)
                : each.ToString(CultureInfo.InvariantCulture));
    }

    private void CheckReuse(string what, JsonElement owner, long[] distances)
    {
        JsonElement reported = owner.GetProperty("reuseDistance");
        Array.Sort(distances);

        // Nearest rank: the smallest value that at least one in a hundred does not exceed.
        long? Quantile() => distances.Length == 0 ? null : distances[(int)Math.Ceiling(distances.Length * 0.01m) - 1];
        Same($"{what} reuseDistance.reuses", reported, "reuses", distances.Length);
        Same($"{what} reuseDistance.min", Shown(reported, "min"), Shown(distances.Length == 0 ? null : distances[0]));
        Same($"{what} reuseDistance.p01", Shown(reported, "p01"), Shown(Quantile()));
    }

    // Frees of the space between a number's own free and its next allocation.
    private static long[] Distances(List<Line> lines, string space)
    {
        var distances = new List<long>();
        var order = new List<long>();
        var last = new Dictionary<long, int>();
        foreach (Line line in lines.Where(l => l.Space == space))
        {
            if (line.Kind == "free")
            {
                last[line.Pasid] = order.Count;
                order.Add(line.Pasid);
            }
            else if (line.Kind == "allocate" && last.TryGetValue(line.Pasid, out int at))
            {
                distances.Add(order.Count - at - 1);
            }
        }

        return [.. distances];
    }

    private long PeakLive(IEnumerable<Line> lines)
    {
        var live = new HashSet<(string, long)>();
        int peak = 0;
        foreach (Line line in lines)
        {
            bool changed = line.Kind switch
            {
                "allocate" => live.Add((line.Space!, line.Pasid)) || Fail($"{line.Pasid} was allocated while live"),
                "free" => live.Remove((line.Space!, line.Pasid)) || Fail($"{line.Pasid} was freed while not live"),
                _ => false,
            };
            peak = changed ? Math.Max(peak, live.Count) : peak;
        }

        return peak;
    }

    private long Differing(List<Line> lines)
    {
        var bound = new Dictionary<long, List<(string Device, long Pasid)>>();
        var differing = new HashSet<long>();
        foreach (Line line in lines)
        {
            if (line.Kind == "bind")
            {
                List<(string Device, long Pasid)> now = bound.TryGetValue(line.Process, out var known)
                    ? known
                    : bound[line.Process] = [];
                now.Add((line.Device!, line.Pasid));
                if (now.Select(b => b.Pasid).Distinct().Count() > 1)
                {
                    differing.Add(line.Process);
                }
            }
            else if (line.Kind == "unbind")
            {
                _ = bound[line.Process].Remove((line.Device!, line.Pasid))
                    || Fail($"{line.Device} was unbound from {line.Process} without a bind");
            }
        }

        return differing.Count;
    }

    // Events that contradict each other cannot be the report's.
    private bool Fail(string message)
    {
        Differences.Add(message);
        return false;
    }

    private static int Count(IEnumerable<Line> lines, string kind) => lines.Count(l => l.Kind == kind);

    private static long Commands(List<Line> lines, string driver, string operation) =>
        lines.Where(l => l.Operation == operation).Sum(l => l.Commands.GetValueOrDefault(driver));

    private static string Names(JsonElement run, string list) =>
        string.Join(' ', run.GetProperty(list).EnumerateArray().Select(e => e.GetProperty("name").GetString()));

    private static string Shown(JsonElement owner, string key) => owner.GetProperty(key).GetRawText();
    private static string Shown(long? value) => value?.ToString(CultureInfo.InvariantCulture) ?? "null";

    private void Same(string what, JsonElement owner, string key, long computed) =>
        Same(what, owner.TryGetProperty(key, out JsonElement value) ? value.GetRawText() : "0", Shown(computed));

    private void Same(string what, string reported, string computed)
    {
        Compared++;
        if (reported != computed)
        {
            Differences.Add($"{what}: report {reported}, events {computed}");
        }
    }
}
