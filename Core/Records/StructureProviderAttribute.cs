// SPDX-License-Identifier: Apache-2.0
using System.Composition;

namespace PasidFramework.Records;

/// <summary>Exports the structures of one format.</summary>
[MetadataAttribute]
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
public sealed class StructureProviderAttribute(string name) : ExportAttribute(typeof(IStructureProvider))
{
    /// <summary>The format's name, such as <c>intel-vtd</c>.</summary>
    public string Name { get; } = name;
}
