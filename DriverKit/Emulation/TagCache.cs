// SPDX-License-Identifier: Apache-2.0
using System.Collections;
using System.Diagnostics.CodeAnalysis;

namespace PasidFramework.DriverKit.Emulation;

/// <summary>A cache by tags.</summary>
/// <typeparam name="TKey">The tags.</typeparam>
/// <typeparam name="TValue">What is kept.</typeparam>
/// <param name="name">Which cache, in the specification's words.</param>
/// <param name="maxEntries">Above that, everything is forgotten: hardware is finite.</param>
[SuppressMessage("Naming", "CA1710", Justification = "It is a cache before it is a collection.")]
public class TagCache<TKey, TValue>(string name, int maxEntries = int.MaxValue)
    : TaggedCache(name), IEnumerable<KeyValuePair<TKey, TValue>>
    where TKey : notnull
{
    private readonly Dictionary<TKey, TValue> _kept = [];

    /// <summary>Tags and value in words, for messages and tests.</summary>
    public required Func<TKey, TValue, (string Key, string Value)> Describe { get; init; }

    /// <summary>What an entry is, in words, where it leads to memory of a range; null where it does not.</summary>
    public Func<TKey, TValue, AddressRange, string?>? LeadsInto { get; init; }

    /// <summary>Which cache an entry is in, where one structure of the model stands for several.</summary>
    public Func<TKey, TValue, string>? NameOf { get; init; }

    /// <summary>How much is kept.</summary>
    public int Count => _kept.Count;

    /// <summary>The tags of everything that is kept.</summary>
    public Dictionary<TKey, TValue>.KeyCollection Keys => _kept.Keys;

    /// <summary>Everything that is kept.</summary>
    public Dictionary<TKey, TValue>.ValueCollection Values => _kept.Values;

    /// <summary>Reads what is kept.</summary>
    public bool TryGet(TKey key, [MaybeNullWhen(false)] out TValue value) => _kept.TryGetValue(key, out value);

    /// <summary>Keeps a value where none is kept.</summary>
    /// <returns>Whether it is kept now.</returns>
    public bool TryKeep(TKey key, TValue value)
    {
        if (_kept.ContainsKey(key))
        {
            return false;
        }

        Replace(key, value);
        return true;
    }

    /// <summary>Keeps a value instead of what was kept.</summary>
    public void Replace(TKey key, TValue value)
    {
        if (_kept.Count >= maxEntries && !_kept.ContainsKey(key))
        {
            _kept.Clear();
        }

        _kept[key] = value;
    }

    /// <summary>Forgets one.</summary>
    public bool Remove(TKey key) => _kept.Remove(key);

    /// <summary>Forgets what an invalidation names.</summary>
    /// <returns>What was forgotten: accesses that were under way may ask for it again.</returns>
    public List<KeyValuePair<TKey, TValue>> Forget(Func<TKey, TValue, bool> isNamed)
    {
        ArgumentNullException.ThrowIfNull(isNamed);
        var forgotten = new List<KeyValuePair<TKey, TValue>>();
        foreach (KeyValuePair<TKey, TValue> kept in _kept)
        {
            if (isNamed(kept.Key, kept.Value))
            {
                forgotten.Add(kept);
            }
        }

        foreach (KeyValuePair<TKey, TValue> kept in forgotten)
        {
            _kept.Remove(kept.Key);
        }

        return forgotten;
    }

    public override void Clear() => _kept.Clear();

    public override IEnumerable<CachedItem> Items()
    {
        foreach ((TKey key, TValue value) in _kept)
        {
            (string tags, string what) = Describe(key, value);
            yield return new CachedItem(NameOf?.Invoke(key, value) ?? Name, tags, what);
        }
    }

    public override IEnumerable<string> FindReferencesInto(AddressRange range)
    {
        if (LeadsInto is null)
        {
            yield break;
        }

        foreach ((TKey key, TValue value) in _kept)
        {
            if (LeadsInto(key, value, range) is { } subject)
            {
                yield return subject;
            }
        }
    }

    /// <summary>Everything that is kept with its tags.</summary>
    public Dictionary<TKey, TValue>.Enumerator GetEnumerator() => _kept.GetEnumerator();

    IEnumerator<KeyValuePair<TKey, TValue>> IEnumerable<KeyValuePair<TKey, TValue>>.GetEnumerator() => GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
