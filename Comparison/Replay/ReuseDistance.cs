// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Replay;

/// <summary>How long freed PASIDs rest before they mean another process.</summary>
/// <param name="Reuses">Allocations that returned a PASID which had been freed before.</param>
/// <param name="Minimum">Fewest frees in between, the PASID's own not counted; null where none was reused.</param>
/// <param name="Percentile01">1 % quantile (nearest rank) of these; null where none was reused.</param>
public sealed record ReuseDistance(int Reuses, long? Minimum, long? Percentile01)
{
    /// <summary>Of the distances of all reuses.</summary>
    internal static ReuseDistance Of(List<long> distances)
    {
        if (distances.Count == 0)
        {
            return new ReuseDistance(0, null, null);
        }

        distances.Sort();
        int rank = Math.Max(1, (distances.Count + 99) / 100);
        return new ReuseDistance(distances.Count, distances[0], distances[rank - 1]);
    }
}
