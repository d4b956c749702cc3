using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace PasidFramework.Contracts;

/// <summary>One PASID table in memory, in a vendor's format.</summary>
/// <remarks>Not safe for concurrent use: the owner serialises per domain, as the core does for attach and detach.</remarks>
public interface IPasidTable : IDisposable
{
    /// <summary>Width in bits: the last valid PASID is 2^width - 1.</summary>
    int PasidBits { get; }

    /// <summary>Bytes of page memory it holds.</summary>
    long TableBytes { get; }

    /// <summary>Leaf tables it holds.</summary>
    int Leaves { get; }

    /// <summary>
    /// What a device must be told to use the table, by the specification's mnemonics (SMMUv3: S1Fmt, S1ContextPtr,
    /// S1CDMax, S1DSS; STE0 and STE1 are the first two words of a stream table entry that points to it).
    /// </summary>
    IReadOnlyDictionary<string, ulong> AttachParameters { get; }

    /// <summary>Installs an entry, valid bit last.</summary>
    /// <param name="pasid">The number.</param>
    /// <param name="entry">What it leads to.</param>
    /// <returns>Success; EINVAL beyond the width; EEXIST where a valid entry is; ENOMEM for a leaf.</returns>
    OpResult Set(Pasid pasid, in PasidTableEntry entry);

    /// <summary>Makes an entry translate nothing, without faults of configuration, while it stays in place.</summary>
    OpResult Quiet(Pasid pasid);

    /// <summary>Removes an entry, valid bit first.</summary>
    OpResult Clear(Pasid pasid);
}

/// <summary>What a PASID entry leads to.</summary>
/// <param name="PageTableRoot">Physical byte address of the process's top page table.</param>
/// <param name="ArchId">The tag of its translations: ASID or domain id.</param>
public readonly record struct PasidTableEntry(ulong PageTableRoot, uint ArchId);

/// <summary>
/// Told by a table writer at the points where its format demands an invalidation; returns when it has completed.
/// </summary>
public interface IPasidTableSync
{
    /// <summary>The entry, or with <paramref name="leafOnly"/> false also the path to it, has changed.</summary>
    OpResult ConfigurationChanged(Pasid pasid, bool leafOnly);

    /// <summary>Translations tagged with this PASID and <paramref name="archId"/> are no longer valid.</summary>
    OpResult TranslationsChanged(Pasid pasid, uint archId);
}
