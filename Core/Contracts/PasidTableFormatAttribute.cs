// SPDX-License-Identifier: Apache-2.0
using System.Composition;

namespace PasidFramework.Contracts;

/// <summary>Exports a PASID table writer under its format's name as the MEF contract name.</summary>
[MetadataAttribute]
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
public sealed class PasidTableFormatAttribute(string name) : ExportAttribute(name, typeof(IPasidTableFormat))
{
    /// <summary>Name of the format, such as <c>arm-smmuv3</c>.</summary>
    public string Name { get; } = name;
}
