// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Tables;

/// <summary>
/// A PASID table: checks, leaves, and the order of stores and invalidations that all formats have in common. A format
/// adds the layout of an entry. The valid bit is in the first word of an entry.
/// </summary>
/// <typeparam name="TLink">Form of the links to leaves.</typeparam>
/// <remarks>
/// Not safe for concurrent use. Stores are written back here; the sync orders them before it sends anything. Of each
/// entry the table keeps its tag and whether it is quiet, so that it never reads back what it stored.
/// </remarks>
public abstract class PasidTable<TLink> : IPasidTable
    where TLink : struct, ITableLink
{
    // State of an entry: these bits, and the tag above them.
    private const uint Present = 1;
    private const uint Silent = 2;
    private const uint Doubtful = 4;
    private const int TagShift = 3;
    private readonly int _entryWords;
    private bool _disposed;

    /// <summary>Takes an empty table.</summary>
    /// <param name="memory">Where it is.</param>
    /// <param name="table">Its memory.</param>
    /// <param name="pasidBits">Width in bits.</param>
    /// <param name="entryWords">64-bit words of an entry, 2 to 8.</param>
    /// <param name="sync">Completes invalidations.</param>
    protected PasidTable(
        IPhysicalMemory memory, TwoLevelTable<TLink> table, int pasidBits, int entryWords, IPasidTableSync sync)
    {
        Memory = memory;
        Table = table;
        PasidBits = pasidBits;
        _entryWords = entryWords;
        Sync = sync;
    }

    public int PasidBits { get; }
    public long TableBytes => Table.Bytes;
    public int Leaves => Table.Leaves;

    /// <summary>Whether a PASID has an entry, valid or quiet; as its sync is called too.</summary>
    public bool Has(Pasid pasid) => Table.Find(pasid.Value) != 0 && Table.State(pasid.Value) != 0;

    /// <summary>Entries that are valid or quiet.</summary>
    public int Entries { get; private set; }

    /// <summary>Byte address of the directory, or of the table where it is linear.</summary>
    public ulong Root => Table.Root;

    public abstract IReadOnlyDictionary<string, ulong> AttachParameters { get; }
    public virtual bool CanQuiet => true;

    /// <summary>Where it is.</summary>
    protected IPhysicalMemory Memory { get; }

    /// <summary>Its memory.</summary>
    protected TwoLevelTable<TLink> Table { get; }

    /// <summary>Completes invalidations.</summary>
    protected IPasidTableSync Sync { get; }

    public OpResult Set(Pasid pasid, in PasidTableEntry entry)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (pasid.Value >> PasidBits != 0)
        {
            return BeyondWidth(pasid);
        }

        OpResult result = Check(pasid, entry);
        if (!result.IsOk)
        {
            return result;
        }

        Span<ulong> words = stackalloc ulong[HitlessWriter.MaxWords]; // zeroed
        words = words[.._entryWords];
        Encode(words, entry);
        ulong address = Table.Find(pasid.Value);
        bool isNewLeaf = address == 0;
        if (isNewLeaf)
        {
            result = AddLeaf(pasid, words);
            if (!result.IsOk)
            {
                return OpResult.Refuse(result.Errno, Text($"no memory for the leaf of PASID {pasid}: {result.Reason}"));
            }

            address = Table.Find(pasid.Value);
        }

        ref uint state = ref Table.State(pasid.Value);
        if (state != 0)
        {
            return OpResult.Refuse(Errno.EEXIST, $"PASID {pasid} has a valid entry already");
        }

        state = Present | (entry.ArchId << TagShift);
        Entries++;
        if (isNewLeaf || Table.IsUnconfirmed(pasid.Value))
        {
            result = ConfirmPath(pasid);
        }

        if (result.IsOk && !isNewLeaf)
        {
            result = Install(pasid, address, words);
        }

        if (!result.IsOk)
        {
            // Nothing may stay installed behind a refusal; whether the caches let go of it is beyond our knowledge.
            state = 0;
            Entries--;
            if (Memory.ReadQword(address) != 0)
            {
                StoreFirstWord(address, 0);
                Withdrawn(pasid, entry.ArchId);
                Erase(address);
            }
        }

        return result;
    }

    public OpResult Quiet(Pasid pasid)
    {
        OpResult result = FindEntry(pasid, out ulong address);
        if (!result.IsOk)
        {
            return result;
        }

        if (!CanQuiet)
        {
            return OpResult.Refuse(Errno.EOPNOTSUPP, $"PASID {pasid}: the format has no quiet entry");
        }

        ref uint state = ref Table.State(pasid.Value);
        result = MakeQuiet(pasid, address, state >> TagShift);
        state = (state & ~Doubtful) | Silent | (result.IsOk ? 0 : Doubtful);
        return result;
    }

    /// <remarks>
    /// Of a quiet entry whose invalidation was confirmed only the configuration is invalidated: it cannot have led to
    /// new translations.
    /// </remarks>
    public OpResult Clear(Pasid pasid)
    {
        OpResult result = FindEntry(pasid, out ulong address);
        if (!result.IsOk)
        {
            return result;
        }

        ref uint state = ref Table.State(pasid.Value);
        uint tag = state >> TagShift;
        bool isClean = (state & (Silent | Doubtful)) == Silent;
        state = 0;
        Entries--;
        StoreFirstWord(address, 0);
        result = isClean ? Sync.ConfigurationChanged(pasid, leafOnly: true) : Sync.EntryRemoved(pasid, tag);
        Erase(address);
        return result;
    }

    /// <summary>
    /// A cache that the sync does not speak for did not confirm that it forgot a quiet entry: its removal invalidates
    /// everything once more.
    /// </summary>
    /// <param name="pasid">A PASID with an entry.</param>
    public void Doubt(Pasid pasid) => Table.State(pasid.Value) |= Doubtful;

    /// <summary>Frees the memory; no hardware uses the table any more.</summary>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees the memory.</summary>
    /// <param name="disposing">True.</param>
    protected virtual void Dispose(bool disposing)
    {
        _disposed = true;
        Table.Dispose();
    }

    /// <summary>Whether an entry can be expressed: root and tag fit their fields.</summary>
    /// <returns>Success; EINVAL.</returns>
    protected abstract OpResult Check(Pasid pasid, in PasidTableEntry entry);

    /// <summary>The words of a valid entry.</summary>
    /// <param name="words">All 0.</param>
    /// <param name="entry">What it leads to.</param>
    protected abstract void Encode(Span<ulong> words, in PasidTableEntry entry);

    /// <summary>First word of an entry that translates nothing and records nothing.</summary>
    protected virtual ulong QuietWord => 0;

    /// <summary>Adds a leaf with its first entry in it (D3); a directory stays as it is where there is no memory
    /// (D8).</summary>
    protected virtual OpResult AddLeaf(Pasid pasid, ReadOnlySpan<ulong> words) => Table.AddLeaf(pasid.Value, words);

    /// <summary>Stores an entry in a leaf that hardware walks, valid bit last (D2), and invalidates what it
    /// replaces.</summary>
    protected virtual OpResult Install(Pasid pasid, ulong address, ReadOnlySpan<ulong> words)
    {
        Memory.WriteEntry(address, words);
        return Sync.ConfigurationChanged(pasid, leafOnly: true);
    }

    /// <summary>Makes an entry quiet, in one store, and invalidates all of it.</summary>
    protected virtual OpResult MakeQuiet(Pasid pasid, ulong address, uint tag)
    {
        StoreFirstWord(address, QuietWord);
        return Sync.EntryRemoved(pasid, tag);
    }

    /// <summary>An entry that hardware did not confirm is gone from memory again.</summary>
    protected virtual void Withdrawn(Pasid pasid, uint tag) => _ = Sync.ConfigurationChanged(pasid, leafOnly: true);

    /// <summary>
    /// The rest of an entry that nothing reads any more. It may stay as it is until the next one is installed.
    /// </summary>
    protected virtual void Erase(ulong address)
    {
    }

    /// <summary>Stores the word with the valid bit alone, and writes it back.</summary>
    protected void StoreFirstWord(ulong address, ulong value)
    {
        Memory.WriteQword(address, value);
        Memory.Flush(address, 8);
    }

    // Absent links may be cached; where the hardware did not confirm a new one the next entry asks again.
    private OpResult ConfirmPath(Pasid pasid) =>
        Table.Confirm(pasid.Value, Sync.ConfigurationChanged(pasid, leafOnly: false));

    private OpResult FindEntry(Pasid pasid, out ulong address)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        address = 0;
        if (pasid.Value >> PasidBits != 0)
        {
            return BeyondWidth(pasid);
        }

        address = Table.Find(pasid.Value);
        return address != 0 && Table.State(pasid.Value) != 0
            ? OpResult.Ok
            : OpResult.Refuse(Errno.ENOENT, $"PASID {pasid} has no valid entry");
    }

    private OpResult BeyondWidth(Pasid pasid) => OpResult.Refuse(Errno.EINVAL,
        $"PASID {pasid} is beyond the table: {PasidBits} bits, last 0x{(1u << PasidBits) - 1:x}");
}
