using System.Globalization;
using PasidFramework.Drivers.IntelVtd.Formats;
using PasidFramework.Drivers.IntelVtd.Unit;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Records;
using PasidFramework.Results;

namespace PasidFramework.Drivers.IntelVtd.Tables;

/// <summary>What a unit's PASID tables hold together; safe for concurrent use.</summary>
internal sealed class TableCounters
{
    private long _bytes;
    private int _leaves;

    /// <summary>Bytes of page memory in directories and tables.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>PASID tables (leaves).</summary>
    public int Leaves => Volatile.Read(ref _leaves);

    /// <summary>Adds or, with negative numbers, takes away.</summary>
    public void Add(long bytes, int leaves)
    {
        Interlocked.Add(ref _bytes, bytes);
        Interlocked.Add(ref _leaves, leaves);
    }
}

/// <summary>
/// One PASID directory with its tables in memory: stores and flushes in the order that a walker beside the CPU needs.
/// It sends no invalidations; who calls it does. Intel VT-d, D51397-018 (rev 5.10), sections 9.5, 9.6 and 6.2.
/// </summary>
/// <remarks>Not safe for concurrent use: the core serialises per domain.</remarks>
internal sealed class PasidTableWriter : IDisposable
{
    private const int EntriesPerTableLog2 = 6;

    private readonly IPhysicalMemory _memory;
    private readonly VtdCapabilities _capabilities;
    private readonly TableCounters _counters;
    private readonly int _directoryBytes;
    private bool _disposed;

    private PasidTableWriter(
        IPhysicalMemory memory, VtdCapabilities capabilities, TableCounters counters, int pasidBits, ulong directory)
    {
        _memory = memory;
        _capabilities = capabilities;
        _counters = counters;
        PasidBits = pasidBits;
        Directory = directory;
        DirectorySize = SizeOf(pasidBits);
        _directoryBytes = BytesOf(DirectorySize);
        Account(_directoryBytes, 0);
    }

    /// <summary>The domain id of every first-stage and pass-through entry; 0 is never used (section 6.2.3.1).</summary>
    public const ushort DomainId = 1;

    /// <summary>Width in bits.</summary>
    public int PasidBits { get; }

    /// <summary>Address of the directory.</summary>
    public ulong Directory { get; }

    /// <summary>PDTS of a context entry: the directory has 2^(PDTS+7) entries.</summary>
    public int DirectorySize { get; }

    /// <summary>Whether a barrier has made the zeroed directory visible: before a context entry points to it.</summary>
    public bool IsPublished { get; set; }

    /// <summary>PASID tables.</summary>
    public int Leaves { get; private set; }

    /// <summary>Bytes of page memory.</summary>
    public long TableBytes { get; private set; }

    /// <summary>Entries that are present or quiet.</summary>
    public int Entries { get; private set; }

    /// <summary>Takes a zeroed directory.</summary>
    /// <param name="memory">Memory that the hardware walks.</param>
    /// <param name="capabilities">What the hardware supports.</param>
    /// <param name="counters">The unit's sums.</param>
    /// <param name="pasidBits">Width in bits, 1 to 20.</param>
    /// <returns>The table; ENOMEM.</returns>
    public static OpResult<PasidTableWriter> Create(
        IPhysicalMemory memory, VtdCapabilities capabilities, TableCounters counters, int pasidBits)
    {
        int bytes = BytesOf(SizeOf(pasidBits));
        OpResult<ulong> directory = memory.AllocatePages(bytes);
        if (!directory.IsOk)
        {
            return OpResult<PasidTableWriter>.Refuse(directory.Outcome);
        }

        // The barrier that makes it visible stands before the context entry that points to it.
        memory.Flush(directory.Value, bytes);
        return OpResult<PasidTableWriter>.Ok(
            new PasidTableWriter(memory, capabilities, counters, pasidBits, directory.Value));
    }

    /// <summary>
    /// Installs a first-stage entry: P last (D2). It is visible for certain after <see cref="Publish"/>.
    /// </summary>
    /// <param name="pasid">The number.</param>
    /// <param name="pageTableRoot">Byte address of the 4-level table, a multiple of 4096 below 2^52.</param>
    /// <returns>Success; EINVAL (beyond the width, bad root); EEXIST; ENOMEM: nothing was changed.</returns>
    public OpResult Set(Pasid pasid, ulong pageTableRoot)
    {
        if (pasid.Value >> PasidBits != 0)
        {
            return OpResult.Refuse(Errno.EINVAL, string.Create(
                CultureInfo.InvariantCulture, $"PASID {pasid} is beyond the table's {PasidBits} bits"));
        }

        if ((pageTableRoot & ~0x000F_FFFF_FFFF_F000UL) != 0)
        {
            return OpResult.Refuse(Errno.EINVAL, string.Create(
                CultureInfo.InvariantCulture,
                $"page table root 0x{pageTableRoot:x} is not a multiple of 4096 below 2^52"));
        }

        Span<ulong> words = stackalloc ulong[PasidEntry.Words];
        Encode(words, pageTableRoot);
        ulong at = Find(pasid);
        if (at == 0)
        {
            return AddLeaf(pasid, words);
        }

        if (_memory.ReadQword(at) != 0)
        {
            return OpResult.Refuse(Errno.EEXIST, $"PASID {pasid} has an entry already");
        }

        StoreWords(at, words);
        _memory.Flush(at, PasidEntry.SizeBytes);
        _memory.StoreBarrier();
        StoreFirstWord(at, words[0]);
        Entries++;
        return OpResult.Ok;
    }

    /// <summary>Makes what was stored visible to a walker; a submission to the queue does so as well.</summary>
    public void Publish() => _memory.StoreBarrier();

    /// <summary>Makes an entry not present in one store, and quiet: FPD suppresses faults.</summary>
    /// <returns>Whether there was an entry.</returns>
    public bool Quiet(Pasid pasid) => Replace(pasid, PasidEntry.FPD.WordMask);

    /// <summary>First half of removing an entry: not present, in one store.</summary>
    /// <returns>Whether there was an entry.</returns>
    public bool Clear(Pasid pasid)
    {
        if (!Replace(pasid, 0))
        {
            return false;
        }

        Entries--;
        return true;
    }

    /// <summary>
    /// Second half of removing an entry, after its invalidations: the rest of it becomes 0. Nobody reads it, so it is
    /// not flushed.
    /// </summary>
    public void Erase(Pasid pasid)
    {
        ulong at = Find(pasid);
        if (at == 0)
        {
            return;
        }

        Span<ulong> words = stackalloc ulong[PasidEntry.Words];
        words.Clear();
        StoreWords(at, words);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        for (int offset = 0; offset < _directoryBytes; offset += PasidDirectoryEntry.SizeBytes)
        {
            ulong entry = _memory.ReadQword(Directory + (ulong)offset);
            if ((entry & PasidDirectoryEntry.P.WordMask) != 0)
            {
                _memory.FreePages(entry & PasidDirectoryEntry.SMPTBLPTR.WordMask, PasidEntry.TableBytes);
            }
        }

        _memory.FreePages(Directory, _directoryBytes);
        Account(-TableBytes, -Leaves);
    }

    /// <summary>PDTS for a width: at least 13 bits.</summary>
    internal static int SizeOf(int pasidBits) => Math.Max(0, pasidBits - ContextEntry.MinPasidBits);

    // Memory comes in pages, so a directory of 1 KiB takes 4.
    private static int BytesOf(int directorySize) =>
        Math.Max(
            4096,
            PasidDirectoryEntry.SizeBytes << (directorySize + ContextEntry.MinPasidBits - EntriesPerTableLog2));

    private static ulong EntryOffset(Pasid pasid) =>
        (pasid.Value & ((1u << EntriesPerTableLog2) - 1)) * (ulong)PasidEntry.SizeBytes;

    private void Encode(Span<ulong> words, ulong pageTableRoot)
    {
        words.Clear();
        words.Set(PasidEntry.P, 1);
        words.Set(PasidEntry.AW, _capabilities.AddressWidth);
        words.Set(PasidEntry.PGTT, PasidEntry.FirstStage);
        words.Set(PasidEntry.DID, DomainId);
        words.Set(PasidEntry.PWSNP, _capabilities.WalkSnoop ? 1u : 0);
        words.Set(PasidEntry.SRE, _capabilities.Supervisor ? 1u : 0);
        words.SetAddress(PasidEntry.FSPTPTR, pageTableRoot);
    }

    private ulong DirectoryEntryAt(Pasid pasid) =>
        Directory + ((ulong)(pasid.Value >> EntriesPerTableLog2) * PasidDirectoryEntry.SizeBytes);

    // A new table gets its entry first and is linked by one store, when all of it is visible (D3); a directory stays as
    // it is where there is no memory (D8).
    private OpResult AddLeaf(Pasid pasid, ReadOnlySpan<ulong> words)
    {
        OpResult<ulong> leaf = _memory.AllocatePages(PasidEntry.TableBytes);
        if (!leaf.IsOk)
        {
            return leaf.Outcome;
        }

        ulong at = leaf.Value + EntryOffset(pasid);
        StoreWords(at, words);
        _memory.WriteQword(at, words[0]);
        _memory.Flush(leaf.Value, PasidEntry.TableBytes);
        _memory.StoreBarrier();
        StoreFirstWord(DirectoryEntryAt(pasid), leaf.Value | PasidDirectoryEntry.P.WordMask);
        Account(PasidEntry.TableBytes, 1);
        Entries++;
        return OpResult.Ok;
    }

    // All words but the first, where they differ from what is there.
    private void StoreWords(ulong at, ReadOnlySpan<ulong> words)
    {
        for (int i = 1; i < PasidEntry.Words; i++)
        {
            ulong word = at + ((ulong)i * 8);
            if (_memory.ReadQword(word) != words[i])
            {
                _memory.WriteQword(word, words[i]);
            }
        }
    }

    // Address of an entry, 0 where it has no table.
    private ulong Find(Pasid pasid)
    {
        if (pasid.Value >> PasidBits != 0)
        {
            return 0;
        }

        ulong entry = _memory.ReadQword(DirectoryEntryAt(pasid));
        return (entry & PasidDirectoryEntry.P.WordMask) == 0
            ? 0
            : (entry & PasidDirectoryEntry.SMPTBLPTR.WordMask) + EntryOffset(pasid);
    }

    private bool Replace(Pasid pasid, ulong firstWord)
    {
        ulong at = Find(pasid);
        if (at == 0 || _memory.ReadQword(at) == 0)
        {
            return false;
        }

        StoreFirstWord(at, firstWord);
        return true;
    }

    private void StoreFirstWord(ulong at, ulong value)
    {
        _memory.WriteQword(at, value);
        _memory.Flush(at, 8);
    }

    private void Account(long bytes, int leaves)
    {
        TableBytes += bytes;
        Leaves += leaves;
        _counters.Add(bytes, leaves);
    }
}
