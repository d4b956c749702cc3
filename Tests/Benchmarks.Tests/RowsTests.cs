// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Globalization;
using System.Reflection;

namespace PasidFramework.Benchmarks.Tests;

/// <summary>What scripts rely on: names, and the form of a line. Figures are not checked.</summary>
public sealed class RowsTests
{
    private static readonly Dictionary<string, string[]> s_reliedOn = new()
    {
        ["project cyclic one owner"] = ["pair", "churn", "fill-warm"],
        ["project space"] = ["pair", "churn", "fill-warm"],
        ["project lowest"] = ["pair", "churn", "fill-warm"],
        ["project lookup"] = ["lookup-thr-dense", "lookup-lat-dense"],
        ["project raw array"] = ["lookup-thr-dense", "lookup-lat-dense"],
        ["project core empty driver"] = ["bind-pair", "bind-churn"],
        ["project vtd entry"] = ["bind-pair", "bind-churn", "bind-bulk"],
        ["project smmu entry"] = ["bind-pair", "bind-churn"],
        ["project core intel-vtd"] = ["bind-pair", "bind-churn", "bind-bulk"],
        ["project core arm-smmu"] = ["bind-pair", "bind-churn"],
    };

    [Fact]
    public void The_list_has_every_name_that_scripts_rely_on()
    {
        Dictionary<string, string[]> listed = Run("rows", "--list").Out
            .Select(line => line.Split(": "))
            .ToDictionary(parts => parts[0], parts => parts[1].Split(' '));

        Assert.Empty(
            from row in s_reliedOn
            from workload in row.Value
            where !listed.TryGetValue(row.Key, out string[]? workloads) || !workloads.Contains(workload)
            select $"{row.Key}: {workload}");
        Assert.All(listed.Keys, name => Assert.StartsWith("project ", name, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("project space")]
    [InlineData("project vtd entry")]
    public void A_row_is_lines_of_eight_columns_with_its_name_and_announced_workloads(string name)
    {
        if (!OperatingSystem.IsLinux())
        {
            Assert.Skip("The CPU time of a thread is read as Linux has it.");
        }

        (int exitCode, string[] lines, string error) = Run("rows", "7", "--mini", "--only", name);

        Assert.Equal((0, string.Empty), (exitCode, error));
        Assert.Superset(
            s_reliedOn[name].ToHashSet(),
            lines.Select(line => line.Split(',')[3]).ToHashSet());
        Assert.All(lines, line =>
        {
            string[] columns = line.Split(',');
            Assert.Equal(8, columns.Length);
            Assert.Equal(["7", "C#", name], columns[..3]);
            Assert.True(int.Parse(columns[4], CultureInfo.InvariantCulture) >= 0);
            Assert.True(int.Parse(columns[5], CultureInfo.InvariantCulture) > 0);
            Assert.True(double.Parse(columns[6], CultureInfo.InvariantCulture) >= 0);
        });
        Assert.Contains(lines, line => line.Contains("B/op", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("0", "benchmarks: '0' is not a round from 1 up, --list, --only TEXT or --mini")]
    [InlineData("--only", "benchmarks: '--only' is not a round from 1 up, --list, --only TEXT or --mini")]
    [InlineData("--only=x", "benchmarks: '--only=x' is not a round from 1 up, --list, --only TEXT or --mini")]
    public void Wrong_usage_is_one_line_that_says_what_is_right(string argument, string expected)
    {
        (int exitCode, string[] lines, string error) = Run("rows", argument);

        Assert.Equal((2, expected + Environment.NewLine), (exitCode, error));
        Assert.Empty(lines);
    }

    private static (int ExitCode, string[] Out, string Error) Run(params string[] arguments)
    {
        string program = typeof(RowsTests).Assembly
            .GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key == "Program").Value!;
        using Process process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output.Split('\n', StringSplitOptions.RemoveEmptyEntries), error.Result);
    }
}
