// SPDX-License-Identifier: Apache-2.0

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
