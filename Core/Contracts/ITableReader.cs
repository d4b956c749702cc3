// SPDX-License-Identifier: Apache-2.0
using System.Composition;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Records;
using PasidFramework.Results;

namespace PasidFramework.Contracts;

/// <summary>
/// Reads one architecture's tables from memory, whatever is in them: lists devices and PASIDs, and follows an access
/// step by step. It never trusts what it reads. Export it with <see cref="TableReaderAttribute"/>.
/// </summary>
public interface ITableReader
{
    /// <summary>Name of the architecture, such as <c>intel-vtd</c>.</summary>
    string Name { get; }

    /// <summary>The registers that say where the tables begin.</summary>
    IReadOnlyList<RootRegister> Registers { get; }

    /// <summary>The structures that its items and steps name, for an importer of the reader that has to know fields of
    /// theirs; empty from a reader that does not say.</summary>
    IReadOnlyList<Layout> Structures => [];

    /// <summary>Opens the tables behind a root.</summary>
    /// <param name="memory">Memory, a walker's view of it, or a dump.</param>
    /// <param name="registers">Values by the names of <see cref="Registers"/>; what is not required may be
    /// missing.</param>
    /// <returns>The tables; EINVAL where a register is missing, unknown or says nothing that can be walked.</returns>
    OpResult<ITableView> Open(IMemoryReader memory, IReadOnlyDictionary<string, ulong> registers);
}

/// <summary>A register or parameter that a table reader starts from.</summary>
/// <param name="Name">The specification's name, such as <c>RTADDR</c>.</param>
/// <param name="IsRequired">Whether the reader needs it.</param>
/// <param name="Meaning">What it says, and the value that is taken where it is missing.</param>
public sealed record RootRegister(string Name, bool IsRequired, string Meaning)
{
    /// <summary>Its byte offset in the unit's registers; null where it is none, such as a parameter of a
    /// request.</summary>
    public int? Offset { get; init; }

    /// <summary>Its size in bytes, 4 or 8.</summary>
    public int Bytes { get; init; } = 8;
}

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

public enum TableItemKind
{
    /// <summary>The configuration entry of a device.</summary>
    Device,

    /// <summary>An entry that points to a table of entries: root, directory, first level.</summary>
    Directory,

    /// <summary>The entry of a PASID.</summary>
    Pasid,

    /// <summary>Something that is wrong or was not followed.</summary>
    Finding,
}

/// <summary>One item of the tables.</summary>
public sealed record TableItem
{
    /// <summary>What it is.</summary>
    public required TableItemKind Kind { get; init; }

    /// <summary>Id of its structure, such as <c>intel-vtd/pasid_entry</c>: a layout of the same assembly explains
    /// it.</summary>
    public required string Structure { get; init; }

    /// <summary>Byte address of the entry.</summary>
    public required ulong Address { get; init; }

    /// <summary>Its 64-bit words, low word first; empty where it could not be read.</summary>
    public IReadOnlyList<ulong> Words { get; init; } = [];

    /// <summary>The device, where the item belongs to one.</summary>
    public RequesterId? Requester { get; init; }

    /// <summary>The PASID, where the item belongs to one.</summary>
    public Pasid? Pasid { get; init; }

    /// <summary>The field that a finding is about, by its mnemonic; null for all other items.</summary>
    public string? Field { get; init; }

    /// <summary>A finding in words, with value and limit; else a short reading of the entry.</summary>
    public required string Text { get; init; }
}

/// <summary>How one access was followed.</summary>
/// <param name="Result">What hardware without caches would do.</param>
/// <param name="Steps">Every entry that was read, from the root on; the last one is where the walk ended.</param>
public sealed record TableWalk(TranslationResult Result, IReadOnlyList<TableStep> Steps)
{
    /// <summary>Whether the configuration was accepted as far as a page table, so that a fault is the address's
    /// own.</summary>
    public bool IsConfigured { get; init; }
}

/// <summary>One entry on the way of a walk.</summary>
/// <param name="Structure">Id of its structure.</param>
/// <param name="Address">Its byte address.</param>
/// <param name="Words">Its 64-bit words; empty where it could not be read.</param>
/// <param name="Text">A short reading: what it leads to, or what is wrong.</param>
public sealed record TableStep(string Structure, ulong Address, IReadOnlyList<ulong> Words, string Text);

/// <summary>Exports the table reader of an architecture.</summary>
[MetadataAttribute]
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
public sealed class TableReaderAttribute(string name) : ExportAttribute(typeof(ITableReader))
{
    /// <summary>
    /// What stands before an architecture's name in the contract name by which a plug-in imports an
    /// <see cref="ITableReader"/> of another one: <c>[Import("table-reader/arm-smmuv3", AllowDefault = true)]</c>.
    /// </summary>
    public const string ImportPrefix = "table-reader/";

    /// <summary>Name of the architecture, such as <c>intel-vtd</c>.</summary>
    public string Name { get; } = name;
}
