// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Recompute;

// Recomputes every figure of a report from the event file alone, and says where they differ.
//   Recompute EVENTS.jsonl REPORT.json      0: all agree, 1: some differ, 2: usage or unreadable files

if (args.Length != 2)
{
    Console.Error.WriteLine("usage: Recompute EVENTS.jsonl REPORT.json");
    return 2;
}

try
{
    Dictionary<string, List<Line>> runs = Line.ReadAll(args[0]);
    var check = new Check(args[1]);
    check.Run(runs);
    foreach (string difference in check.Differences)
    {
        Console.WriteLine(difference);
    }

    Console.WriteLine($"{check.Compared} figures of {runs.Count} runs compared, {check.Differences.Count} differ");
    return check.Differences.Count == 0 ? 0 : 1;
}
catch (Exception e) when (e is IOException or System.Text.Json.JsonException or KeyNotFoundException or FormatException
    or InvalidOperationException)
{
    Console.Error.WriteLine($"Recompute: {e.Message}");
    return 2;
}
