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
