// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace PasidFramework.Contracts;

/// <summary>One PASID table in memory, in a vendor's format.</summary>
/// <remarks>Not safe for concurrent use: the owner serialises per domain, as the core does for attach and
/// detach.</remarks>
public interface IPasidTable : IDisposable
{
    /// <summary>Width in bits: the last valid PASID is 2^width - 1.</summary>
    int PasidBits { get; }

    /// <summary>Bytes of page memory it holds.</summary>
    long TableBytes { get; }

    /// <summary>Leaf tables it holds.</summary>
    int Leaves { get; }

    /// <summary>
    /// What a device must be given to use the table, by the specification's mnemonics (SMMUv3: S1Fmt, S1ContextPtr,
    /// S1CDMax, S1DSS; STE0 and STE1 are the first two words of a stream table entry that points to it).
    /// </summary>
    IReadOnlyDictionary<string, ulong> AttachParameters { get; }

    /// <summary>Installs an entry, valid bit last.</summary>
    /// <param name="pasid">The PASID.</param>
    /// <param name="entry">What it leads to.</param>
    /// <returns>Success; EINVAL beyond the width; EEXIST where a valid entry is; ENOMEM for a leaf.</returns>
    OpResult Set(Pasid pasid, in PasidTableEntry entry);

    /// <summary>
    /// Whether the format can express a quiet entry. Where it cannot (AMD has one bit per device for it), a process
    /// that dies has its entry cleared, and its device's accesses are refused with records until it stops.
    /// </summary>
    bool CanQuiet => true;

    /// <summary>Makes an entry translate nothing, without faults of configuration, while it stays in place.</summary>
    /// <returns>Success; EINVAL beyond the width; ENOENT; EOPNOTSUPP where <see cref="CanQuiet"/> is false; the refusal
    /// of an invalidation, and the entry is quiet all the same.</returns>
    OpResult Quiet(Pasid pasid);

    /// <summary>Removes an entry, valid bit first.</summary>
    /// <returns>Success; EINVAL beyond the width; ENOENT; the refusal of an invalidation, and the entry is gone all the
    /// same.</returns>
    OpResult Clear(Pasid pasid);
}

/// <summary>What a PASID entry leads to.</summary>
/// <param name="PageTableRoot">Physical byte address of the process's top page table.</param>
/// <param name="ArchId">The tag of its translations: ASID or domain id.</param>
public readonly record struct PasidTableEntry(ulong PageTableRoot, uint ArchId);

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
