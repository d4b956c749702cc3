// SPDX-License-Identifier: Apache-2.0
using System.Globalization;

namespace PasidFramework.Conformance.Tests.Reports;

/// <summary>A small reader of TAP 14: the plan, the test points, their directives, the plain keys of their
/// YAML.</summary>
internal sealed class TapStream
{
    public required IReadOnlyList<TapPoint> Points { get; init; }
    public bool Passes => Points.All(p => !p.Fails);

    public static TapStream Read(string text)
    {
        Assert.EndsWith("\n", text, StringComparison.Ordinal);
        string[] lines = text.TrimEnd('\n').Split('\n');
        Assert.Equal("TAP version 14", lines[0]);
        Assert.StartsWith("1..", lines[1], StringComparison.Ordinal);
        List<TapPoint> points = [];
        bool inYaml = false;
        foreach (string line in lines.Skip(2))
        {
            if (inYaml)
            {
                Assert.StartsWith("  ", line, StringComparison.Ordinal);
                inYaml = line != "  ...";
                if (line.Length > 2 && line[2] is not (' ' or '.')
                    && line.IndexOf(": ", StringComparison.Ordinal) is > 0 and int colon)
                {
                    points[^1].Yaml[line[2..colon]] = line[(colon + 2)..];
                }
            }
            else if (line == "  ---")
            {
                inYaml = true;
            }
            else if (!line.StartsWith('#'))
            {
                points.Add(Point(line));
            }
        }

        Assert.False(inYaml);
        Assert.Equal(int.Parse(lines[1][3..], CultureInfo.InvariantCulture), points.Count);
        Assert.Equal(Enumerable.Range(1, points.Count), points.Select(p => p.Number));
        return new TapStream { Points = points };
    }

    private static TapPoint Point(string line)
    {
        bool isOk = line.StartsWith("ok ", StringComparison.Ordinal);
        Assert.True(isOk || line.StartsWith("not ok ", StringComparison.Ordinal), line);
        string rest = line[(isOk ? 3 : 7)..];
        int space = rest.IndexOf(" - ", StringComparison.Ordinal);
        var parts = new List<StringBuilder> { new() };
        for (int i = space + 3; i < rest.Length; i++)
        {
            if (rest[i] == '\\')
            {
                parts[^1].Append(rest[++i]);
            }
            else if (rest[i] == '#')
            {
                parts.Add(new StringBuilder());
            }
            else
            {
                parts[^1].Append(rest[i]);
            }
        }

        string directive = parts.Count > 1 ? parts[1].ToString().Trim() : string.Empty;
        Assert.True(parts.Count <= 2, line);
        return new TapPoint(
            int.Parse(rest[..space], CultureInfo.InvariantCulture), isOk, parts[0].ToString().TrimEnd(),
            directive.Split(' ')[0], directive.Contains(' ', StringComparison.Ordinal)
                ? directive[(directive.IndexOf(' ', StringComparison.Ordinal) + 1)..] : string.Empty,
            []);
    }
}

internal sealed record TapPoint(
    int Number, bool IsOk, string Description, string Directive, string Reason, Dictionary<string, string> Yaml)
{
    public bool Fails => !IsOk && Directive.Length == 0;
}
