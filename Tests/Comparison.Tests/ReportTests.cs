// SPDX-License-Identifier: Apache-2.0
using System.Text.Json;

namespace PasidFramework.Comparison.Tests;

public class ReportTests
{
    [Fact]
    public void The_keys_that_scripts_rely_on_are_there_in_their_order()
    {
        string json = ReplayTests.Json(ReplayTests.RunResultOf(
            "core/lowest,vendor", ReplayTests.Rules("""{ "devices": ["wide", "narrow"] }"""), ReplayTests.Programs(3)));

        using JsonDocument document = JsonDocument.Parse(json);

        Assert.Equal(File.ReadAllText(Path.Combine(TestData.Vectors, "report-keys.txt")), Keys(document.RootElement));
        Assert.EndsWith("}\n", json, StringComparison.Ordinal);
    }

    [Fact]
    public void What_was_not_reused_is_null()
    {
        string json = ReplayTests.Json(ReplayTests.RunResultOf(
            "core/cyclic", ReplayTests.Rules("""{ "devices": "wide" }"""), ReplayTests.Programs(3)));

        using JsonDocument document = JsonDocument.Parse(json);
        JsonElement distance = document.RootElement.GetProperty("runs")[0].GetProperty("reuseDistance");

        Assert.Equal(JsonValueKind.Null, distance.GetProperty("min").ValueKind);
        Assert.Equal(JsonValueKind.Null, distance.GetProperty("p01").ValueKind);
    }

    [Fact]
    public void The_text_leads_with_the_verdict_and_no_line_exceeds_80_columns()
    {
        ComparisonResult result = ReplayTests.RunResultOf(
            "core/lowest,core/cyclic,vendor", ReplayTests.Rules("""{ "devices": ["wide", "narrow"] }"""), ReplayTests.Programs(30));

        string[] lines = Text(result);

        Assert.StartsWith("Verdict: core/lowest: 0 failures, ", lines[0], StringComparison.Ordinal);
        Assert.All(lines, l => Assert.InRange(l.Length, 0, 80));
        Assert.Contains(lines, l => l.StartsWith("core/cyclic ", StringComparison.Ordinal)
            && l.Contains(" EOVERFLOW ", StringComparison.Ordinal));
    }

    [Fact]
    public void Long_names_many_drivers_and_large_figures_still_fit()
    {
        ComparisonResult real = ReplayTests.RunResultOf(
            "core/lowest", ReplayTests.Rules("""{ "devices": "wide" }"""), ReplayTests.Programs(2));
        RunResult run = real.Runs[0] with
        {
            Policy = "core/a-policy-with-a-very-long-name-indeed",
            Binds = 12_345_678,
            PeakLive = 104_857,
            Failures = new Dictionary<string, int> { ["EOVERFLOW"] = 123_456, ["ENOSPC"] = 654_321, ["ETIMEDOUT"] = 1 },
            ReuseDistance = new ReuseDistance(1, 1_048_575, 1_048_575),
            ProcessesWithDifferingPasids = 999_999,
            Drivers =
            [
                .. Enumerable.Range(1, 7).Select(i => new DriverResult
                {
                    Name = $"a-driver-with-a-very-long-name-{i}",
                    TableBytesPeak = 8L << 40,
                    TableBytesFinal = 999_999L << 10,
                    Commands = 99_999,
                    Unbinds = 10,
                }),
            ],
        };

        string[] lines = Text(real with { Runs = [run], Verdict = Verdict.Of([run]) });

        Assert.All(lines, l => Assert.InRange(l.Length, 0, 80));
        Assert.Equal(3, lines.Count(l => l.StartsWith("tables in KiB", StringComparison.Ordinal)));
        Assert.Contains(lines, l => l.TrimStart() == "654321 ENOSPC");
        Assert.Contains(lines, l => l.Contains("8388608M", StringComparison.Ordinal)
            || l.Contains("838860~", StringComparison.Ordinal));
    }

    [Fact]
    public void What_the_trace_does_not_show_is_said()
    {
        string trace = "CPU:0 [LOST 3 EVENTS]\n" + ReplayTests.Programs(2);

        string[] lines = Text(ReplayTests.RunResultOf("core/lowest", ReplayTests.Rules("""{ "devices": "wide" }"""), trace));

        Assert.Contains(lines, l =>
            l.StartsWith("Note:    the trace has 1 gaps with 3 lost events", StringComparison.Ordinal));
    }

    [Fact]
    public void The_verdict_follows_its_rules_in_their_order()
    {
        RunResult fails = Run("core/a", failures: 1, distance: 100, bytes: 1);
        RunResult small = Run("core/b", failures: 0, distance: 5, bytes: 1);
        RunResult rests = Run("core/c", failures: 0, distance: 50, bytes: 9);
        RunResult dense = Run("core/d", failures: 0, distance: 50, bytes: 8);
        RunResult never = Run("vendor", failures: 0, distance: null, bytes: 99);

        Assert.Equal("core/a", Verdict.Of([fails]).Policy);
        Assert.Equal("core/b", Verdict.Of([fails, small]).Policy);
        Assert.Equal("core/c", Verdict.Of([small, rests]).Policy);
        Assert.Equal("core/d", Verdict.Of([rests, dense, small]).Policy);
        Assert.Equal("vendor", Verdict.Of([rests, dense, never]).Policy);
        Assert.Equal("core/c", Verdict.Of([rests, rests with { Policy = "core/later" }]).Policy);
        Assert.Null(Verdict.Of([rests]).Ownership);
        Assert.Contains("core/d", Verdict.Of([rests, dense, never]).Ownership, StringComparison.Ordinal);
    }

    [Fact]
    public void The_verdict_changes_when_a_run_does()
    {
        // The same rules on the same trace, with a narrow device that is bound last or first.
        string last = ReplayTests.Rules("""{ "devices": ["wide", "narrow"] }""");
        string first = ReplayTests.Rules("""{ "devices": ["narrow", "wide"] }""");
        string trace = ReplayTests.Programs(5);

        Assert.Equal("core/lowest", ReplayTests.RunResultOf("core/cyclic,core/lowest", last, trace).Verdict.Policy);
        Assert.Equal("core/cyclic", ReplayTests.RunResultOf("core/cyclic,core/lowest", first, trace).Verdict.Policy);
    }

    private static RunResult Run(string policy, int failures, long? distance, long bytes) => new()
    {
        Policy = policy,
        Failures = new Dictionary<string, int> { ["ENOSPC"] = failures },
        ReuseDistance = new ReuseDistance(1, distance, distance),
        Drivers = [new DriverResult { Name = "fake", TableBytesPeak = bytes << 10 }],
        Spaces = [],
    };

    private static string[] Text(ComparisonResult result)
    {
        using var writer = new StringWriter();
        TextReport.Write(result, writer);
        return writer.ToString().Split('\n');
    }

    // Each key once with its path, in the order of the document.
    private static string Keys(JsonElement root)
    {
        var keys = new List<string>();
        Collect(root, string.Empty, keys);
        return string.Concat(keys.Distinct().Select(k => k + "\n"));
    }

    private static void Collect(JsonElement value, string path, List<string> keys)
    {
        if (value.ValueKind == JsonValueKind.Object)
        {
            foreach (JsonProperty member in value.EnumerateObject())
            {
                keys.Add(path + member.Name);
                Collect(member.Value, $"{path}{member.Name}.", keys);
            }
        }
        else if (value.ValueKind == JsonValueKind.Array)
        {
            foreach (JsonElement item in value.EnumerateArray())
            {
                Collect(item, path, keys);
            }
        }
    }
}
