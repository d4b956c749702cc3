// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Reports;

/// <summary>A format of reports.</summary>
/// <param name="Name">Its name, as users type it.</param>
/// <param name="Write">Writes a report as UTF-8 without a byte order mark, lines ended by a line feed; leaves the
/// stream open.</param>
public sealed record ReportFormat(string Name, string Summary, Action<ConformanceReport, Stream, ReportOptions> Write);
