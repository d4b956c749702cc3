// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Hardware;

/// <summary>What a driver did to memory.</summary>
public enum MemoryEventKind
{
    /// <summary>A 64-bit word was stored, or part of one.</summary>
    Store,

    /// <summary>Cached stores were written back.</summary>
    Flush,

    /// <summary>Stores were ordered.</summary>
    Barrier,

    /// <summary>Zeroed pages were taken.</summary>
    Allocate,

    /// <summary>Pages were given back.</summary>
    Free,
}

/// <summary>One thing that a driver did to memory.</summary>
/// <param name="Index">Its number, from 0, counted over all kinds since the memory was made.</param>
/// <param name="Kind">What.</param>
/// <param name="Address">Byte address; 0 for a barrier.</param>
/// <param name="Bytes">Length; 8 for a store, 0 for a barrier.</param>
/// <param name="Value">The whole word as it is after a store; 0 for all others.</param>
public readonly record struct MemoryEvent(long Index, MemoryEventKind Kind, ulong Address, int Bytes, ulong Value);

/// <summary>When a walker sees what the CPU has stored (and flushed, where the walker does not snoop).</summary>
public enum StoreOrder
{
    /// <summary>At once.</summary>
    Immediate,

    /// <summary>
    /// For certain only after the next barrier; until then any of the stores may be visible or not, each on its own,
    /// and the walker's view shows none of them. <see cref="IModelMemory.ForEachVisible"/> shows the others.
    /// </summary>
    Weak,
}

/// <summary>Receives the words of one torn read.</summary>
/// <param name="words">What a walker may have read; valid during the call.</param>
public delegate void WordsSeen(ReadOnlySpan<ulong> words);

/// <summary>A walker read where no live page is.</summary>
/// <param name="Address">Byte address.</param>
/// <param name="WasFreed">Whether a page that was freed was there.</param>
public readonly record struct StrayRead(ulong Address, bool WasFreed);
