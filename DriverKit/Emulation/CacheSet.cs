// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Emulation;

/// <summary>All caches of a model. Not safe for concurrent use.</summary>
public sealed class CacheSet(params TaggedCache[] caches)
{
    /// <summary>What is kept, cache by cache, in words.</summary>
    public IReadOnlyList<CachedItem> Items() => [.. caches.SelectMany(cache => cache.Items())];

    /// <summary>Forgets everything, as hardware may at any time.</summary>
    public void Clear() => Array.ForEach(caches, cache => cache.Clear());

    /// <summary>What is kept and leads to memory of a range, in words.</summary>
    public IEnumerable<string> FindReferencesInto(AddressRange range) =>
        caches.SelectMany(cache => cache.FindReferencesInto(range));

    /// <summary>The first thing that is kept and leads to memory of a range, in words; null for none.</summary>
    public string? FindReferenceInto(AddressRange range) => FindReferencesInto(range).FirstOrDefault();
}
