// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Benchmarks.Works;

/// <summary>Invalidations that cost nothing: what is left is the table's own work.</summary>
internal sealed class NoSync : IPasidTableSync
{
    public OpResult ConfigurationChanged(Pasid pasid, bool leafOnly) => OpResult.Ok;
    public OpResult TranslationsChanged(Pasid pasid, uint archId) => OpResult.Ok;
    public OpResult EntryRemoved(Pasid pasid, uint archId) => OpResult.Ok;
}
