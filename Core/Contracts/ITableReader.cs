// SPDX-License-Identifier: Apache-2.0
using System.Composition;
using PasidFramework.Records;

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
