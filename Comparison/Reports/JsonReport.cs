// SPDX-License-Identifier: Apache-2.0
using System.Text.Encodings.Web;
using System.Text.Json;
using PasidFramework.Comparison.Running;

namespace PasidFramework.Comparison.Reports;

/// <summary>
/// Writes a result as JSON. Scripts rely on the keys: none is renamed or removed within one schema version. Nothing
/// in it depends on the machine, the folder or the time of the run.
/// </summary>
public static class JsonReport
{
    /// <summary>Version of the keys.</summary>
    public const int SchemaVersion = 1;

    /// <summary>Writes a result, ended by a line feed.</summary>
    /// <param name="destination">Where to.</param>
    public static void Write(ComparisonResult result, Stream destination)
    {
        ArgumentNullException.ThrowIfNull(result);
        ArgumentNullException.ThrowIfNull(destination);
        using (var json = new Utf8JsonWriter(destination, new JsonWriterOptions
        {
            Indented = true,
            NewLine = "\n",
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        }))
        {
            json.WriteStartObject();
            json.WriteNumber("schemaVersion", SchemaVersion);
            WriteVerdict(json, result.Verdict);
            WriteTrace(json, result.Request.Timeline);
            WriteScenario(json, result.Request.Scenario);
            json.WriteNumber("seed", result.Request.Seed);
            WriteOptions(json, result.Request);
            json.WriteStartArray("runs");
            foreach (RunResult run in result.Runs)
            {
                WriteRun(json, run);
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        destination.WriteByte((byte)'\n');
    }

    private static void WriteVerdict(Utf8JsonWriter json, Verdict verdict)
    {
        json.WriteStartObject("verdict");
        json.WriteString("policy", verdict.Policy);
        json.WriteString("text", verdict.Text);
        json.WriteString("rule", Verdict.Rule);
        json.WriteString("ownership", verdict.Ownership);
        json.WriteEndObject();
    }

    private static void WriteTrace(Utf8JsonWriter json, ProcessTimeline timeline)
    {
        Trace trace = timeline.Trace;
        TimelineCounts counts = timeline.Counts;
        json.WriteStartObject("trace");
        json.WriteString("file", trace.File);
        json.WriteString("sha256", trace.Sha256);
        json.WriteNumber("events", trace.Events.Count);
        json.WriteNumber("forks", counts.Forks);
        json.WriteNumber("execs", counts.Execs);
        json.WriteNumber("exits", counts.Exits);
        json.WriteNumber("processes", counts.Processes);
        json.WriteNumber("threads", counts.Threads);
        json.WriteNumber("kernelThreads", counts.KernelThreads);
        json.WriteNumber("addressSpaces", counts.AddressSpaces);
        json.WriteNumber("startedBefore", counts.StartedBefore);
        json.WriteNumber("endedAfter", counts.EndedAfter);
        json.WriteNumber("ambiguous", counts.Ambiguous);
        json.WriteNumber("unattributed", counts.Unattributed);
        json.WriteNumber("lostEvents", trace.LostEvents);
        json.WriteNumber("lostGaps", trace.LostGaps);
        json.WriteNumber("missingForks", counts.MissingForks);
        json.WriteNumber("missingExits", counts.MissingExits);
        json.WriteNumber("outOfOrder", trace.OutOfOrder);
        json.WriteNumber("firstOutOfOrderLine", trace.FirstOutOfOrderLine);
        json.WriteNumber("ignoredEvents", trace.IgnoredEvents);
        json.WriteNumber("startSeconds", trace.FirstNanoseconds / 1_000_000_000m);
        json.WriteNumber("durationSeconds", (trace.LastNanoseconds - trace.FirstNanoseconds) / 1_000_000_000m);
        json.WriteEndObject();
    }

    private static void WriteScenario(Utf8JsonWriter json, Scenario scenario)
    {
        json.WriteStartObject("scenario");
        json.WriteString("file", scenario.File);
        json.WriteString("sha256", scenario.Sha256);
        json.WriteString("name", scenario.Name);
        json.WriteNumber("tenants", scenario.Tenants);
        json.WriteStartArray("instances");
        foreach (ScenarioInstance instance in scenario.Instances)
        {
            json.WriteStartObject();
            json.WriteString("name", instance.Name);
            json.WriteString("driver", instance.Driver);
            json.WriteNumber("pasidBits", instance.PasidBits);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("devices");
        foreach (ScenarioDevice device in scenario.Devices)
        {
            json.WriteStartObject();
            json.WriteString("name", device.Name);
            json.WriteString("instance", device.Instance);
            json.WriteString("domain", device.Domain);
            json.WriteNumber("firstPasid", device.Range.First);
            json.WriteNumber("lastPasid", device.Range.Last);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteNumber("rules", scenario.Rules.Count);
        json.WriteEndObject();
    }

    private static void WriteOptions(Utf8JsonWriter json, ComparisonRequest request)
    {
        PasidOptions options = request.Options;
        json.WriteStartObject("options");
        json.WriteNumber("first", options.First);
        json.WriteNumber("last", options.Last);
        json.WriteStartArray("reserved");
        foreach (long reserved in options.Reserved)
        {
            json.WriteNumberValue(reserved);
        }

        json.WriteEndArray();
        json.WriteNumber("quarantineFrees", Policy.QuarantineFrees(options));
        json.WriteNumber("quarantineMilliseconds", options.QuarantineMilliseconds);
        json.WriteNumber("quotaPerTenant", options.QuotaPerTenant);
        json.WriteString("lifetime", options.Lifetime);
        json.WriteEndObject();
    }

    private static void WriteRun(Utf8JsonWriter json, RunResult run)
    {
        json.WriteStartObject();
        json.WriteString("policy", run.Policy);
        json.WriteNumber("binds", run.Binds);
        json.WriteNumber("unbinds", run.Unbinds);
        json.WriteStartObject("failures");
        foreach ((string errno, int count) in run.Failures)
        {
            json.WriteNumber(errno, count);
        }

        json.WriteEndObject();
        json.WriteNumber("skippedBinds", run.SkippedBinds);
        json.WriteNumber("peakLive", run.PeakLive);
        WriteReuse(json, run.ReuseDistance);
        json.WriteNumber("processesBound", run.ProcessesBound);
        json.WriteNumber("processesWithDifferingPasids", run.ProcessesWithDifferingPasids);
        json.WriteStartArray("drivers");
        foreach (DriverResult driver in run.Drivers)
        {
            WriteDriver(json, driver);
        }

        json.WriteEndArray();
        json.WriteStartArray("spaces");
        foreach (SpaceResult space in run.Spaces)
        {
            json.WriteStartObject();
            json.WriteString("name", space.Name);
            json.WriteNumber("allocations", space.Allocations);
            json.WriteNumber("frees", space.Frees);
            json.WriteNumber("peakLive", space.PeakLive);
            json.WriteNumber("highestPasid", space.HighestPasid);
            WriteReuse(json, space.ReuseDistance);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteDriver(Utf8JsonWriter json, DriverResult driver)
    {
        json.WriteStartObject();
        json.WriteString("name", driver.Name);
        json.WriteNumber("tableBytesPeak", driver.TableBytesPeak);
        json.WriteNumber("tableBytesFinal", driver.TableBytesFinal);
        json.WriteNumber("commands", driver.Commands);
        json.WriteNumber("commandsPerUnbind", driver.CommandsPerUnbind);
        json.WriteNumber("commandsBind", driver.CommandsBind);
        json.WriteNumber("commandsSetup", driver.CommandsSetup);
        json.WriteNumber("commandsTotal", driver.CommandsTotal);
        json.WriteNumber("binds", driver.Binds);
        json.WriteNumber("unbinds", driver.Unbinds);
        json.WriteNumber("failures", driver.Failures);
        json.WriteEndObject();
    }

    private static void WriteReuse(Utf8JsonWriter json, ReuseDistance distance)
    {
        json.WriteStartObject("reuseDistance");
        WriteNullable(json, "min", distance.Minimum);
        WriteNullable(json, "p01", distance.Percentile01);
        json.WriteNumber("reuses", distance.Reuses);
        json.WriteEndObject();
    }

    private static void WriteNullable(Utf8JsonWriter json, string name, long? value)
    {
        if (value is { } number)
        {
            json.WriteNumber(name, number);
        }
        else
        {
            json.WriteNull(name);
        }
    }
}
