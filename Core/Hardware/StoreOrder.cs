// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Hardware;

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
