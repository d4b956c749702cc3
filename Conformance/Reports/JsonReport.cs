// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text.Json;

namespace PasidFramework.Conformance.Reports;

/// <summary>
/// Writes a report as JSON. Scripts rely on the keys: none is renamed or removed within one schema version. Nothing in
/// it depends on the machine or the time of the run.
/// </summary>
public static class JsonReport
{
    public const int SchemaVersion = 1;

    /// <summary>Writes a report, ended by a line feed.</summary>
    public static void Write(ConformanceReport report, Stream output, ReportOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(report);
        ArgumentNullException.ThrowIfNull(output);
        options ??= ReportOptions.Default;

        // The default encoder: no control sequence gets to a terminal, and the text may stand in a page as it is.
        using (var json = new Utf8JsonWriter(output, new JsonWriterOptions { Indented = true, NewLine = "\n" }))
        {
            json.WriteStartObject();
            json.WriteNumber("schemaVersion", SchemaVersion);
            Add(json, "driver", report.Driver);
            Add(json, "driverVersion", report.DriverVersion);
            Add(json, "driverHash", report.DriverHash);
            Add(json, "catalogue", report.Catalogue);
            json.WriteNumber("seed", report.Seed);
            json.WriteBoolean("strict", report.IsStrict);
            Add(json, "command", options.Command);
            json.WriteBoolean("conformant", report.IsConformant);
            json.WriteBoolean("whole", Wording.IsWhole(report));
            json.WriteBoolean("showsNothing", report.ShowsNothing);
            WriteCounts(json, report, options);
            WriteObjects(json, "hardware", report.Hardware, note =>
            {
                Add(json, "name", note.Name);
                Add(json, "limits", note.Limits);
            });
            WriteNames(json, "waiverProblems", report.WaiverProblems);
            WriteObjects(json, "cases", report.Results, result => WriteCase(json, report, result));
            json.WriteEndObject();
        }

        output.WriteByte((byte)'\n');
    }

    private static void WriteCounts(Utf8JsonWriter json, ConformanceReport report, ReportOptions options)
    {
        json.WriteStartObject("summary");
        foreach (Verdict verdict in Wording.Verdicts)
        {
            json.WriteNumber(Wording.Name(verdict), report.Count(verdict));
        }

        json.WriteEndObject();
        json.WriteNumber("waived", Wording.Waived(report));
        json.WriteStartObject("coverage");
        json.WriteNumber("exercised", report.Coverage.Exercised);
        json.WriteNumber("required", report.Coverage.Required);
        WriteNames(json, "notExercised", report.NotExercised);
        WriteNames(json, "notShown", report.NotShown);
        WriteObjects(json, "untested", options.Untested, untested =>
        {
            Add(json, "clause", untested.Clause);
            Add(json, "reason", untested.Reason);
        });
        json.WriteEndObject();
        WriteObjects(json, "clauses", report.Clauses, clause =>
        {
            Add(json, "clause", clause.Clause);
            json.WriteBoolean("required", clause.IsRequired);
            Add(json, "verdict", Wording.Name(clause.Verdict));
        });
    }

    private static void WriteObjects<T>(Utf8JsonWriter json, string key, IEnumerable<T> items, Action<T> write)
    {
        json.WriteStartArray(key);
        foreach (T item in items)
        {
            json.WriteStartObject();
            write(item);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WriteNames(Utf8JsonWriter json, string key, IReadOnlyList<string> names)
    {
        json.WriteStartArray(key);
        foreach (string name in names)
        {
            json.WriteStringValue(Whole(name));
        }

        json.WriteEndArray();
    }

    private static void WriteCase(Utf8JsonWriter json, ConformanceReport report, CaseResult result)
    {
        Add(json, "id", result.Case.Id);
        Add(json, "family", result.Case.Family);
        Add(json, "level", Wording.Name(result.Case.Level));
        Add(json, "clause", result.Case.Clause);
        Add(json, "hardware", result.Hardware);
        Add(json, "verdict", Wording.Name(result.Verdict));
        Add(json, "reason", result.Reason);
        Add(json, "summary", result.Case.Summary);
        Add(json, "since", result.Case.Since);
        json.WriteBoolean("stochastic", result.Case.IsStochastic);
        json.WriteBoolean("counts", report.Counts(result));
        if (!result.Case.IsStochastic)
        {
            // How often threads came to probe is not the driver's doing.
            json.WriteNumber("checks", result.Checks);
        }

        WriteNames(json, "details", result.Details);
        Add(json, "repeat", result.Repeat);
        if (result.Waiver is { } waiver)
        {
            json.WriteStartObject("waiver");
            Add(json, "reason", waiver.Reason);
            Add(json, "issue", waiver.Issue);
            Add(json, "expires", waiver.Expires.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture));
            json.WriteEndObject();
        }
        else
        {
            json.WriteNull("waiver");
        }
    }

    private static void Add(Utf8JsonWriter json, string name, string value) => json.WriteString(name, Whole(value));

    // JSON can hold every character, but no half of one.
    private static string Whole(string text)
    {
        string whole = text;
        for (int i = 0; i < whole.Length; i++)
        {
            if (char.IsHighSurrogate(whole[i]) && i + 1 < whole.Length && char.IsLowSurrogate(whole[i + 1]))
            {
                i++;
            }
            else if (char.IsSurrogate(whole[i]))
            {
                whole = $"{whole[..i]}\uFFFD{whole[(i + 1)..]}";
            }
        }

        return whole;
    }
}
