// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Tables;

/// <summary>One kind of table, as <see cref="TableLister"/> reads it.</summary>
/// <param name="Layout">An entry's structure, at most 4096 bytes.</param>
/// <param name="Name">What findings call such a table, such as <c>PASID directory</c>.</param>
/// <param name="Kind">What an entry is in the list.</param>
/// <param name="Read">Reads one entry that is not all zero; it is asked in the order of the list.</param>
public sealed record TableLevel(Layout Layout, string Name, TableItemKind Kind, Func<TableEntry, EntryReading> Read)
{
    public EntryNumber Numbers { get; init; }

    /// <summary>Whether only one entry may lead to such a table: another one that does is a finding, and not
    /// followed.</summary>
    public bool IsExclusive { get; init; }
}
