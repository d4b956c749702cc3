// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using PasidFramework.Comparison.Spooling;

namespace PasidFramework.Comparison.Tests;

public class TraceLineTests
{
    public static TheoryData<string, string, string> Lines()
    {
        var data = new TheoryData<string, string, string>();
        string text = File.ReadAllText(Path.Combine(TestData.Vectors, "lines.txt"));
        foreach (string vector in text.Split('\n').Where(l => l.Length > 0 && l[0] != '#'))
        {
            string[] parts = vector.Split(" | ", 4);
            data.Add(parts[0], parts[1], parts[3]);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Lines))]
    public void Every_line_of_the_vectors_reads_as_expected(string name, string expected, string line)
    {
        Assert.NotEmpty(name);

        TraceLineKind kind = TraceLine.Parse(
            line, 7, new NameCache(), out TraceEvent found, out long lost, out string wanted);

        Assert.Equal(expected, Show(kind, found, lost));
        if (kind == TraceLineKind.Malformed)
        {
            Assert.NotEmpty(wanted);
        }
    }

    private static string Show(TraceLineKind kind, TraceEvent e, long lost)
    {
        if (kind == TraceLineKind.Event)
        {
            Assert.Equal(7, e.Line);
            FormattableString text = e.Kind switch
            {
                TraceEventKind.Fork => $"fork {e.Nanoseconds} {e.Pid} {e.OtherPid} {e.Name}",
                TraceEventKind.Exec => $"exec {e.Nanoseconds} {e.Pid} {e.OtherPid} {e.Name}",
                _ => $"exit {e.Nanoseconds} {e.Pid} {(e.IsGroupDead ? "true" : "false")} {e.Name}",
            };
            return text.ToString(CultureInfo.InvariantCulture);
        }

        return kind == TraceLineKind.Lost
            ? $"lost {(lost < 0 ? "?" : lost.ToString(CultureInfo.InvariantCulture))}"
            : kind.ToString().ToLowerInvariant();
    }
}
