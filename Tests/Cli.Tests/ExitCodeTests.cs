// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Cli.Tests;

public class ExitCodeTests
{
    private static readonly string[] s_small =
        ["--trace", Path.Combine(Tool.Vectors, "small.trace"), "--scenario", Path.Combine(Tool.Vectors, "small.json")];

    public static TheoryData<string, string> UsageErrors()
    {
        var data = new TheoryData<string, string>();
        foreach (string line in File.ReadLines(Path.Combine(Tool.Vectors, "usage.txt")).Where(l => !l.StartsWith('#')))
        {
            string[] parts = line.Split(" | ", 2);
            data.Add(parts[0], parts[1]);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(UsageErrors))]
    public void What_the_user_got_wrong_is_one_line_on_stderr_and_exit_2(string arguments, string expected)
    {
        using var folder = new TemporaryFolder();

        Outcome outcome = Tool.Run(
        [
            .. arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(a => a
                .Replace("{dir}", folder.Root, StringComparison.Ordinal)
                .Replace("{vectors}", Tool.Vectors, StringComparison.Ordinal)),
        ]);

        Assert.Equal(2, outcome.ExitCode);
        Assert.Equal(string.Empty, outcome.Out);
        Assert.Contains(expected, outcome.Error, StringComparison.Ordinal);
        string[] lines = Tool.Lines(outcome.Error);
        Assert.InRange(lines.Length, 1, 2);
        Assert.All(lines, l => Assert.StartsWith("pasidctl: ", l, StringComparison.Ordinal));
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Root));
    }

    [Fact]
    public void A_malformed_trace_leaves_no_output_file()
    {
        using var folder = new TemporaryFolder();

        Outcome outcome = Tool.Run(
            "compare", "--trace", Path.Combine(Tool.Vectors, "malformed.trace"), "--json", folder["r"], "--events",
            folder["e"]);

        Assert.Equal(2, outcome.ExitCode);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Root));
    }

    [Fact]
    public void A_broken_plug_in_is_named_and_skipped_and_the_result_is_complete()
    {
        using var folder = new TemporaryFolder();
        string drivers = folder.Copy(Tool.Drivers, "drivers");
        Directory.CreateDirectory(Path.Combine(drivers, "broken"));
        File.WriteAllText(Path.Combine(drivers, "broken", "broken.dll"), "this is no assembly");
        folder.Copy(Tool.Binary("TestDrivers.ThrowingConstructor"), Path.Combine("drivers", "throwing"));

        Outcome outcome = Tool.Run(["compare", .. s_small, "--drivers", drivers, "--json", "-"]);

        Assert.Equal(3, outcome.ExitCode);
        using JsonDocument report = JsonDocument.Parse(outcome.Out);
        Assert.Equal(6, report.RootElement.GetProperty("runs").GetArrayLength());
        string[] lines = Tool.Lines(outcome.Error);
        Assert.Equal(2, lines.Length);
        Assert.Contains("broken.dll: not a .NET assembly", lines[0], StringComparison.Ordinal);
        Assert.Contains("ThrowingConstructor", lines[1], StringComparison.Ordinal);
        Assert.All(lines, l => Assert.StartsWith("pasidctl: skipped ", l, StringComparison.Ordinal));
    }

    [Fact]
    public void A_folder_without_a_driver_is_a_line_and_exit_3()
    {
        using var folder = new TemporaryFolder();

        Outcome listed = Tool.Run("drivers", "--drivers", folder.Root);
        Outcome compared = Tool.Run(["compare", .. s_small, "--drivers", folder.Root]);

        Assert.Equal((3, 3), (listed.ExitCode, compared.ExitCode));
        Assert.Contains($"no driver found in {folder.Root}", listed.Error, StringComparison.Ordinal);
        Assert.Equal(string.Empty, compared.Out);
    }

    [Fact]
    public void A_symbolic_link_stays_one_and_a_device_is_written_to()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["target"], "old");
        File.CreateSymbolicLink(folder["link"], folder["target"]);

        Assert.Equal(0, Tool.Run(["compare", .. s_small, "--json", folder["link"], "--events", "/dev/null"]).ExitCode);

        Assert.NotNull(new FileInfo(folder["link"]).LinkTarget);
        Assert.StartsWith("{", File.ReadAllText(folder["target"]), StringComparison.Ordinal);
        Assert.Equal(["link", "target"], Directory.GetFiles(folder.Root).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void Output_that_cannot_be_written_is_a_line_and_leaves_no_file()
    {
        using var folder = new TemporaryFolder();

        Outcome outcome = Tool.Run(["compare", .. s_small, "--json", "/dev/full", "--events", folder["e"]]);

        Assert.Equal(2, outcome.ExitCode);
        string line =
            Assert.Single(Tool.Lines(outcome.Error), l => l.Contains("cannot be written", StringComparison.Ordinal));
        Assert.StartsWith("pasidctl: ", line, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Root));
    }

    [Fact]
    public void A_usage_error_counts_for_more_than_a_refused_plug_in()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["broken.dll"], "this is no assembly");

        Assert.Equal(2, Tool.Run(["compare", .. s_small, "--drivers", folder.Root, "--policy", "nix"]).ExitCode);
    }

    [Fact]
    public void A_driver_that_the_scenario_needs_and_that_is_missing_is_exit_3_without_a_result()
    {
        using var folder = new TemporaryFolder();
        string drivers = folder.Copy(Path.Combine(Tool.Drivers, "arm-smmu"), Path.Combine("drivers", "arm-smmu"));

        Outcome outcome = Tool.Run(
            ["compare", .. s_small, "--drivers", Path.GetDirectoryName(drivers)!, "--json", folder["r"], "--events",
                folder["e"]]);

        Assert.Equal(3, outcome.ExitCode);
        Assert.Equal(string.Empty, outcome.Out);
        Assert.Contains(
            "small.json:3: instance dmar0 needs the driver 'intel-vtd', which is not loaded; loaded: arm-smmu",
            outcome.Error,
            StringComparison.Ordinal);
        Assert.False(File.Exists(folder["r"]) || File.Exists(folder["e"]));
    }

    [Fact]
    public void A_policy_of_a_plug_in_takes_part()
    {
        using var folder = new TemporaryFolder();
        string drivers = folder.Copy(Tool.Drivers, "drivers");
        folder.Copy(Tool.Binary("TestDrivers.AllocatorOnly"), Path.Combine("drivers", "odd"));

        Outcome outcome =
            Tool.Run(["compare", .. s_small, "--drivers", drivers, "--json", "-", "--policy", "core/odd,vendor"]);

        Assert.Equal((0, string.Empty), (outcome.ExitCode, outcome.Error));
        using JsonDocument report = JsonDocument.Parse(outcome.Out);
        Assert.Equal(
            ["core/odd", "vendor"],
            report.RootElement.GetProperty("runs").EnumerateArray().Select(r => r.GetProperty("policy").GetString()));
    }

    [Fact]
    public void Settings_come_from_file_environment_and_command_line()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["c.json"], """{ "Pasid": { "First": 16, "QuarantineFrees": 5 } }""");

        Outcome outcome = Tool.Run(
            ["compare", .. s_small, "--config", folder["c.json"], "--set", "Pasid:QuarantineFrees=7", "--json", "-"]);

        Assert.Equal(0, outcome.ExitCode);
        using JsonDocument report = JsonDocument.Parse(outcome.Out);
        JsonElement options = report.RootElement.GetProperty("options");
        Assert.Equal(16, options.GetProperty("first").GetInt64());
        Assert.Equal(7, options.GetProperty("quarantineFrees").GetInt64());
        JsonElement lowest = report.RootElement.GetProperty("runs").EnumerateArray()
            .First(r => r.GetProperty("policy").GetString() == "core/lowest");
        Assert.Equal(16, lowest.GetProperty("spaces")[0].GetProperty("highestPasid").GetInt64());
    }

    [Fact]
    public void Help_leads_with_an_example_and_version_names_commit_contract_and_schema()
    {
        Outcome help = Tool.Run("--help");
        Outcome compare = Tool.Run("compare", "--help");
        Outcome version = Tool.Run("--version");

        Assert.Equal((0, 0, 0), (help.ExitCode, compare.ExitCode, version.ExitCode));
        Assert.StartsWith("Example:\n  pasidctl compare ", help.Out, StringComparison.Ordinal);
        Assert.StartsWith("Example:\n  pasidctl compare ", compare.Out, StringComparison.Ordinal);
        Assert.All(Tool.Lines(help.Out + compare.Out), l => Assert.InRange(l.Length, 0, 80));
        Assert.Matches(@"^pasidctl \d+\.\d+\.\d+\S* \(driver contract 1\.\d+, catalogue 1\.\d+, JSON schema 1\)\n$",
            version.Out);
    }

    [Fact]
    public void Drivers_lists_what_was_loaded_and_what_was_refused_and_why()
    {
        using var folder = new TemporaryFolder();
        string drivers = folder.Copy(Tool.Drivers, "drivers");
        File.WriteAllText(Path.Combine(drivers, "zzz.dll"), "this is no assembly");

        Outcome text = Tool.Run("drivers", "--drivers", drivers);
        Outcome json = Tool.Run("drivers", "--drivers", drivers, "--json", "-");

        Assert.Equal((3, 3), (text.ExitCode, json.ExitCode));
        Assert.Contains("3 drivers loaded, 1 plug-in refused", text.Out, StringComparison.Ordinal);
        Assert.Contains("not a .NET assembly", text.Out, StringComparison.Ordinal);
        using JsonDocument report = JsonDocument.Parse(json.Out);
        JsonElement root = report.RootElement;
        Assert.Equal("schemaVersion", root.EnumerateObject().First().Name);
        Assert.Equal(
            ["arm-smmu arm-smmuv3 1.0", "intel-vtd intel-vtd 1.0", "virtio-iommu virtio-iommu 1.0"],
            root.GetProperty("drivers").EnumerateArray().Select(d =>
                $"{d.GetProperty("name").GetString()} {d.GetProperty("tableFormat").GetString()} "
                    + $"{d.GetProperty("contract").GetString()}"));
        Assert.Equal([drivers], root.GetProperty("searched").EnumerateArray().Select(s => s.GetString()));
        Assert.EndsWith("zzz.dll", root.GetProperty("refused")[0].GetProperty("path").GetString(),
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_driver_that_is_copied_by_hand_appears()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder["drivers"]);

        Assert.Contains("0 drivers loaded", Tool.Run("drivers", "--drivers", folder["drivers"]).Out,
            StringComparison.Ordinal);
        folder.Copy(Path.Combine(Tool.Drivers, "intel-vtd"), Path.Combine("drivers", "mine"));
        Outcome outcome = Tool.Run("drivers", "--drivers", folder["drivers"]);

        Assert.Equal((0, string.Empty), (outcome.ExitCode, outcome.Error));
        Assert.StartsWith("intel-vtd\n", outcome.Out, StringComparison.Ordinal);
        Assert.Contains("1 driver loaded", outcome.Out, StringComparison.Ordinal);
    }
}
