// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Contracts;

/// <summary>How one access was followed.</summary>
/// <param name="Result">What hardware without caches would do.</param>
/// <param name="Steps">Every entry that was read, from the root on; the last one is where the walk ended.</param>
public sealed record TableWalk(TranslationResult Result, IReadOnlyList<TableStep> Steps)
{
    /// <summary>Whether the configuration was accepted as far as a page table, so that a fault is the address's
    /// own.</summary>
    public bool IsConfigured { get; init; }
}
