// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.DriverKit.PageTables;

/// <summary>What an entry of a page table is at its level.</summary>
public enum EntryKind
{
    /// <summary>It leads nowhere: not present, or of a kind that its level does not have.</summary>
    Empty,

    /// <summary>It leads to a table one level below.</summary>
    Table,

    /// <summary>It maps a page: the smallest at level 1, larger ones (blocks) above.</summary>
    Leaf,
}
