// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Comparison.Spooling;

namespace PasidFramework.Comparison.Replay;

/// <summary>How long freed PASIDs rest before they mean another process.</summary>
/// <param name="Reuses">Allocations that returned a PASID which had been freed before.</param>
/// <param name="Minimum">Fewest frees in between, the PASID's own not counted; null where none was reused.</param>
/// <param name="Percentile01">1 % quantile (nearest rank) of these; null where none was reused.</param>
public sealed record ReuseDistance(int Reuses, long? Minimum, long? Percentile01)
{
    /// <summary>Of the distances of all reuses.</summary>
    internal static ReuseDistance Of(SortedSpool<long> distances)
    {
        distances.Seal();
        SortedSpool<long>.Reader reader = distances.Open();
        if (!reader.TryRead(out long minimum))
        {
            return new ReuseDistance(0, null, null);
        }

        long rank = Math.Max(1, (distances.Count + 99) / 100);
        long percentile = minimum;
        for (long i = 1; i < rank && reader.TryRead(out long next); i++)
        {
            percentile = next;
        }

        return new ReuseDistance((int)distances.Count, minimum, percentile);
    }
}
