using System.Globalization;
using PasidFramework.Drivers.ArmSmmu.Formats;
using PasidFramework.Hardware;
using PasidFramework.Records;
using PasidFramework.Results;

namespace PasidFramework.Drivers.ArmSmmu.Tables;

/// <summary>Completes the invalidation of a stream table entry.</summary>
internal interface IStreamTableSync
{
    /// <summary>The entry of a StreamID, or with <paramref name="leafOnly"/> false also the path to it, has
    /// changed.</summary>
    OpResult StreamChanged(uint sid, bool leafOnly);
}

/// <summary>
/// The stream table of one unit: linear up to 8 bits of StreamID, two levels split at bit 8 above, with leaves of 256
/// entries (16 KiB) that are allocated by the first entry and stay (Arm IHI 0070 3.3, 5.1, 5.2).
/// </summary>
/// <remarks>An entry that nobody wrote is invalid (C_BAD_STE), one without a leaf is C_BAD_STREAMID. Not safe for
/// concurrent use: the unit serialises.</remarks>
internal sealed class StreamTable : IDisposable
{
    /// <summary>SPLIT: bits of the StreamID below the first level.</summary>
    public const int Split = 8;

    /// <summary>Widest StreamID of a linear table where the unit has no two-level ones: 4 MiB of entries.</summary>
    public const int MaxLinearBits = 16;

    /// <summary>Widest StreamID of a two-level table: 1 MiB of first-level descriptors.</summary>
    public const int MaxTwoLevelBits = 25;

    private const int LeafBytes = StreamTableEntry.Bytes << Split;

    private readonly IPhysicalMemory _memory;
    private readonly IStreamTableSync _sync;
    private readonly int _rootBytes;
    private readonly ulong[] _leaves;
    private readonly bool[] _linked;
    private bool _disposed;

    private StreamTable(
        IPhysicalMemory memory, IStreamTableSync sync, int bits, bool twoLevel, ulong root, int rootBytes)
    {
        _memory = memory;
        _sync = sync;
        Bits = bits;
        IsTwoLevel = twoLevel;
        Root = root;
        _rootBytes = rootBytes;
        _leaves = twoLevel ? new ulong[1 << (bits - Split)] : [];
        _linked = new bool[_leaves.Length];
    }

    /// <summary>StreamID bits that the table covers: LOG2SIZE.</summary>
    public int Bits { get; }

    /// <summary>Whether there are two levels.</summary>
    public bool IsTwoLevel { get; }

    /// <summary>Byte address of the linear table or of the first level.</summary>
    public ulong Root { get; }

    /// <summary>The value of STRTAB_BASE_CFG.</summary>
    public uint BaseConfiguration
    {
        get
        {
            Span<ulong> words = [0];
            words.Set(Registers.STRTAB_LOG2SIZE, (ulong)Bits);
            words.Set(Registers.STRTAB_SPLIT, IsTwoLevel ? (ulong)Split : 0);
            words.Set(Registers.STRTAB_FMT, IsTwoLevel ? 1UL : 0);
            return (uint)words[0];
        }
    }

    /// <summary>The value of STRTAB_BASE.</summary>
    public ulong Base
    {
        get
        {
            Span<ulong> words = [0];
            words.SetAddress(Registers.STRTAB_ADDR, Root);
            words.Set(Registers.BASE_RA, 1);
            return words[0];
        }
    }

    /// <summary>Builds an empty table.</summary>
    /// <param name="memory">Where.</param>
    /// <param name="sidBits">IDR1.SIDSIZE.</param>
    /// <param name="hasTwoLevels">IDR0.ST_LEVEL.</param>
    /// <param name="sync">Completes invalidations.</param>
    /// <returns>The table; ENOMEM; ENODEV where a linear table would have to be larger than 4 MiB.</returns>
    public static OpResult<StreamTable> Create(
        IPhysicalMemory memory, int sidBits, bool hasTwoLevels, IStreamTableSync sync)
    {
        bool twoLevel = sidBits > Split;
        if (twoLevel && !hasTwoLevels)
        {
            if (sidBits > MaxLinearBits)
            {
                return OpResult<StreamTable>.Refuse(Errno.ENODEV, Text(
                    $"IDR0.ST_LEVEL is 0 and IDR1.SIDSIZE {sidBits}: linear stream tables reach {MaxLinearBits} bits"));
            }

            twoLevel = false;
        }

        int bits = Math.Min(sidBits, MaxTwoLevelBits);
        int bytes = twoLevel
            ? Math.Max(64, L1StreamDescriptor.Bytes << (bits - Split))
            : StreamTableEntry.Bytes << bits;
        OpResult<ulong> root = memory.AllocatePages(bytes, Math.Max(4096, bytes));
        if (!root.IsOk)
        {
            return OpResult<StreamTable>.Refuse(root.Outcome);
        }

        // Commands go to the hardware before it is enabled, and order this.
        memory.Flush(root.Value, bytes);
        return OpResult<StreamTable>.Ok(new StreamTable(memory, sync, bits, twoLevel, root.Value, bytes));
    }

    /// <summary>Installs an entry so that a walker sees none or all of it.</summary>
    /// <param name="sid">StreamID.</param>
    /// <param name="words">The entry.</param>
    /// <returns>Success; EINVAL out of range; EEXIST; ENOMEM; an error of the synchronisation.</returns>
    public OpResult Set(uint sid, ReadOnlySpan<ulong> words)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if ((ulong)sid >> Bits != 0)
        {
            return OpResult.Refuse(Errno.EINVAL, Text(
                $"StreamID 0x{sid:x} is out of range: {Bits} bits, last 0x{(1UL << Bits) - 1:x}"));
        }

        if (Find(sid) is { } existing && IsValid(existing))
        {
            return OpResult.Refuse(Errno.EEXIST, Text($"StreamID 0x{sid:x} has a valid stream table entry already"));
        }

        if (IsTwoLevel && _leaves[sid >> Split] == 0)
        {
            return SetInNewLeaf(sid, words);
        }

        OpResult result = ConfirmPath(sid);
        if (!result.IsOk)
        {
            return result;
        }

        ulong address = Find(sid)!.Value;
        var sync = new StreamSync(_sync, sid);
        result = EntryWriter.Write<StreamEntryRules, StreamSync>(_memory, address, words, ref sync);
        if (!result.IsOk && IsValid(address))
        {
            EntryWriter.WriteWord(_memory, address, 0);
            _ = sync.Synchronise();
        }

        return result;
    }

    /// <summary>Removes an entry: only word 0 is stored, the next owner writes the others.</summary>
    /// <returns>Success; ENOENT; an error of the synchronisation (the entry is gone all the same).</returns>
    public OpResult Clear(uint sid)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if ((ulong)sid >> Bits != 0 || Find(sid) is not { } address || !IsValid(address))
        {
            return OpResult.Refuse(Errno.ENOENT, Text($"StreamID 0x{sid:x} has no valid stream table entry"));
        }

        Span<ulong> words = stackalloc ulong[StreamTableEntry.Words];
        EntryWriter.Load(_memory, address, words);
        words[0] = 0;
        var sync = new StreamSync(_sync, sid);
        return EntryWriter.Write<StreamEntryRules, StreamSync>(_memory, address, words, ref sync);
    }

    /// <summary>Frees the table; the unit is off.</summary>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        foreach (ulong leaf in _leaves)
        {
            if (leaf != 0)
            {
                _memory.FreePages(leaf, LeafBytes);
            }
        }

        _memory.FreePages(Root, _rootBytes);
    }

    private ulong? Find(uint sid)
    {
        if (!IsTwoLevel)
        {
            return Root + ((ulong)sid << StreamTableEntry.BytesLog2);
        }

        ulong leaf = _leaves[sid >> Split];
        return leaf == 0 ? null : EntryInLeaf(leaf, sid);
    }

    private static ulong EntryInLeaf(ulong leaf, uint sid) =>
        leaf + (((ulong)sid & ((1u << Split) - 1)) << StreamTableEntry.BytesLog2);

    private bool IsValid(ulong address)
    {
        ReadOnlySpan<ulong> word = [_memory.ReadQword(address)];
        return word.Get(StreamTableEntry.V) != 0;
    }

    // As for context descriptors: what a new leaf holds is written before anything leads to it.
    private OpResult SetInNewLeaf(uint sid, ReadOnlySpan<ulong> words)
    {
        int index = (int)(sid >> Split);
        OpResult<ulong> leaf = _memory.AllocatePages(LeafBytes, LeafBytes);
        if (!leaf.IsOk)
        {
            return OpResult.Refuse(
                leaf.Errno, Text($"no memory for the stream table of StreamID 0x{sid:x}: {leaf.Reason}"));
        }

        ulong address = EntryInLeaf(leaf.Value, sid);
        EntryWriter.Fill(_memory, address, words);
        _memory.Flush(leaf.Value, LeafBytes);
        _memory.StoreBarrier();
        _leaves[index] = leaf.Value;
        Span<ulong> link = [0];
        link.SetAddress(L1StreamDescriptor.L2Ptr, leaf.Value);
        link.Set(L1StreamDescriptor.Span, Split + 1);
        EntryWriter.WriteWord(_memory, Root + ((ulong)index * L1StreamDescriptor.Bytes), link[0]);
        OpResult result = ConfirmPath(sid);
        if (!result.IsOk)
        {
            EntryWriter.WriteWord(_memory, address, 0);
            _ = _sync.StreamChanged(sid, leafOnly: true);
        }

        return result;
    }

    private OpResult ConfirmPath(uint sid)
    {
        int index = (int)(sid >> Split);
        if (!IsTwoLevel || _linked[index])
        {
            return OpResult.Ok;
        }

        OpResult result = _sync.StreamChanged(sid, leafOnly: false);
        _linked[index] = result.IsOk;
        return result;
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private readonly struct StreamSync(IStreamTableSync sync, uint sid) : IEntrySync
    {
        public OpResult Synchronise() => sync.StreamChanged(sid, leafOnly: true);
    }
}
