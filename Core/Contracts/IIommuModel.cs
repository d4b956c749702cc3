// SPDX-License-Identifier: Apache-2.0
using System.Collections.ObjectModel;
using System.Composition;

namespace PasidFramework.Contracts;

/// <summary>
/// A software IOMMU that is as strict as hardware may be: it consumes the real commands and registers, walks the tables
/// that are in memory, and keeps every entry and translation that the specification lets it keep until a matching
/// invalidation arrives. A forgotten or wrong one is then seen as a stale translation.
/// </summary>
/// <remarks>Safe for concurrent use: accesses of devices run beside the driver.</remarks>
public interface IIommuModel : IIommuHardware
{
    /// <summary>The memory it shares with the driver. Walks, commands and records go through
    /// <see cref="IModelMemory.Device"/>; the CPU's side is read only to judge the driver's stores.</summary>
    IModelMemory ModelMemory { get; }

    /// <summary>
    /// What the driver did that the specification forbids or leaves undefined and that has no fault code of its own,
    /// oldest first.
    /// </summary>
    IReadOnlyList<ProtocolViolation> Violations { get; }

    /// <summary>What its caches hold now, for messages and tests.</summary>
    IReadOnlyList<CachedItem> Cached { get; }

    /// <summary>Forgets everything that is cached, as hardware may do at any time.</summary>
    void DropCaches();

    /// <summary>Where the tables of a device begin, if that was sent in a request and is in no register.</summary>
    /// <param name="requester">The device.</param>
    /// <returns>Values by the names of <see cref="ITableReader.Registers"/>; none where registers say it all.</returns>
    IReadOnlyDictionary<string, ulong> TableRoots(RequesterId requester) => ReadOnlyDictionary<string, ulong>.Empty;
}

/// <summary>Exports the software model of an IOMMU architecture.</summary>
[MetadataAttribute]
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
public sealed class IommuModelAttribute(string name) : ExportAttribute(typeof(IIommuModelFactory))
{
    /// <summary>Name of the architecture, such as <c>intel-vtd</c>.</summary>
    public string Name { get; } = name;
}
