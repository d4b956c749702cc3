// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Contracts;

/// <summary>One architecture's tables in memory.</summary>
public interface ITableView
{
    /// <summary>
    /// Everything that is reachable: devices, tables, PASID entries and what is wrong with them, read as the caller
    /// asks for the next one. The order is the walk's: a device, then its PASIDs in ascending order.
    /// </summary>
    /// <param name="maxItems">Most items, at least 1; where there is more, the last of them is a
    /// <see cref="TableItemKind.Finding"/> that says so.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="maxItems"/> is below 1.</exception>
    /// <remarks>Entries that are all zero are not listed. It ends for every content of memory, and remembers no more
    /// than the tables that it has walked through, at most <paramref name="maxItems"/>.</remarks>
    IEnumerable<TableItem> Items(int maxItems = 1 << 20);

    /// <summary>Follows one access through every stage, without caches and without side effects.</summary>
    TableWalk Walk(in DmaAccess access);
}
