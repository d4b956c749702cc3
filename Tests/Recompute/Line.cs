// SPDX-License-Identifier: Apache-2.0
using System.Text.Json;

namespace PasidFramework.Recompute;

/// <summary>One line of the event file.</summary>
internal sealed record Line(
    string Kind,
    string Operation,
    string? Space,
    long Pasid,
    long Process,
    string? Device,
    string? Driver,
    string? Errno,
    Dictionary<string, long> Commands,
    Dictionary<string, long> TableBytes)
{
    /// <summary>All lines by policy, in the order of the file.</summary>
    public static Dictionary<string, List<Line>> ReadAll(string path)
    {
        var runs = new Dictionary<string, List<Line>>();
        foreach (string text in File.ReadLines(path))
        {
            using JsonDocument document = JsonDocument.Parse(text);
            JsonElement root = document.RootElement;
            string policy = root.GetProperty("policy").GetString()!;
            if (!runs.TryGetValue(policy, out List<Line>? run))
            {
                runs[policy] = run = [];
            }

            run.Add(new Line(
                root.GetProperty("kind").GetString()!,
                root.GetProperty("operation").GetString()!,
                Text(root, "space"),
                Number(root, "pasid"),
                Number(root, "process"),
                Text(root, "device"),
                Text(root, "driver"),
                Text(root, "errno"),
                Numbers(root, "commands"),
                Numbers(root, "tableBytes")));
        }

        return runs;
    }

    private static string? Text(JsonElement root, string key) =>
        root.TryGetProperty(key, out JsonElement value) ? value.GetString() : null;

    private static long Number(JsonElement root, string key) =>
        root.TryGetProperty(key, out JsonElement value) ? value.GetInt64() : -1;

    private static Dictionary<string, long> Numbers(JsonElement root, string key) =>
        root.TryGetProperty(key, out JsonElement value)
            ? value.EnumerateObject().ToDictionary(m => m.Name, m => m.Value.GetInt64())
            : [];
}
