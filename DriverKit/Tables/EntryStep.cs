// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.DriverKit.Tables;

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
