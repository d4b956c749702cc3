// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace PasidFramework.Conformance.Reports;

/// <summary>The formats in which a report can be written.</summary>
public static class ReportFormats
{
    public const string Text = "text";
    public const string Json = "json";
    public const string JUnit = "junit";
    public const string Tap = "tap";
    public const string Html = "html";

    private static readonly UTF8Encoding s_utf8 = new(encoderShouldEmitUTF8Identifier: false);

    /// <summary>Every format, the default first.</summary>
    public static IReadOnlyList<ReportFormat> All { get; } =
    [
        new(Text, "for people: one line a result, 80 columns", Encoded(TextReport.Write)),
        new(Json, "for scripts", JsonReport.Write),
        new(JUnit, "JUnit XML, for build servers", JUnitReport.Write),
        new(Tap, "Test Anything Protocol 14", Encoded(TapReport.Write)),
        new(Html, "one page without anything beside it", Encoded(HtmlReport.Write)),
    ];

    /// <param name="name">One of <see cref="All"/>, in lower case.</param>
    public static bool TryFind(string name, [NotNullWhen(true)] out ReportFormat? format)
    {
        format = All.FirstOrDefault(f => f.Name == name);
        return format is not null;
    }

    private static Action<ConformanceReport, Stream, ReportOptions> Encoded(
        Action<ConformanceReport, TextWriter, ReportOptions?> write) => (report, output, options) =>
    {
        using var writer = new StreamWriter(output, s_utf8, bufferSize: -1, leaveOpen: true);
        write(report, writer, options);
    };
}
