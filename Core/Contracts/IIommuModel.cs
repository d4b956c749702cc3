// SPDX-License-Identifier: Apache-2.0
using System.Collections.ObjectModel;
using System.Composition;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;

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

/// <summary>Something that real hardware punishes in ways that no fault record reports.</summary>
/// <param name="Rule">Short permanent name, such as <c>vtd-stray-read</c>.</param>
/// <param name="Message">What happened, where, and the specification's section.</param>
public sealed record ProtocolViolation(string Rule, string Message);

/// <summary>One thing in a cache of a model.</summary>
/// <param name="Cache">Which cache, in the specification's words: context-cache, PASID-cache, CD, IOTLB,
/// device-TLB.</param>
/// <param name="Key">Its tags in words: requester, PASID, domain id, ASID, address.</param>
/// <param name="Value">What is cached, in words.</param>
public sealed record CachedItem(string Cache, string Key, string Value);

/// <summary>Makes models of one IOMMU architecture; export it with <see cref="IommuModelAttribute"/>.</summary>
/// <remarks>The model belongs to the architecture, not to one driver: any driver of that architecture runs on
/// it.</remarks>
public interface IIommuModelFactory
{
    /// <summary>Name of the page table format that its walker reads, as <see cref="PageTableFormatAttribute"/> states
    /// it; empty where it stops at the root of a process's page table.</summary>
    string PageTables => string.Empty;

    /// <summary>Makes a model and its memory.</summary>
    /// <param name="setup">What it reports of itself; <see cref="HardwareSetup.Coherent"/> is the memory's too.</param>
    /// <param name="order">When its walker sees what the driver stored.</param>
    /// <exception cref="ArgumentException">An option is unknown or out of range.</exception>
    IIommuModel Create(HardwareSetup setup, StoreOrder order = StoreOrder.Immediate);
}

/// <summary>Exports the software model of an IOMMU architecture.</summary>
[MetadataAttribute]
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
public sealed class IommuModelAttribute(string name) : ExportAttribute(typeof(IIommuModelFactory))
{
    /// <summary>Name of the architecture, such as <c>intel-vtd</c>.</summary>
    public string Name { get; } = name;
}
