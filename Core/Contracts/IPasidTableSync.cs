// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Contracts;

/// <summary>
/// Called by a table writer at the points where its format demands an invalidation; returns when it has completed. One
/// protocol for all formats: the writer stores and writes back, the sync orders that ahead of what it sends.
/// </summary>
/// <remarks>
/// <see cref="IPasidTable.Set"/> calls <see cref="ConfigurationChanged"/>. <see cref="IPasidTable.Quiet"/> and
/// <see cref="IPasidTable.Clear"/> call <see cref="EntryRemoved"/>, or both of the others in its order;
/// <see cref="IPasidTable.Clear"/> of a quiet entry that is known to be invalidated calls
/// <see cref="ConfigurationChanged"/> alone, as such an entry leads to no translation.
/// </remarks>
public interface IPasidTableSync
{
    /// <summary>The entry, or with <paramref name="leafOnly"/> false also the path to it, has changed.</summary>
    OpResult ConfigurationChanged(Pasid pasid, bool leafOnly);

    /// <summary>Translations tagged with this PASID and <paramref name="archId"/> are no longer valid.</summary>
    OpResult TranslationsChanged(Pasid pasid, uint archId);

    /// <summary>
    /// The entry is gone or quiet: its configuration is invalidated, then the translations that were made from it. Both
    /// are, whatever the first one answers. Hardware that takes both in one batch overrides it.
    /// </summary>
    OpResult EntryRemoved(Pasid pasid, uint archId)
    {
        OpResult entry = ConfigurationChanged(pasid, leafOnly: true);
        OpResult translations = TranslationsChanged(pasid, archId);
        return entry.IsOk ? translations : entry;
    }
}
