using PasidFramework.Drivers.Reference.Formats;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace PasidFramework.Drivers.Reference.Tables;

/// <summary>
/// A domain's PASID table: a directory of leaves. It makes the stores in the order that a walker beside the CPU needs;
/// the commands that must follow are the unit's. Reference architecture, sections 3.2 and 3.3.
/// </summary>
/// <remarks>Not safe for concurrent use: the core serialises per domain.</remarks>
internal sealed class PasidTable
{
    private readonly IPhysicalMemory _memory;
    private readonly ulong[] _leaves;
    private int _leafCount;

    private PasidTable(IPhysicalMemory memory, int pasidBits, ulong root)
    {
        _memory = memory;
        _leaves = new ulong[1 << Math.Max(0, pasidBits - PasidEntry.IndexBits)];
        PasidBits = pasidBits;
        Root = root;
    }

    /// <summary>Width in bits, 1 to 20.</summary>
    public int PasidBits { get; }

    /// <summary>Byte address of the directory.</summary>
    public ulong Root { get; }

    /// <summary>Leaves in it.</summary>
    public int Leaves => Volatile.Read(ref _leafCount);

    /// <summary>Bytes of page memory in it.</summary>
    public long Bytes => DirectoryBytes + ((long)Leaves * PasidEntry.LeafBytes);

    // Memory comes in pages.
    private int DirectoryBytes => Math.Max(4096, _leaves.Length * DirectoryEntry.SizeBytes);

    /// <summary>Makes an empty table.</summary>
    /// <returns>The table; ENOMEM.</returns>
    public static OpResult<PasidTable> Create(IPhysicalMemory memory, int pasidBits)
    {
        int bytes = Math.Max(4096, DirectoryEntry.SizeBytes << Math.Max(0, pasidBits - PasidEntry.IndexBits));
        OpResult<ulong> root = memory.AllocatePages(bytes);
        if (!root.IsOk)
        {
            return OpResult<PasidTable>.Refuse(root.Outcome);
        }

        // The zeroes of a fresh page are stores like any other: a walker that does not snoop sees garbage before.
        memory.Publish(root.Value, bytes);
        return OpResult<PasidTable>.Ok(new PasidTable(memory, pasidBits, root.Value));
    }

    /// <summary>Installs an entry: its valid word last (D2), in a leaf that was visible before it was linked
    /// (D3).</summary>
    /// <param name="pasid">The number.</param>
    /// <param name="pageTable">Byte address of the process's top page table.</param>
    /// <param name="asid">Tag of the process's translations.</param>
    /// <returns>Whether the directory changed as well; EINVAL (beyond the width, a root that does not fit), EEXIST,
    /// ENOMEM: nothing was changed.</returns>
    public OpResult<bool> Install(Pasid pasid, ulong pageTable, uint asid)
    {
        if (pasid.Value >> PasidBits != 0)
        {
            return OpResult<bool>.Refuse(
                Errno.EINVAL, $"PASID {pasid} is beyond the table's {PasidBits} bits");
        }

        if ((pageTable & ~PasidEntry.ROOT.WordMask) != 0)
        {
            return OpResult<bool>.Refuse(
                Errno.EINVAL, $"page table root 0x{pageTable:x} is not a multiple of 4096 below 2^52");
        }

        bool isNew = LeafOf(pasid) == 0;
        if (isNew)
        {
            OpResult added = AddLeaf(pasid);
            if (!added.IsOk)
            {
                return OpResult<bool>.Refuse(added);
            }
        }

        ulong at = EntryOf(pasid);
        if (_memory.ReadQword(at) != 0)
        {
            return OpResult<bool>.Refuse(Errno.EEXIST, $"PASID {pasid} has an entry already");
        }

        // The walker reads word by word: as long as the first word says "not valid", the second means nothing.
        Store(at + 8, 0UL.With(PasidEntry.ASID, asid));
        Store(at, 0UL.With(PasidEntry.V, 1).WithAddress(PasidEntry.ROOT, pageTable));
        return OpResult<bool>.Ok(isNew);
    }

    /// <summary>Makes an entry abort every access without a record, by one store (D12).</summary>
    public void Silence(Pasid pasid) => Store(EntryOf(pasid), 0UL.With(PasidEntry.V, 1).With(PasidEntry.Q, 1));

    /// <summary>Makes an entry not valid, by one store. The second word stays: nobody reads it until it is stored
    /// anew.</summary>
    public void Clear(Pasid pasid) => Store(EntryOf(pasid), 0);

    /// <summary>Gives the memory back; the hardware knows nothing of the table any more.</summary>
    public void Free()
    {
        foreach (ulong leaf in _leaves)
        {
            if (leaf != 0)
            {
                _memory.FreePages(leaf, PasidEntry.LeafBytes);
            }
        }

        _memory.FreePages(Root, DirectoryBytes);
    }

    // The driver's own copy of the directory: what it frees it never reads from memory that others may write.
    private ref ulong LeafOf(Pasid pasid) => ref _leaves[pasid.Value >> PasidEntry.IndexBits];

    private ulong EntryOf(Pasid pasid) =>
        LeafOf(pasid) + ((pasid.Value & ((1u << PasidEntry.IndexBits) - 1)) * PasidEntry.SizeBytes);

    // A leaf stays until the table goes: freeing it earlier would need the proof that no neighbour is in use.
    private OpResult AddLeaf(Pasid pasid)
    {
        OpResult<ulong> leaf = _memory.AllocatePages(PasidEntry.LeafBytes);
        if (!leaf.IsOk)
        {
            return leaf.Outcome;
        }

        _memory.Publish(leaf.Value, PasidEntry.LeafBytes);
        Store(
            Root + ((pasid.Value >> PasidEntry.IndexBits) * (ulong)DirectoryEntry.SizeBytes),
            0UL.With(DirectoryEntry.V, 1).WithAddress(DirectoryEntry.LEAF, leaf.Value));
        LeafOf(pasid) = leaf.Value;
        Volatile.Write(ref _leafCount, _leafCount + 1);
        return OpResult.Ok;
    }

    private void Store(ulong address, ulong value)
    {
        _memory.WriteQword(address, value);
        _memory.Publish(address, 8);
    }
}

/// <summary>What stores need before anything that follows may rely on them.</summary>
internal static class Publishing
{
    /// <summary>Writes stores back and orders them ahead of all that follows, commands included. A walker that snoops
    /// needs no flush; it costs little there, and one path is easier to get right than two.</summary>
    public static void Publish(this IPhysicalMemory memory, ulong address, int bytes)
    {
        memory.Flush(address, bytes);
        memory.StoreBarrier();
    }
}
