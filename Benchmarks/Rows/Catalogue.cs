// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Benchmarks.Rows;

/// <summary>
/// All rows, in the order in which they are measured: lookups last, since they keep a full space. Scripts rely on their
/// names.
/// </summary>
internal static class Catalogue
{
    public static IReadOnlyList<Row> Rows { get; } =
    [
        .. AllocationRows.Rows, .. EntryRows.Rows, .. BindRows.Rows, .. LookupRows.Rows,
    ];
}
