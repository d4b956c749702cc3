// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text;
using System.Xml;

namespace PasidFramework.Conformance.Reports;

/// <summary>
/// Writes a report as JUnit XML: a suite for each back end, a test case for each result, and a suite for waivers that
/// are out of order, or for a run of which nothing is known. Exactly what makes the run fail is a failure or an error;
/// the rest that did not pass is skipped, with the reason. The property <c>verdict</c> of a test case always has one of
/// the five.
/// </summary>
public static class JUnitReport
{
    /// <summary>Writes a report as UTF-8.</summary>
    /// <param name="output">Where to; it is left open.</param>
    public static void Write(ConformanceReport report, Stream output, ReportOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(report);
        ArgumentNullException.ThrowIfNull(output);
        options ??= ReportOptions.Default;
        using (var xml = XmlWriter.Create(output, new XmlWriterSettings
        {
            Indent = true,
            NewLineChars = "\n",
            Encoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false),
        }))
        {
            xml.WriteStartElement("testsuites");
            Attribute(xml, "name", $"{report.Driver} conformance");
            string[] nothing = report.ShowsNothing ? ["no case passed or failed"] : [];
            Totals(xml, report, report.Results, report.WaiverProblems.Count + nothing.Length, options);
            foreach (string hardware in Wording.Hardware(report))
            {
                WriteSuite(xml, report, hardware, options);
            }

            WriteProblems(xml, report, options, "waivers", report.WaiverProblems);
            WriteProblems(xml, report, options, "run", nothing);

            xml.WriteEndElement();
        }

        output.WriteByte((byte)'\n');
    }

    private static void WriteSuite(XmlWriter xml, ConformanceReport report, string hardware, ReportOptions options)
    {
        CaseResult[] results = [.. report.Results.Where(r => r.Hardware == hardware)];
        xml.WriteStartElement("testsuite");
        Attribute(xml, "name",
            $"{report.Driver} {(hardware == ConformanceRunner.NoHardware ? "without hardware" : $"on {hardware}")}");
        Totals(xml, report, results, 0, options);
        xml.WriteStartElement("properties");
        Property(xml, "driverVersion", report.DriverVersion);
        Property(xml, "driverHash", report.DriverHash);
        Property(xml, "catalogue", report.Catalogue);
        Property(xml, "seed", report.Seed.ToString(CultureInfo.InvariantCulture));
        Property(xml, "strict", report.IsStrict ? "true" : "false");
        Property(xml, "command", options.Command);
        Property(xml, "limits", report.Hardware.FirstOrDefault(h => h.Name == hardware)?.Limits ?? string.Empty);
        xml.WriteEndElement();
        foreach (CaseResult result in results)
        {
            WriteCase(xml, report, result, options);
        }

        xml.WriteEndElement();
    }

    private static void WriteCase(XmlWriter xml, ConformanceReport report, CaseResult result, ReportOptions options)
    {
        Standing standing = Wording.StandingOf(report, result);
        xml.WriteStartElement("testcase");
        Attribute(xml, "classname", $"{report.Driver}.{result.Hardware}.{result.Case.Family}");
        Attribute(xml, "name", result.Case.Id);
        if (options.HasDurations)
        {
            Attribute(xml, "time", Seconds(result.Duration));
        }

        xml.WriteStartElement("properties");
        Property(xml, "verdict", Wording.Name(result.Verdict));
        Property(xml, "level", Wording.Name(result.Case.Level));
        Property(xml, "clause", result.Case.Clause);
        Property(xml, "summary", result.Case.Summary);
        xml.WriteEndElement();
        switch (standing)
        {
            case Standing.Good:
                break;
            case Standing.Counts:
                xml.WriteStartElement(result.Verdict == Verdict.Error ? "error" : "failure");
                Attribute(xml, "type", Wording.Name(result.Verdict));
                Attribute(xml, "message", result.Reason);
                Lines(xml, result);
                xml.WriteEndElement();
                break;
            default:
                xml.WriteStartElement("skipped");
                Attribute(xml, "message", Wording.Excuse(result, standing));
                xml.WriteEndElement();
                if (result.Verdict == Verdict.Fail)
                {
                    xml.WriteStartElement("system-out");
                    Lines(xml, result);
                    xml.WriteEndElement();
                }

                break;
        }

        xml.WriteEndElement();
    }

    private static void WriteProblems(
        XmlWriter xml, ConformanceReport report, ReportOptions options, string name, IReadOnlyList<string> problems)
    {
        if (problems.Count == 0)
        {
            return;
        }

        xml.WriteStartElement("testsuite");
        Attribute(xml, "name", $"{report.Driver} {name}");
        Totals(xml, report, [], problems.Count, options);
        foreach (string problem in problems)
        {
            xml.WriteStartElement("testcase");
            Attribute(xml, "classname", $"{report.Driver}.{name}");
            Attribute(xml, "name", problem);
            xml.WriteStartElement("failure");
            Attribute(xml, "type", name);
            Attribute(xml, "message", problem);
            xml.WriteEndElement();
            xml.WriteEndElement();
        }

        xml.WriteEndElement();
    }

    private static void Totals(
        XmlWriter xml, ConformanceReport report, IReadOnlyList<CaseResult> results, int problems, ReportOptions options)
    {
        int counting = results.Count(report.Counts);
        int errors = results.Count(r => r.Verdict == Verdict.Error);
        int passed = results.Count(r => r.Verdict == Verdict.Pass);
        Attribute(xml, "tests", Number(results.Count + problems));
        Attribute(xml, "failures", Number(counting - errors + problems));
        Attribute(xml, "errors", Number(errors));
        Attribute(xml, "skipped", Number(results.Count - counting - passed));
        if (options.HasDurations)
        {
            Attribute(xml, "time", Seconds(results.Aggregate(TimeSpan.Zero, (sum, r) => sum + r.Duration)));
        }
    }

    private static void Lines(XmlWriter xml, CaseResult result)
    {
        IEnumerable<string> lines = [result.Case.Summary, result.Reason, .. result.Details];
        xml.WriteString(string.Join('\n', lines.Select(HarmlessText.Line)));
        if (result.Repeat.Length > 0)
        {
            xml.WriteString($"\nrepeat: {HarmlessText.Line(result.Repeat)}");
        }
    }

    private static void Property(XmlWriter xml, string name, string value)
    {
        if (value.Length > 0)
        {
            xml.WriteStartElement("property");
            Attribute(xml, "name", name);
            Attribute(xml, "value", value);
            xml.WriteEndElement();
        }
    }

    private static void Attribute(XmlWriter xml, string name, string value) =>
        xml.WriteAttributeString(name, HarmlessText.Line(value));

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);
    private static string Seconds(TimeSpan time) => time.TotalSeconds.ToString("F3", CultureInfo.InvariantCulture);
}
