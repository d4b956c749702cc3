// SPDX-License-Identifier: Apache-2.0
using System.Text.Json;
using System.Xml;
using System.Xml.Linq;
using PasidFramework.Conformance.Reports;

namespace PasidFramework.Conformance.Tests.Reports;

public sealed class ReportTests
{
    private static readonly ReportOptions s_options = new()
    {
        Command = "pasidctl verify /opt/vendor/drivers/acme/Acme.Iommu.dll --hardware all --seed 18446744073709551615 "
            + "--waivers waivers.json",
        Untested =
            [new("F1-F3", "page requests have no part in the driver contract yet"), new("A11", SampleReports.Nasty)],
    };

    public static TheoryData<string> Formats => [.. ReportFormats.All.Select(f => f.Name)];

    [Theory]
    [MemberData(nameof(Formats))]
    public void The_bytes_are_those_of_the_golden_file(string format)
    {
        string written = Write(SampleReports.Full(), format);
        string file = Path.Combine(AppContext.BaseDirectory, "Reports", "Golden", $"report.{format}");
        if (Environment.GetEnvironmentVariable("PASID_NEW_GOLDEN") is { Length: > 0 } folder)
        {
            File.WriteAllText(Path.Combine(folder, $"report.{format}"), written);
        }

        Assert.Equal(File.ReadAllText(file), written);
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void Equal_reports_give_equal_bytes_whatever_they_took(string format)
    {
        ConformanceReport report = SampleReports.Full();
        ConformanceReport slower = report with
        {
            Results = [.. report.Results.Select(r => r with { Duration = r.Duration + TimeSpan.FromHours(1) })],
        };

        Assert.Equal(Write(report, format), Write(slower, format));
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void No_control_sequence_and_no_carriage_return_gets_out(string format)
    {
        string written = Write(SampleReports.Full(), format);

        Assert.DoesNotContain(written, c => char.IsControl(c) && c != '\n');
        Assert.DoesNotContain('\u202e', written);
        Assert.EndsWith("\n", written, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void Every_case_that_failed_is_named_with_its_reason_and_command(string format)
    {
        string written = string.Join(' ', Write(SampleReports.Full(), format)
            .Split([' ', '\n', '\\'], StringSplitOptions.RemoveEmptyEntries));

        Assert.Contains("still reaches page 0x10000 of p0 (D5)", written, StringComparison.Ordinal);
        Assert.Contains("[63:59] S1CDMax expected 8 got 7", written, StringComparison.Ordinal);
        Assert.Contains("--hardware model --case INV-001 --seed 42", written, StringComparison.Ordinal);
        Assert.Contains("erratum 12", written, StringComparison.Ordinal);
        Assert.Contains("LIF-003 passes: remove its waiver", written, StringComparison.Ordinal);
    }

    [Fact]
    public void A_format_is_found_by_its_name_only()
    {
        Assert.True(ReportFormats.TryFind("junit", out ReportFormat? format));
        Assert.Equal(ReportFormats.JUnit, format.Name);
        Assert.False(ReportFormats.TryFind("JUnit", out _));
        Assert.Equal(["text", "json", "junit", "tap", "html"], ReportFormats.All.Select(f => f.Name));
    }

    [Fact]
    public void Text_keeps_to_80_columns_but_for_a_single_word_of_a_command()
    {
        foreach (string line in Write(SampleReports.Full(), ReportFormats.Text).Split('\n'))
        {
            Assert.True(line.Length <= TextReport.Width || line.Contains("/opt/vendor", StringComparison.Ordinal),
                line);
        }

        ConformanceCase one = SampleReports.Case("INV-001", "invalidation", CaseLevel.Required, "D5", "x");
        for (int length = 1; length < 200; length++)
        {
            string words = string.Join(' ', Enumerable.Repeat(new string('w', length), 3))
                + string.Concat(Enumerable.Repeat(" ab", length));
            CaseResult result = SampleReports.Result(one with { Summary = words }, "model", Verdict.Fail, words) with
            {
                Details = [words],
                Repeat = $"pasidctl{string.Concat(Enumerable.Repeat(" ab", length))}",
            };

            string[] lines = Write(SampleReports.Good() with { Driver = words, Results = [result] }, ReportFormats.Text)
                .Split('\n');
            Assert.All(lines, line => Assert.InRange(line.Length, 0, TextReport.Width));
            Assert.Contains(lines, line => line.Length > TextReport.Width - 4);
        }
    }

    [Fact]
    public void Text_ends_with_coverage_counts_and_verdict()
    {
        string[] bad = Write(SampleReports.Full(), ReportFormats.Text).TrimEnd('\n').Split('\n');
        string[] good = Write(SampleReports.Good(), ReportFormats.Text).TrimEnd('\n').Split('\n');

        Assert.Contains("3 of 4 required clauses exercised (not C10); 4 not testable", bad);
        Assert.Contains("1 required case was shown nowhere (CON-001)", bad);
        Assert.Contains("2 passed, 4 failed, 1 error, 1 inconclusive, 1 not applicable; 1 waived", bad);
        Assert.Contains("acme-iommu does not conform to catalogue 1.0 in the cases that were run: 2", bad);
        Assert.Equal("acme-iommu conforms to catalogue 1.0 in the cases that were run.", good[^1]);
    }

    [Fact]
    public void A_run_that_showed_nothing_does_not_say_that_the_driver_conforms()
    {
        ConformanceReport good = SampleReports.Good();
        ConformanceReport nothing =
            good with { Results = [.. good.Results.Where(r => r.Verdict == Verdict.NotApplicable)] };

        Assert.False(nothing.IsConformant);
        Assert.Contains("\nNothing is known of acme-iommu: no case of catalogue 1.0 passed",
            Write(nothing, ReportFormats.Text), StringComparison.Ordinal);
        Assert.DoesNotContain("conforms", Write(nothing with { Results = [] }, ReportFormats.Text),
            StringComparison.Ordinal);
        Assert.False(TapStream.Read(Write(nothing, ReportFormats.Tap)).Passes);
        XElement junit = XDocument.Parse(Write(nothing, ReportFormats.JUnit)).Root!;
        Assert.Equal(1, (int)junit.Attribute("failures")!);
        Assert.Equal("acme-iommu run", junit.Elements("testsuite").Last().Attribute("name")!.Value);
        Assert.Equal("bad", ReadPage(nothing).Descendants("header").Single().Attribute("class")!.Value);
    }

    [Fact]
    public void A_strict_run_says_why_a_case_that_was_not_shown_counts()
    {
        ConformanceReport strict = SampleReports.Full() with { IsStrict = true };

        Assert.Contains("strict: a required case that is shown nowhere", Write(strict, ReportFormats.Text),
            StringComparison.Ordinal);
        Assert.Contains("<failure type=\"inconclusive\"", Write(strict, ReportFormats.JUnit), StringComparison.Ordinal);
        Assert.Matches("(?m)^not ok 9 - CON-001 [^#\\\\]*", Write(strict, ReportFormats.Tap));
    }

    [Fact]
    public void Json_has_the_documented_keys_and_the_exact_strings()
    {
        using JsonDocument json = JsonDocument.Parse(Write(SampleReports.Full(), ReportFormats.Json));
        JsonElement root = json.RootElement;
        JsonElement first = root.GetProperty("cases")[1];
        JsonElement last = root.GetProperty("cases")[8];

        Assert.Equal(1, root.GetProperty("schemaVersion").GetInt32());
        Assert.Equal("acme-iommu", root.GetProperty("driver").GetString());
        Assert.Equal("1.0", root.GetProperty("catalogue").GetString());
        Assert.Equal(ulong.MaxValue, root.GetProperty("seed").GetUInt64());
        Assert.False(root.GetProperty("conformant").GetBoolean());
        Assert.Equal(
            "pass=2 fail=4 error=1 inconclusive=1 notApplicable=1",
            string.Join(' ', root.GetProperty("summary").EnumerateObject().Select(p => $"{p.Name}={p.Value}")));
        Assert.Equal(
            "INV-001 invalidation required D5 model fail dev-0118 with PASID 0x46 still reaches page 0x10000 of p0 "
                + "(D5)",
            string.Join(' ', new[] { "id", "family", "level", "clause", "hardware", "verdict", "reason" }
                .Select(k => first.GetProperty(k).GetString())));
        Assert.Equal(SampleReports.Nasty.Replace('\ud800', '\ufffd'), last.GetProperty("reason").GetString());
        Assert.Equal(
            ["pass", "fail", "pass", "fail", "error", "notApplicable", "fail", "fail", "inconclusive"],
            root.GetProperty("cases").EnumerateArray().Select(c => c.GetProperty("verdict").GetString()));
        Assert.Equal("2027-03-31", root.GetProperty("cases")[3].GetProperty("waiver").GetProperty("expires")
            .GetString());
    }

    [Fact]
    public void JUnit_counts_agree_with_its_elements_and_with_the_run()
    {
        XElement root = XDocument.Parse(Write(SampleReports.Full(), ReportFormats.JUnit)).Root!;

        Assert.Equal("testsuites", root.Name.LocalName);
        Assert.Equal(
            ["acme-iommu without hardware", "acme-iommu on model", "acme-iommu on qemu-10.0.13", "acme-iommu waivers"],
            root.Elements("testsuite").Select(s => s.Attribute("name")!.Value));
        foreach (XElement suite in root.Elements("testsuite").Append(root))
        {
            Assert.Equal(suite.Descendants("testcase").Count(), (int)suite.Attribute("tests")!);
            Assert.Equal(suite.Descendants("failure").Count(), (int)suite.Attribute("failures")!);
            Assert.Equal(suite.Descendants("error").Count(), (int)suite.Attribute("errors")!);
            Assert.Equal(suite.Descendants("skipped").Count(), (int)suite.Attribute("skipped")!);
        }

        Assert.Equal(1 + 2, (int)root.Attribute("failures")!);
        Assert.Equal(1, (int)root.Attribute("errors")!);
        Assert.Empty(XDocument.Parse(Write(SampleReports.Good(), ReportFormats.JUnit)).Descendants("failure"));
        Assert.Equal(
            ["pass", "fail", "fail", "notApplicable", "fail", "fail", "inconclusive", "pass", "error"],
            root.Descendants("testcase").SelectMany(c => c.Descendants("property"))
                .Where(p => p.Attribute("name")!.Value == "verdict").Select(p => p.Attribute("value")!.Value));
        Assert.Null(root.Attribute("time"));
    }

    [Fact]
    public void JUnit_reports_durations_where_it_is_asked_to()
    {
        using var output = new MemoryStream();
        JUnitReport.Write(SampleReports.Full(), output, new ReportOptions { HasDurations = true });
        XElement root = XDocument.Parse(Encoding.UTF8.GetString(output.ToArray())).Root!;

        Assert.Equal("11.106", root.Attribute("time")!.Value);
        Assert.All(root.Elements("testsuite").Take(3).Descendants("testcase"), c =>
            Assert.Equal("1.234", c.Attribute("time")!.Value));
    }

    [Fact]
    public void A_tap_consumer_comes_to_the_verdict_of_the_run()
    {
        TapStream bad = TapStream.Read(Write(SampleReports.Full(), ReportFormats.Tap));
        TapStream good = TapStream.Read(Write(SampleReports.Good(), ReportFormats.Tap));

        Assert.False(bad.Passes);
        Assert.True(good.Passes);
        Assert.Equal(11, bad.Points.Count);
        Assert.Equal([2, 5, 10, 11], bad.Points.Where(p => p.Fails).Select(p => p.Number));
        Assert.Equal([4, 7, 8], bad.Points.Where(p => p.Directive == "TODO").Select(p => p.Number));
        Assert.Equal([6, 9], bad.Points.Where(p => p.Directive == "SKIP").Select(p => p.Number));
        Assert.Equal(
            ["", "fail", "", "fail", "error", "notApplicable", "fail", "fail", "inconclusive", "", ""],
            bad.Points.Select(p => p.Yaml.GetValueOrDefault("verdict", string.Empty)));
        Assert.StartsWith("INV-001 model ", bad.Points[1].Description, StringComparison.Ordinal);
        Assert.Equal("capability Ats not declared", bad.Points[5].Reason);
        Assert.Contains("# TODO \\ é", bad.Points[8].Description, StringComparison.Ordinal);
    }

    [Fact]
    public void The_page_is_well_formed_and_refers_to_nothing_outside_of_it()
    {
        XElement page = ReadPage(SampleReports.Full());
        string[] ids = [.. page.DescendantsAndSelf().Attributes("id").Select(a => a.Value)];

        Assert.Equal(ids.Length, ids.Distinct().Count());
        Assert.Contains("INV-001-model", ids);
        Assert.All(page.Descendants().Attributes("href"), a =>
        {
            Assert.StartsWith("#", a.Value, StringComparison.Ordinal);
            Assert.Contains(a.Value[1..], ids);
        });
        Assert.DoesNotContain(
            page.Descendants().Attributes(), a =>
                a.Name.LocalName is "src" or "srcset" or "action" or "data" or "style");
        Assert.Empty(page.Descendants("link"));
        Assert.DoesNotContain("url(", HtmlPage.Style, StringComparison.Ordinal);
        Assert.DoesNotContain("http", HtmlPage.Style + HtmlPage.Script, StringComparison.Ordinal);
        Assert.DoesNotContain("import", HtmlPage.Style + HtmlPage.Script, StringComparison.Ordinal);
    }

    [Fact]
    public void The_page_says_the_verdict_first_and_shows_text_as_text()
    {
        XElement page = ReadPage(SampleReports.Full());
        XElement body = page.Element("body")!;

        Assert.StartsWith("acme-iommu does not conform", body.Descendants("h1").Single().Value,
            StringComparison.Ordinal);
        Assert.Equal("header", body.Elements().First().Name.LocalName);
        Assert.Equal(2, page.Descendants("script").Count());
        Assert.Contains("</script><script>alert('x')</script> & \"q\"", body.Descendants("pre").Last().Value,
            StringComparison.Ordinal);
        Assert.Equal(9, page.Descendants("tbody").Single().Elements("tr").Count());
        Assert.Contains("prefers-color-scheme: dark", HtmlPage.Style, StringComparison.Ordinal);
        Assert.Contains("@media print", HtmlPage.Style, StringComparison.Ordinal);
        Assert.StartsWith("acme-iommu conforms", ReadPage(SampleReports.Good()).Descendants("h1").Single().Value,
            StringComparison.Ordinal);
    }

    [Fact]
    public void The_json_in_the_page_is_the_json_report()
    {
        string html = Write(SampleReports.Full(), ReportFormats.Html);
        const string Begin = "<script type=\"application/json\" id=\"report\">\n";
        int begin = html.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length;
        string island = html[begin..html.IndexOf("</script>", begin, StringComparison.Ordinal)];

        Assert.Equal(Write(SampleReports.Full(), ReportFormats.Json), island);
    }

    [Fact]
    public void Back_ends_whose_names_are_alike_in_an_address_keep_addresses_of_their_own()
    {
        ConformanceCase one = SampleReports.Case("INV-001", "invalidation", CaseLevel.Required, "D5", "x");
        ConformanceReport report = SampleReports.Good() with
        {
            Results = [SampleReports.Result(one, "a b", Verdict.Pass), SampleReports.Result(one, "a\"b", Verdict.Pass)],
        };

        Assert.Equal(
            ["INV-001-a_b", "INV-001-a_b-2"],
            ReadPage(report).Descendants("tbody").Single().Elements("tr").Select(r => r.Attribute("id")!.Value));
    }

    private static XElement ReadPage(ConformanceReport report)
    {
        using XmlReader reader = XmlReader.Create(
            new StringReader(Write(report, ReportFormats.Html)),
            new XmlReaderSettings { DtdProcessing = DtdProcessing.Ignore });
        return XDocument.Load(reader).Root!;
    }

    private static string Write(ConformanceReport report, string format)
    {
        using var output = new MemoryStream();
        Assert.True(ReportFormats.TryFind(format, out ReportFormat? found));
        found.Write(report, output, s_options);
        return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(output.ToArray());
    }
}
