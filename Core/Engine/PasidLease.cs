// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Engine;

/// <summary>
/// A PASID that a process holds in a space; guarded by the process's gate. It returns to the space when no link uses it
/// any more (so every entry is cleared and every invalidation has completed), under the rule "process death" when the
/// process lets go too, and when no page request and no exit handler of it is open.
/// </summary>
internal struct PasidLease
{
    /// <summary>The space; null where the slot is free.</summary>
    public PasidSpace? Space;

    public Pasid Pasid;

    /// <summary>Links that use the PASID. It is published while there is one.</summary>
    public int Links;

    /// <summary>Whether the process itself holds the PASID until it dies.</summary>
    public bool HeldByProcess;

    /// <summary>
    /// Set when an invalidation did not complete: some cache may still know the PASID, so it must never mean another
    /// process.
    /// </summary>
    public bool IsRetired;
}
