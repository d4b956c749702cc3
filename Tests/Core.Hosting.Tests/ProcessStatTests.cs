// SPDX-License-Identifier: Apache-2.0
using System.Text;

namespace PasidFramework.Hosting.Tests;

public sealed class ProcessStatTests
{
    public static TheoryData<string> Vectors() => [.. Lines().Select(line => line[0])];

    [Theory]
    [MemberData(nameof(Vectors))]
    public void A_line_of_the_kernel_is_read_field_by_field(string what)
    {
        string[] line = Lines().Single(candidate => candidate[0] == what);

        Assert.True(ProcessStat.TryParse(Encoding.UTF8.GetBytes(line[1]), out ProcessStat stat));

        Assert.Equal(
            new ProcessStat(
                line[2], line[3][0], (uint)Number(line[4]), Number(line[5]), Number(line[6]),
                new ProgramImage(Number(line[7]), Number(line[8]), Number(line[9]), Number(line[10]),
                    Number(line[11]))),
            stat);
        Assert.Equal(what.Contains("kernel thread", StringComparison.Ordinal), stat.IsKernelThread);
        Assert.Equal(what.Contains("zombie", StringComparison.Ordinal), stat.IsDead);
        Assert.Equal(what.Contains("may not be looked into", StringComparison.Ordinal), stat.Image.IsHidden);
    }

    [Fact]
    public void A_line_that_is_cut_off_before_the_last_field_in_use_is_refused()
    {
        string whole = Lines()[0][1];
        int enough = whole.IndexOf(" 94874214109184", StringComparison.Ordinal);
        Assert.True(ProcessStat.TryParse(Encoding.UTF8.GetBytes(whole[..enough]), out _));
        int last = whole.LastIndexOf(' ', enough - 1);
        for (int length = 0; length <= last; length++)
        {
            Assert.False(ProcessStat.TryParse(Encoding.UTF8.GetBytes(whole[..length]), out _), whole[..length]);
        }
    }

    private static string[][] Lines() =>
    [
        .. File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Vectors", "proc-stat.txt"))
            .Where(line => !line.StartsWith('#'))
            .Select(line => line.Replace("\\n", "\n", StringComparison.Ordinal).Split(" ; ")),
    ];

    private static ulong Number(string text) => ulong.Parse(text, CultureInfo.InvariantCulture);
}
