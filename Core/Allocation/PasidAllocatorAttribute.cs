// SPDX-License-Identifier: Apache-2.0
using System.Composition;

namespace PasidFramework.Allocation;

/// <summary>
/// Exports an allocation policy; it takes part in a comparison as <c>core/NAME</c> when its file lies among the
/// plug-ins.
/// </summary>
[MetadataAttribute]
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
public sealed class PasidAllocatorAttribute(string name) : ExportAttribute(typeof(IPasidAllocatorFactory))
{
    /// <summary>The policy's name, lower case with dashes.</summary>
    public string Name { get; } = name;
}
