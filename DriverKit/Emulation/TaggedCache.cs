// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Emulation;

/// <summary>
/// A cache of a model: it keeps what it may until an invalidation names it. What it keeps first stays, unless it is
/// replaced on purpose. Not safe for concurrent use.
/// </summary>
/// <param name="name">Which cache, in the specification's words: <see cref="CachedItem.Cache"/>.</param>
public abstract class TaggedCache(string name)
{
    /// <summary>Which cache, in the specification's words.</summary>
    public string Name { get; } = name;

    /// <summary>Forgets everything.</summary>
    public abstract void Clear();

    /// <summary>What is kept, in words.</summary>
    public abstract IEnumerable<CachedItem> Items();

    /// <summary>What is kept and leads to memory of a range, in words.</summary>
    public abstract IEnumerable<string> FindReferencesInto(AddressRange range);
}
