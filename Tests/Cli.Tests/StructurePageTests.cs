// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Cli.Tests;

/// <summary>docs/formats against what the layouts say now.</summary>
public sealed class StructurePageTests
{
    [Fact]
    public void The_pages_in_docs_are_those_of_the_layouts()
    {
        using var folder = new TemporaryFolder();
        string written = folder["pages"];
        string committed = Path.Combine(Tool.Repository, "docs", "formats");

        Outcome outcome = Tool.Run("explain", "--pages", written);

        Assert.Equal(0, outcome.ExitCode);
        Assert.Equal(Pages(committed).Order(StringComparer.Ordinal), Pages(written).Order(StringComparer.Ordinal));
        foreach (string page in Pages(written))
        {
            Assert.True(
                File.ReadAllText(Path.Combine(committed, page)) == File.ReadAllText(Path.Combine(written, page)),
                $"docs/formats/{page} is out of date: run eng/format-pages");
        }
    }

    [Fact]
    public void A_page_shows_every_bit_where_the_specification_has_it()
    {
        string page = File.ReadAllText(Path.Combine(Tool.Repository, "docs", "formats", "intel-vtd", "pasid_entry.md"));

        Assert.Contains("   31:0 |                SSPTPTR                | 0 |b|PGTT |0| AW  |a|P|\n", page,
            StringComparison.Ordinal);
        Assert.Contains("  95:64 |  RSVD   |f|e|d|c|    RSVD     |              DID              |\n", page,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--list"), InlineData("--jsonl"), InlineData("--bytes")]
    public void Pages_and_another_output_exclude_each_other(string other)
    {
        Outcome outcome = Tool.Run("explain", "--pages", "nowhere", other);

        Assert.Equal(2, outcome.ExitCode);
        Assert.Single(outcome.Error.Split('\n'), l => l.StartsWith("pasidctl: --", StringComparison.Ordinal));
    }

    [Fact]
    public void A_folder_that_cannot_be_written_is_one_line()
    {
        using var folder = new TemporaryFolder();
        string file = folder["file"];
        File.WriteAllText(file, string.Empty);

        Outcome outcome = Tool.Run("explain", "--pages", file, "pcie/pasid_cap");

        Assert.Equal(2, outcome.ExitCode);
        Assert.StartsWith($"pasidctl: --pages: {file}", outcome.Error, StringComparison.Ordinal);
    }

    private static IEnumerable<string> Pages(string folder) =>
        Directory.EnumerateFiles(folder, "*.md", SearchOption.AllDirectories)
            .Select(f => Path.GetRelativePath(folder, f));
}
