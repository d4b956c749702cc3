// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Engine;

/// <summary>
/// A PASID that a process holds in a space. It returns to the space when nothing holds it any more: no link to a
/// domain (so every entry is cleared and every invalidation has completed), no page request that is still being
/// handled, and under the rule "process death" not the process itself. Nothing waits for that moment: the one that lets
/// go last returns it.
/// </summary>
internal sealed class PasidLease
{
    private int _holds;

    public PasidLease(PasidSpace space, Pasid pasid, ProcessRecord process, int holds)
    {
        Space = space;
        Pasid = pasid;
        Process = process;
        _holds = holds;
    }

    public PasidSpace Space { get; }
    public Pasid Pasid { get; }
    public ProcessRecord Process { get; }

    /// <summary>Links that use the PASID; guarded by the process's gate. The PASID is published while there is
    /// one.</summary>
    public int Links { get; set; }

    /// <summary>Whether the process itself holds the PASID until it dies; guarded by the process's gate.</summary>
    public bool HeldByProcess { get; set; }

    /// <summary>
    /// Set when an invalidation did not complete: some cache may still know the PASID, so it must never mean
    /// another process.
    /// </summary>
    public bool IsRetired { get; set; }

    public int Holds => Volatile.Read(ref _holds);

    /// <summary>Takes a hold unless the PASID is already on its way back.</summary>
    public bool TryHold()
    {
        int holds = Volatile.Read(ref _holds);
        while (holds > 0)
        {
            int before = Interlocked.CompareExchange(ref _holds, holds + 1, holds);
            if (before == holds)
            {
                return true;
            }

            holds = before;
        }

        return false;
    }

    /// <summary>Drops a hold; the last one returns the PASID to its space.</summary>
    public void Drop()
    {
        int left = Interlocked.Decrement(ref _holds);
        if (left == 0)
        {
            Space.Return(this);
        }
        else if (left < 0)
        {
            throw new InvalidOperationException(
                $"{Space.Name}: PASID {Pasid} was let go more often than it was held.");
        }
    }
}
