// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Hardware;

/// <summary>
/// Memory of a software model, with two sides: what the CPU stored, and what a walker sees of it. A model makes its
/// own; its host observes the driver's stores and probes what a walker may see between them.
/// </summary>
/// <remarks>Safe for concurrent use by a driver and a model; <see cref="ForEachVisible"/> is for one thread at a
/// time.</remarks>
public interface IModelMemory : IPhysicalMemory
{
    /// <summary>Raised after everything that the driver does, outside every lock of the memory.</summary>
    event Action<MemoryEvent>? Changed;

    /// <summary>Whether the walker snoops the CPU's caches.</summary>
    bool IsCoherent { get; }

    /// <summary>When stores are seen.</summary>
    StoreOrder Order { get; }

    /// <summary>What a walker sees and a device writes.</summary>
    IDeviceMemory Device { get; }

    /// <summary>Bytes in live allocations.</summary>
    long AllocatedBytes { get; }

    /// <summary>Reads of the walker that met no live page, oldest first; at least the first 256 are kept.</summary>
    IReadOnlyList<StrayRead> StrayReads { get; }

    /// <summary>
    /// Runs a probe for the sets of pending stores that a walker may see now: none, all, every prefix and suffix, each
    /// alone and all but each; every subset where there are few. Zeroes of fresh pages count as one store.
    /// </summary>
    /// <param name="probe">Uses <see cref="Device"/>, directly or through the model. Flags that a walker sets meanwhile
    /// are lost; it must not store otherwise.</param>
    /// <returns>How often it ran.</returns>
    int ForEachVisible(Action probe);
}
