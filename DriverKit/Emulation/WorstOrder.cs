// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Emulation;

/// <summary>The worst order in which hardware may carry out invalidations without a fence between them.</summary>
public static class WorstOrder
{
    /// <summary>
    /// A group takes effect kind by kind. After each command the accesses that were under way fill again what they
    /// lost, from the caches that are still stale: so a kind that is filled from another one goes before it.
    /// </summary>
    /// <typeparam name="T">A command.</typeparam>
    /// <param name="group">The commands; each kind leaves those of the others alone.</param>
    /// <param name="refill">An access that comes back.</param>
    /// <param name="kinds">Carries out a command of one kind; gives what was under way.</param>
    public static void Apply<T>(
        IReadOnlyList<T> group, Action<DmaAccess> refill, params ReadOnlySpan<Func<T, IReadOnlyList<DmaAccess>>> kinds)
    {
        ArgumentNullException.ThrowIfNull(group);
        ArgumentNullException.ThrowIfNull(refill);
        foreach (Func<T, IReadOnlyList<DmaAccess>> kind in kinds)
        {
            foreach (T command in group)
            {
                foreach (DmaAccess access in kind(command))
                {
                    refill(access);
                }
            }
        }
    }
}
