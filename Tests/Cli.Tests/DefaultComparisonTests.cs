// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Cli.Tests;

public sealed class DefaultComparisonTests(DefaultComparison comparison) : IClassFixture<DefaultComparison>
{
    private static readonly string[] s_policies =
        ["core/cyclic", "core/lowest", "core/top-down", "core/random", "core/quarantine", "vendor"];

    [Fact]
    public void It_lists_every_policy_with_all_three_drivers()
    {
        Assert.Equal(string.Empty, comparison.Error);
        Assert.Equal(0, comparison.ExitCode);
        using JsonDocument report = JsonDocument.Parse(File.ReadAllText(comparison.Report));
        JsonElement[] runs = [.. report.RootElement.GetProperty("runs").EnumerateArray()];

        Assert.Equal("schemaVersion", report.RootElement.EnumerateObject().First().Name);
        Assert.Equal(s_policies, runs.Select(r => r.GetProperty("policy").GetString()));
        Assert.All(runs, r => Assert.Equal(
            ["arm-smmu", "intel-vtd", "virtio-iommu"],
            r.GetProperty("drivers").EnumerateArray().Select(d => d.GetProperty("name").GetString())));
        Assert.All(runs, r => Assert.Equal(r.GetProperty("binds").GetInt64(), r.GetProperty("unbinds").GetInt64()));
        Assert.All(
            runs.SelectMany(r => r.GetProperty("drivers").EnumerateArray()),
            d => Assert.True(d.GetProperty("tableBytesPeak").GetInt64() > 0 && d.GetProperty("commands")
                .GetInt64() > 0));
    }

    [Fact]
    public void Policies_differ_as_their_definitions_say()
    {
        using JsonDocument report = JsonDocument.Parse(File.ReadAllText(comparison.Report));
        Dictionary<string, JsonElement> runs = report.RootElement.GetProperty("runs").EnumerateArray()
            .ToDictionary(r => r.GetProperty("policy").GetString()!);

        Assert.Equal(0, Failures("core/lowest"));
        Assert.True(Failures("core/cyclic") > 0 && Failures("core/random") > Failures("core/cyclic"));
        Assert.Equal(0, Distance("core/lowest"));
        Assert.Equal(64, Distance("core/quarantine"));
        Assert.True(Distance("core/cyclic") > 64);
        Assert.True(Tables("core/random") > Tables("core/cyclic") && Tables("core/cyclic") > Tables("core/lowest"));
        Assert.Equal(0, runs["core/lowest"].GetProperty("processesWithDifferingPasids").GetInt64());
        Assert.True(runs["vendor"].GetProperty("processesWithDifferingPasids").GetInt64() > 0);

        long Failures(string policy) => runs[policy].GetProperty("failures").EnumerateObject()
            .Sum(f => f.Value.GetInt64());

        long Distance(string policy) => runs[policy].GetProperty("reuseDistance").GetProperty("min").GetInt64();

        long Tables(string policy) => runs[policy].GetProperty("drivers").EnumerateArray()
            .Sum(d => d.GetProperty("tableBytesPeak").GetInt64());
    }

    [Fact]
    public void Every_figure_can_be_recomputed_from_the_events()
    {
        Outcome outcome = Tool.Recompute(comparison.Events, comparison.Report);

        Assert.Equal((0, string.Empty), (outcome.ExitCode, outcome.Error));
        Assert.Matches(@"^3\d\d figures of 6 runs compared, 0 differ\n$", outcome.Out);
    }

    [Fact]
    public void The_same_again_gives_the_same_bytes_from_another_folder_and_to_stdout()
    {
        using var folder = new TemporaryFolder();
        string trace = folder["dotnet-build.trace.gz"];
        File.Copy(Path.Combine(Tool.Folder, "data", "traces", "dotnet-build.trace.gz"), trace);

        Outcome again =
            Tool.Run("compare", "--json", "-", "--events", folder["e"], "--trace", trace, "--seed", "1", "--quiet");

        Assert.Equal(0, again.ExitCode);
        Assert.Equal(File.ReadAllText(comparison.Report), again.Out);
        Assert.Equal(File.ReadAllBytes(comparison.Events), File.ReadAllBytes(folder["e"]));
        Assert.DoesNotContain(folder.Root, again.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void The_table_leads_with_the_verdict_fits_80_columns_and_has_no_control_sequence()
    {
        string[] lines = Tool.Lines(comparison.Text);

        Assert.StartsWith("Verdict: core/", lines[0], StringComparison.Ordinal);
        Assert.All(lines, l => Assert.InRange(l.Length, 1, 80));
        Assert.All(comparison.Text, c => Assert.True(c is '\n' or >= ' ' and <= '~', $"U+{(int)c:X4}"));
        Assert.All(s_policies, p => Assert.Equal(2, lines.Count(l => l.StartsWith(p + " ", StringComparison.Ordinal))));
    }

    [Fact]
    public void Nothing_but_the_two_files_is_left() =>
        Assert.Equal(
            ["events.jsonl", "report.json"],
            Directory.EnumerateFileSystemEntries(comparison.Root).Select(f => Path.GetFileName(f)).Order());
}
