// SPDX-License-Identifier: Apache-2.0

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
/// <remarks>An entry that was never written is invalid (C_BAD_STE), one without a leaf is C_BAD_STREAMID. Not safe for
/// concurrent use: the unit serialises.</remarks>
internal sealed class StreamTable : IDisposable
{
    /// <summary>SPLIT: bits of the StreamID below the first level.</summary>
    public const int Split = 8;

    /// <summary>Widest StreamID of a linear table where the unit has no two-level ones: 4 MiB of entries.</summary>
    public const int MaxLinearBits = 16;

    /// <summary>Widest StreamID of a two-level table: 1 MiB of first-level descriptors.</summary>
    public const int MaxTwoLevelBits = 25;

    private readonly IPhysicalMemory _memory;
    private readonly TwoLevelTable<StreamLink> _table;
    private readonly IStreamTableSync _sync;

    private StreamTable(
        IPhysicalMemory memory, TwoLevelTable<StreamLink> table, IStreamTableSync sync, int bits, bool twoLevel)
    {
        _memory = memory;
        _table = table;
        _sync = sync;
        Bits = bits;
        IsTwoLevel = twoLevel;
    }

    /// <summary>StreamID bits that the table covers: LOG2SIZE.</summary>
    public int Bits { get; }
    public bool IsTwoLevel { get; }

    /// <summary>Byte address of the linear table or of the first level.</summary>
    public ulong Root => _table.Root;

    public uint BaseConfiguration => (uint)0UL.With(Registers.STRTAB_LOG2SIZE, (ulong)Bits)
        .With(Registers.STRTAB_SPLIT, IsTwoLevel ? (ulong)Split : 0).With(Registers.STRTAB_FMT, IsTwoLevel ? 1UL : 0);

    public ulong Base => 0UL.WithAddress(Registers.STRTAB_ADDR, Root).With(Registers.BASE_RA, 1);

    /// <summary>Builds an empty table.</summary>
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
                return OpResult<StreamTable>.Refuse(Errno.ENODEV,
                    $"IDR0.ST_LEVEL is 0 and IDR1.SIDSIZE {sidBits}: linear stream tables reach {MaxLinearBits} bits");
            }

            twoLevel = false;
        }

        int bits = Math.Min(sidBits, MaxTwoLevelBits);
        int bytes = twoLevel
            ? Math.Max(64, L1StreamDescriptor.Bytes << (bits - Split))
            : StreamTableEntry.Bytes << bits;

        // Commands go to the hardware before it is enabled, and order the zeroes.
        OpResult<TwoLevelTable<StreamLink>> table = TwoLevelTable<StreamLink>.Create(memory, new TableGeometry(
            bits,
            StreamTableEntry.Bytes,
            Split,
            bytes,
            Math.Max(4096, bytes),
            StreamTableEntry.Bytes << Split,
            !twoLevel));
        return table.IsOk
            ? OpResult<StreamTable>.Ok(new StreamTable(memory, table.Value, sync, bits, twoLevel))
            : OpResult<StreamTable>.Refuse(table.Outcome);
    }

    /// <summary>Installs an entry so that a walker sees none or all of it.</summary>
    /// <returns>Success; EINVAL out of range; EEXIST; ENOMEM; an error of the synchronisation.</returns>
    public OpResult Set(uint sid, ReadOnlySpan<ulong> words)
    {
        if ((ulong)sid >> Bits != 0)
        {
            return OpResult.Refuse(Errno.EINVAL,
                $"StreamID 0x{sid:x} is out of range: {Bits} bits, last 0x{(1UL << Bits) - 1:x}");
        }

        ulong address = _table.Find(sid);
        bool isNewLeaf = address == 0;
        OpResult result = OpResult.Ok;
        if (isNewLeaf)
        {
            result = _table.AddLeaf(sid, words);
            if (!result.IsOk)
            {
                return OpResult.Refuse(
                    result.Errno, Text($"no memory for the stream table of StreamID 0x{sid:x}: {result.Reason}"));
            }

            address = _table.Find(sid);
        }
        else if (_table.State(sid) != 0)
        {
            return OpResult.Refuse(Errno.EEXIST, $"StreamID 0x{sid:x} has a valid stream table entry already");
        }

        if (isNewLeaf || _table.IsUnconfirmed(sid))
        {
            result = _table.Confirm(sid, _sync.StreamChanged(sid, leafOnly: false));
        }

        var sync = new StreamSync(_sync, sid);
        if (result.IsOk && !isNewLeaf)
        {
            result = HitlessWriter.Write<StreamEntryRules, StreamSync>(_memory, address, words, ref sync);
        }

        _table.State(sid) = result.IsOk ? 1u : 0;
        if (!result.IsOk && _memory.ReadQword(address) != 0)
        {
            StoreFirstWord(address, 0);
            _ = sync.Synchronise();
        }

        return result;
    }

    /// <summary>Removes an entry: only word 0 is stored, the next owner writes the others.</summary>
    /// <returns>Success; ENOENT; an error of the synchronisation (the entry is gone all the same).</returns>
    public OpResult Clear(uint sid)
    {
        ulong address = (ulong)sid >> Bits == 0 ? _table.Find(sid) : 0;
        if (address == 0 || _table.State(sid) == 0)
        {
            return OpResult.Refuse(Errno.ENOENT, $"StreamID 0x{sid:x} has no valid stream table entry");
        }

        _table.State(sid) = 0;
        StoreFirstWord(address, 0);
        return _sync.StreamChanged(sid, leafOnly: true);
    }

    public void Dispose() => _table.Dispose();

    private void StoreFirstWord(ulong address, ulong value)
    {
        _memory.WriteQword(address, value);
        _memory.Flush(address, 8);
    }

    private readonly struct StreamSync(IStreamTableSync sync, uint sid) : IEntrySync
    {
        public OpResult Synchronise() => sync.StreamChanged(sid, leafOnly: true);
    }
}
