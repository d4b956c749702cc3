// SPDX-License-Identifier: Apache-2.0
using System.Composition;
using PasidFramework.Identifiers;

namespace PasidFramework.Allocation;

/// <summary>Makes allocators of one policy; export it with <see cref="PasidAllocatorAttribute"/>.</summary>
public interface IPasidAllocatorFactory
{
    /// <summary>Makes an allocator with every PASID of a range free.</summary>
    /// <param name="range">The PASIDs it may allocate.</param>
    /// <param name="seed">Seed for policies that draw PASIDs; the same seed gives the same PASIDs.</param>
    IPasidAllocator Create(PasidRange range, ulong seed);
}

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
