// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Contracts;
using PasidFramework.Identifiers;
using PasidFramework.Records;

namespace PasidFramework.DriverKit.Tables;

/// <summary>What the number of an entry is.</summary>
public enum EntryNumber
{
    /// <summary>An index of its table.</summary>
    Index,

    /// <summary>The device that the entry belongs to.</summary>
    Requester,

    /// <summary>The PASID that the entry belongs to.</summary>
    Pasid,
}

/// <summary>One kind of table, as <see cref="TableLister"/> reads it.</summary>
/// <param name="Layout">An entry's structure, at most 4096 bytes.</param>
/// <param name="Name">What findings call such a table, such as <c>PASID directory</c>.</param>
/// <param name="Kind">What an entry is in the list.</param>
/// <param name="Read">Reads one entry that is not all zero; it is asked in the order of the list.</param>
public sealed record TableLevel(Layout Layout, string Name, TableItemKind Kind, Func<TableEntry, EntryReading> Read)
{
    /// <summary>What the number of an entry is.</summary>
    public EntryNumber Numbers { get; init; }

    /// <summary>Whether only one entry may lead to such a table: another one that does is a finding, and not followed.</summary>
    public bool IsExclusive { get; init; }
}

/// <summary>A table that an entry, or a register, leads to.</summary>
/// <param name="Level">What it is.</param>
/// <param name="Address">Byte address of its first entry, a multiple of an entry's size.</param>
/// <param name="Entries">How many there are.</param>
/// <param name="First">Number of the first one.</param>
/// <param name="Requester">The device that it belongs to; null for none, or where the entries are devices.</param>
public sealed record TableReference(
    TableLevel Level, ulong Address, long Entries, long First = 0, RequesterId? Requester = null);

/// <summary>An entry as it was read.</summary>
/// <param name="Words">Its words.</param>
/// <param name="Address">Its byte address.</param>
/// <param name="Number">Its number, counted from the table's first one.</param>
/// <param name="Requester">The device that it belongs to.</param>
public sealed record TableEntry(ulong[] Words, ulong Address, long Number, RequesterId? Requester);

/// <summary>What an entry says.</summary>
/// <param name="Text">A short reading.</param>
/// <param name="Steps">What is wrong with it and where it leads, in the order of the list; taken one at a time, after
/// the violations of its layout.</param>
/// <param name="IsChecked">Whether it is held to its layout.</param>
public readonly record struct EntryReading(string Text, IEnumerable<EntryStep> Steps, bool IsChecked = true);

/// <summary>One thing that an entry says: a finding, a table or a page table.</summary>
public readonly record struct EntryStep
{
    private EntryStep(string? field) => Field = field;

    internal string? Field { get; }

    internal string? Text { get; private init; }

    internal TableReference? Table { get; private init; }

    internal ulong Address { get; private init; }

    internal long Bytes { get; private init; }

    /// <summary>Something is wrong.</summary>
    /// <param name="field">The field's mnemonic; null where it is no one field.</param>
    /// <param name="text">What, with value and limit.</param>
    public static EntryStep Finding(string? field, string text) => new(field) { Text = text };

    /// <summary>A table follows; where it cannot be followed that is a finding about the field.</summary>
    public static EntryStep Follow(string field, TableReference table) => new(field) { Table = table };

    /// <summary>A page table follows, which is not listed: a finding if it is no memory, or one of the tables that were
    /// listed.</summary>
    /// <param name="field">The field that points to it.</param>
    /// <param name="address">Its byte address.</param>
    /// <param name="bytes">Bytes of it that must be memory.</param>
    public static EntryStep PageTable(string field, ulong address, long bytes) =>
        new(field) { Address = address, Bytes = bytes };
}
