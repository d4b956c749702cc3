// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace PasidFramework.Conformance.Reports;

/// <summary>The formats in which a report can be written.</summary>
public static class ReportFormats
{
    /// <summary>For people at a terminal: 80 columns.</summary>
    public const string Text = "text";

    /// <summary>For scripts.</summary>
    public const string Json = "json";

    /// <summary>For build servers.</summary>
    public const string JUnit = "junit";

    /// <summary>Test Anything Protocol, version 14.</summary>
    public const string Tap = "tap";

    /// <summary>One page for a browser, without anything beside it.</summary>
    public const string Html = "html";

    private static readonly UTF8Encoding s_utf8 = new(encoderShouldEmitUTF8Identifier: false);

    /// <summary>Every format, the default first.</summary>
    public static IReadOnlyList<ReportFormat> All { get; } =
    [
        new(Text, "for people: one line a result, 80 columns", static (report, output, options) =>
            Encoded(output, writer => TextReport.Write(report, writer, options))),
        new(Json, "for scripts", JsonReport.Write),
        new(JUnit, "JUnit XML, for build servers", JUnitReport.Write),
        new(Tap, "Test Anything Protocol 14", static (report, output, options) =>
            Encoded(output, writer => TapReport.Write(report, writer, options))),
        new(Html, "one page without anything beside it", static (report, output, options) =>
            Encoded(output, writer => HtmlReport.Write(report, writer, options))),
    ];

    /// <summary>Finds a format by its name.</summary>
    /// <param name="name">One of <see cref="All"/>, in lower case.</param>
    public static bool TryFind(string name, [NotNullWhen(true)] out ReportFormat? format)
    {
        format = All.FirstOrDefault(f => f.Name == name);
        return format is not null;
    }

    private static void Encoded(Stream output, Action<TextWriter> write)
    {
        using var writer = new StreamWriter(output, s_utf8, bufferSize: -1, leaveOpen: true);
        write(writer);
    }
}
