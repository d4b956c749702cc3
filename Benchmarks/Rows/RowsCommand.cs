// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using PasidFramework.Benchmarks.Measuring;

namespace PasidFramework.Benchmarks.Rows;

/// <summary><c>rows [ROUND] [--list] [--only TEXT] [--mini]</c>, and <c>commands</c> with the same.</summary>
internal static class RowsCommand
{
    private const int Usage = 2;

    /// <summary>Measures and writes lines, or lists names.</summary>
    /// <returns>0; 2 for wrong usage.</returns>
    public static int Run(string[] arguments, TextWriter output, TextWriter error)
    {
        int round = 1;
        bool list = false;
        string only = string.Empty;
        Effort effort = Effort.Full;
        for (int i = 1; i < arguments.Length; i++)
        {
            switch (arguments[i])
            {
                case "--list":
                    list = true;
                    break;
                case "--mini":
                    effort = Effort.Mini;
                    break;
                case "--only" when i + 1 < arguments.Length:
                    only = arguments[++i];
                    break;
                case var text when int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out round)
                    && round > 0:
                    break;
                default:
                    error.WriteLine($"benchmarks: '{arguments[i]}' is not a round from 1 up, --list, --only TEXT or "
                        + "--mini");
                    return Usage;
            }
        }

        if (!list && !OperatingSystem.IsLinux())
        {
            error.WriteLine("benchmarks: rows need Linux, for the CPU time of a thread");
            return Usage;
        }

        IReadOnlyList<Row> all = arguments[0] == "rows" ? Catalogue.Rows : CommandRows.Rows;
        Row[] chosen = [.. all.Where(r => r.Name.Contains(only, StringComparison.Ordinal))];
        if (chosen.Length == 0)
        {
            error.WriteLine($"benchmarks: no row's name contains '{only}'; --list shows them");
            return Usage;
        }

        var writer = new RowWriter(output, round);
        foreach (Row row in chosen)
        {
            if (list)
            {
                output.WriteLine($"{row.Name}: {string.Join(' ', row.Workloads)}");
            }
            else
            {
                row.Measure(new RowContext(row, writer, effort));
            }
        }

        return 0;
    }
}
