// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;

namespace PasidFramework.Conformance.Xunit.Tests;

/// <summary>
/// A vendor's own tree against packages of what was built, by the script that a person would run. It packs, builds and
/// tests: half a minute.
/// </summary>
[Trait("Category", "ThirdParty")]
public sealed partial class ThirdPartyTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(15);

    [Fact]
    public async Task A_driver_built_on_packages_alone_conforms()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "eng/third-party is a shell script");

        (int Code, string Output) good = await Run(Built);
        (int Passed, int Failed) counts = Counts(good.Output);
        Assert.True(good.Code == 0, good.Output);
        Assert.Equal(0, counts.Failed);
        Assert.True(counts.Passed > 40, good.Output);
    }

    /// <summary>Another build of the whole tree: in a deep run.</summary>
    [Fact]
    public async Task A_broken_one_does_not()
    {
        Assert.SkipUnless(
            Environment.GetEnvironmentVariable("PASID_DEEP_TESTS") == "1", "a minute more; PASID_DEEP_TESTS=1 runs it");

        (int Code, string Output) broken = await Run(Built, "--broken");

        Assert.True(broken.Code == 1, broken.Output);
        Assert.InRange(Counts(broken.Output).Failed, 1, 1000);
        Assert.Contains("INV-003 model [Required] D6", broken.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_option_that_the_script_does_not_know_is_refused()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "eng/third-party is a shell script");

        (int code, string output) = await Run("--brokne");

        Assert.Equal(2, code);
        Assert.Contains("unknown option '--brokne'", output, StringComparison.Ordinal);
    }

    private static (int Passed, int Failed) Counts(string output)
    {
        Match line = ClosingLine().Match(output);
        Assert.True(line.Success, output);
        return (int.Parse(line.Groups["passed"].Value, CultureInfo.InvariantCulture),
            int.Parse(line.Groups["failed"].Value, CultureInfo.InvariantCulture));
    }

    private static string Built => Metadata("Configuration") == "Release" ? "--built" : "--built-debug";

    private static string Metadata(string key) => typeof(ThirdPartyTests).Assembly
        .GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key == key).Value!;

    private static async Task<(int Code, string Output)> Run(params string[] options)
    {
        string root = Metadata("RepositoryRoot");
        var start = new ProcessStartInfo("bash")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            ArgumentList = { Path.Combine(root, "eng", "third-party") },
        };
        foreach (string option in options)
        {
            start.ArgumentList.Add(option);
        }

        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> error = process.StandardError.ReadToEndAsync();
        using var limit = new CancellationTokenSource(s_limit);
        try
        {
            await process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }

        return (process.ExitCode, await output + await error);
    }

    [GeneratedRegex(
        @"(Passed|Failed)! +- Failed: +(?<failed>\d+), Passed: +(?<passed>\d+), Skipped: +\d+, Total: +\d+")]
    private static partial Regex ClosingLine();
}
