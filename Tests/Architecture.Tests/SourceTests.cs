// SPDX-License-Identifier: Apache-2.0
using System.Text.RegularExpressions;

namespace PasidFramework.Architecture.Tests;

/// <summary>What holds for every source file, read as text.</summary>
public sealed partial class SourceTests
{
    private const string Header = "// SPDX-License-Identifier: Apache-2.0";
    private const int MaxColumns = 120;
    private const int MaxLines = 700;
    private static readonly string[] s_files = [.. Files(ReferenceTests.Root).Order(StringComparer.Ordinal)];

    [Fact]
    public void Every_file_begins_with_the_licence() => Assert.Equal([], s_files.Where(f => Read(f)[0] != Header));

    [Fact]
    public void No_line_is_longer_than_the_screen_of_a_review() =>
        Assert.Empty(s_files.SelectMany(f => LongLines(Read(f)).Select(line => $"{f}:{line}")));

    [Fact]
    public void A_product_file_has_one_public_type_and_its_name() =>
        Assert.Empty(
            from file in s_files.Where(IsProduct)
            let types = PublicTypes(Read(file)).ToArray()
            where types.Length > 1 || types.Any(t => t != Path.GetFileName(file).Split('.')[0])
            select $"{file}: {string.Join(", ", types)}");

    [Fact]
    public void No_product_file_is_longer_than_a_reader_can_hold() =>
        Assert.Equal([], s_files.Where(IsProduct).Where(f => Read(f).Length > MaxLines));

    [Fact]
    public void What_breaks_a_rule_is_found()
    {
        string wide = new('x', MaxColumns + 1);

        Assert.True(s_files.Length > 300);
        Assert.Equal([1, 6], LongLines([wide, "string s = \"\"\"", wide, "    \"\"\";", wide[1..], wide]));
        Assert.Equal(["A", "C", "D"], PublicTypes(
        [
            "public sealed class A", "public delegate void B();", "public enum C", "public record A<T>",
            "public readonly record struct D(int X);", "public sealed class DAttribute : Attribute",
            "internal class E", "    public class F",
        ]));
    }

    private static bool IsProduct(string file) => !file.StartsWith("Tests/", StringComparison.Ordinal);

    // What a build or a tool leaves behind lies in artifacts and in folders that begin with a dot.
    private static IEnumerable<string> Files(string root) =>
        from folder in Directory.GetDirectories(root)
        let name = Path.GetFileName(folder)
        where name != "artifacts" && name[0] != '.'
        from file in Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories)
        select Path.GetRelativePath(root, file).Replace('\\', '/');

    private static string[] Read(string file) => File.ReadAllLines(Path.Combine(ReferenceTests.Root, file));

    // The text of a raw string is somebody else's: a page, an expected report.
    private static IEnumerable<int> LongLines(string[] lines)
    {
        bool isRaw = false;
        for (int i = 0; i < lines.Length; i++)
        {
            bool toggles = lines[i].Split("\"\"\"").Length % 2 == 0;
            if (lines[i].Length > MaxColumns && !isRaw && !lines[i].Contains("\"\"\"", StringComparison.Ordinal))
            {
                yield return i + 1;
            }

            isRaw ^= toggles;
        }
    }

    // A delegate and an attribute lie beside the type that they belong to; a generic type beside the one of its name.
    private static IEnumerable<string> PublicTypes(string[] lines) => lines
        .Select(l => PublicType().Match(l))
        .Where(m => m.Success)
        .Select(m => m.Groups[1].Value)
        .Distinct()
        .GroupBy(n => n.EndsWith("Attribute", StringComparison.Ordinal)).OrderBy(g => g.Key).Take(1).SelectMany(g => g);

    [GeneratedRegex(@"^public (?:(?:static|sealed|abstract|partial|readonly|ref|unsafe) )*"
        + @"(?:class|struct|interface|enum|record(?: struct| class)?) (\w+)")]
    private static partial Regex PublicType();
}
