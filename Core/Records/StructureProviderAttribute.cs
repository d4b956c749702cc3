// SPDX-License-Identifier: Apache-2.0
using System.Composition;

namespace PasidFramework.Records;

/// <summary>
/// The structures that a plug-in knows, for people with a dump in front of them; export it with
/// <see cref="StructureProviderAttribute"/>.
/// </summary>
public interface IStructureProvider
{
    /// <summary>Every structure, with ids that begin with the format's name and a slash.</summary>
    IReadOnlyList<Layout> Layouts { get; }
}

/// <summary>Exports the structures of one format.</summary>
[MetadataAttribute]
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
public sealed class StructureProviderAttribute(string name) : ExportAttribute(typeof(IStructureProvider))
{
    /// <summary>The format's name, such as <c>intel-vtd</c>.</summary>
    public string Name { get; } = name;
}
