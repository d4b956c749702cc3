// SPDX-License-Identifier: Apache-2.0
using System.Xml.Linq;

namespace PasidFramework.Cli.Tests;

public class VerifyTests
{
    private static string Reference => Path.Combine(
        Tool.Binary("Drivers.Reference"), "PasidFramework.Drivers.Reference.dll");

    // It ignores an option of its stand-in, so that it does not conform.
    private static string Broken => Path.Combine(
        Tool.Binary("TestDrivers.Good"), "PasidFramework.TestDrivers.Good.dll");

    [Fact]
    public void A_bare_dll_is_judged_and_the_json_has_the_promised_keys()
    {
        Outcome outcome = Tool.Run("verify", Reference, "--format", "json");

        Assert.Equal(0, outcome.ExitCode);
        Assert.Equal(string.Empty, outcome.Error);
        using JsonDocument json = JsonDocument.Parse(outcome.Out);
        JsonElement root = json.RootElement;
        Assert.Equal(1, root.GetProperty("schemaVersion").GetInt32());
        Assert.Equal("reference", root.GetProperty("driver").GetString());
        JsonElement summary = root.GetProperty("summary");
        JsonElement[] cases = [.. root.GetProperty("cases").EnumerateArray()];
        foreach (string verdict in new[] { "pass", "fail", "error", "inconclusive", "notApplicable" })
        {
            Assert.Equal(
                cases.Count(c => c.GetProperty("verdict").GetString() == verdict), summary.GetProperty(verdict)
                    .GetInt32());
        }

        Assert.Equal(0, summary.GetProperty("fail").GetInt32() + summary.GetProperty("error").GetInt32());
        Assert.True(summary.GetProperty("pass").GetInt32() > 60);
        Assert.All(cases, c => Assert.All(
            new[] { "id", "family", "level", "clause", "hardware", "verdict", "reason" },
            key => Assert.Equal(JsonValueKind.String, c.GetProperty(key).ValueKind)));
        Assert.All(
            cases.Where(c => c.GetProperty("verdict").GetString() != "pass"),
            c => Assert.NotEmpty(c.GetProperty("reason").GetString()!));
    }

    [Fact]
    public void A_driver_that_fails_is_exit_1_and_the_repeat_line_repeats_it()
    {
        Outcome outcome = Tool.Run("verify", Broken, "--case", "OPT-002", "--format", "json");

        Assert.Equal(1, outcome.ExitCode);
        using JsonDocument json = JsonDocument.Parse(outcome.Out);
        JsonElement one = Assert.Single(json.RootElement.GetProperty("cases").EnumerateArray());
        Assert.Equal("fail", one.GetProperty("verdict").GetString());
        string[] repeat = one.GetProperty("repeat").GetString()!.Split(' ');
        Assert.Equal("pasidctl", repeat[0]);
        Outcome again = Tool.Run([.. repeat[1..], "--format", "json"]);
        Assert.Equal(1, again.ExitCode);
        using JsonDocument second = JsonDocument.Parse(again.Out);
        Assert.Equal(
            one.GetProperty("reason").GetString(),
            second.RootElement.GetProperty("cases")[0].GetProperty("reason").GetString());
    }

    [Fact]
    public void A_waiver_excuses_a_failure_until_it_is_not_needed_or_expires()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["w.json"], """
            [{"id":"OPT-002","reason":"known","issue":"ACME-7","expires":"2999-12-31"}]
            """);
        File.WriteAllText(folder["old.json"], """
            [{"id":"OPT-002","reason":"known","issue":"ACME-7","expires":"2020-01-01"}]
            """);

        Outcome excused = Tool.Run("verify", Broken, "--case", "OPT-002", "--waivers", folder["w.json"]);
        Outcome expired = Tool.Run("verify", Broken, "--case", "OPT-002", "--waivers", folder["old.json"]);
        Outcome needless = Tool.Run("verify", Reference, "--case", "OPT-002", "--waivers", folder["w.json"]);

        Assert.Equal(0, excused.ExitCode);
        Assert.Contains("ACME-7", excused.Out, StringComparison.Ordinal);
        Assert.Equal(1, expired.ExitCode);
        Assert.Contains("expired", expired.Out, StringComparison.Ordinal);
        Assert.Equal(1, needless.ExitCode);
        Assert.Contains("remove its waiver", needless.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void A_dll_that_cannot_be_loaded_is_one_line_and_exit_3()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["garbage.dll"], "not an assembly");
        string throwing = Path.Combine(
            Tool.Binary("TestDrivers.ThrowingConstructor"), "PasidFramework.TestDrivers.ThrowingConstructor.dll");

        foreach ((string path, string expected) in new[]
        {
            (folder["garbage.dll"], "garbage.dll"),
            (throwing, "NotSupportedException"),
            (Path.Combine(Tool.Folder, "Spectre.Console.dll"), "exports nothing"),
        })
        {
            Outcome outcome = Tool.Run("verify", path);

            Assert.Equal(3, outcome.ExitCode);
            Assert.Equal(string.Empty, outcome.Out);
            string line = Assert.Single(Tool.Lines(outcome.Error));
            Assert.Contains(expected, line, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Strict_counts_what_could_be_shown_nowhere()
    {
        string[] arguments = ["verify", Broken, "--case", "MET-004", "--case", "OPT-001"];

        Assert.Equal(0, Tool.Run(arguments).ExitCode);
        Assert.Equal(1, Tool.Run([.. arguments, "--strict"]).ExitCode);
    }

    [Fact]
    public void A_run_that_shows_nothing_is_no_success()
    {
        Outcome outcome = Tool.Run("verify", Broken, "--case", "MET-004");

        Assert.Equal(1, outcome.ExitCode);
        Assert.Contains("Nothing is known of good", outcome.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void The_cases_are_listed_without_a_driver()
    {
        Outcome all = Tool.Run("verify", "--list");
        Outcome family = Tool.Run("verify", "--list", "--family", "options");

        Assert.Equal(0, all.ExitCode);
        Assert.Contains("INV-003  Required", all.Out, StringComparison.Ordinal);
        Assert.All(Tool.Lines(all.Out), l => Assert.InRange(l.Length, 0, 80));
        Assert.Equal(4, Tool.Lines(family.Out).Count(l => l.StartsWith("  OPT-", StringComparison.Ordinal)));
        Assert.Equal(2, Tool.Run("verify", "intel-vtd", "--list").ExitCode);
        Outcome none = Tool.Run("verify");
        Assert.Equal(2, none.ExitCode);
        Assert.Contains("no driver is given", none.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_wrong_setting_is_the_callers_mistake()
    {
        Outcome outcome = Tool.Run("verify", "virtio-iommu", "--case", "OPT-001", "--unit", "dialekt=E");

        Assert.Equal(2, outcome.ExitCode);
        Assert.Equal(string.Empty, outcome.Out);
        Assert.Contains("--unit", outcome.Error, StringComparison.Ordinal);
        Assert.Contains("dialekt", outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_driver_that_ends_the_process_does_not_make_its_own_verdict()
    {
        using var folder = new TemporaryFolder();

        Outcome outcome = Tool.RunIn(
            new Dictionary<string, string> { ["PASID_TEST_DRIVER_EXITS"] = "1" },
            "verify",
            Broken,
            "--case",
            "OPT-004",
            "--out",
            folder["report.txt"]);

        Assert.Equal(1, outcome.ExitCode);
        Assert.Equal(string.Empty, outcome.Out);
        Assert.Contains("the process was ended while OPT-004 on none was running", outcome.Error,
            StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFiles(folder.Root));
    }

    [Fact]
    public void Every_format_is_written_and_the_text_fits_80_columns()
    {
        using var folder = new TemporaryFolder();
        foreach (string format in new[] { "text", "json", "junit", "tap", "html" })
        {
            Outcome outcome = Tool.Run(
                "verify", Reference, "--family", "options", "--format", format, "--out", folder[format]);
            Assert.Equal(0, outcome.ExitCode);
            Assert.Equal(string.Empty, outcome.Out);
            Assert.Contains("reference conforms", Assert.Single(Tool.Lines(outcome.Error)), StringComparison.Ordinal);
        }

        Assert.All(
            File.ReadLines(folder["text"]).Where(l => !l.Contains('/', StringComparison.Ordinal)),
            l => Assert.InRange(l.Length, 0, 80));
        Assert.Equal(4, XDocument.Load(folder["junit"]).Descendants("testcase").Count());
        Assert.Contains("1..4", File.ReadAllText(folder["tap"]), StringComparison.Ordinal);
        Assert.StartsWith("<!DOCTYPE html>", File.ReadAllText(folder["html"]), StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public void Without_qemu_there_is_one_clear_line()
    {
        using var folder = new TemporaryFolder();
        Outcome outcome = Tool.RunIn(
            new Dictionary<string, string> { ["PASID_QEMU_HOME"] = folder.Root, ["PATH"] = folder.Root },
            "verify",
            "intel-vtd",
            "--hardware",
            "qemu",
            "--case",
            "INV-001");

        Assert.Equal(2, outcome.ExitCode);
        Assert.Contains($"no QEMU in {folder.Root} or on PATH", outcome.Error, StringComparison.Ordinal);
        Assert.Contains("eng/install-qemu", outcome.Error, StringComparison.Ordinal);
    }
}
