using System.Globalization;
using PasidFramework.Contracts;
using PasidFramework.Drivers.ArmSmmu.Formats;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Records;
using PasidFramework.Results;

namespace PasidFramework.Drivers.ArmSmmu.Tables;

/// <summary>
/// A table of context descriptors, one per PASID: linear up to 10 bits, two levels with 64 KiB leaves of 1024
/// descriptors above (Arm IHI 0070 5.3, 5.4).
/// </summary>
/// <remarks>
/// Every leaf is allocated by the first <see cref="Set"/> that needs it, leaf 0 too (the 2017 code built leaf 0 at
/// once), and stays until <see cref="Dispose"/>: hardware may hold the pointer to it. Descriptors are changed by
/// <see cref="EntryWriter"/>; the barrier after a step is that of <see cref="IPasidTableSync"/>, which must order stores
/// before it sends anything.
/// </remarks>
internal sealed class CdTable : IPasidTable
{
    /// <summary>Widest linear table in bits.</summary>
    public const int LinearBits = 10;

    /// <summary>Bits of the number that select the descriptor within a 64 KiB leaf.</summary>
    public const int LeafBits = 10;

    private const int LeafBytes = ContextDescriptor.Bytes << LeafBits;
    private const int MaxPasidBits = Pasid.MaxBits;

    private readonly IPhysicalMemory _memory;
    private readonly IPasidTableSync _sync;
    private readonly CdSettings _settings;
    private readonly ulong _root;
    private readonly int _rootBytes;
    private readonly ulong[] _leaves;
    private readonly bool[] _linked;

    // Quiet descriptors whose invalidation was not confirmed.
    private readonly HashSet<uint> _doubtful = [];
    private Dictionary<string, ulong>? _attachParameters;
    private bool _disposed;

    private CdTable(IPhysicalMemory memory, int pasidBits, IPasidTableSync sync, CdSettings settings, ulong root)
    {
        _memory = memory;
        _sync = sync;
        _settings = settings;
        _root = root;
        _rootBytes = RootBytes(pasidBits);
        PasidBits = pasidBits;
        bool twoLevel = pasidBits > LinearBits;
        _leaves = twoLevel ? new ulong[1 << (pasidBits - LeafBits)] : [];
        _linked = new bool[_leaves.Length];
    }

    /// <inheritdoc/>
    public int PasidBits { get; }

    /// <inheritdoc/>
    public long TableBytes => PageBytes(_rootBytes) + ((long)Leaves * LeafBytes);

    /// <inheritdoc/>
    public int Leaves { get; private set; }

    /// <summary>Byte address of the linear table or of the first level.</summary>
    public ulong Root => _root;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, ulong> AttachParameters => _attachParameters ??= BuildAttachParameters();

    private bool IsTwoLevel => PasidBits > LinearBits;

    /// <summary>Builds an empty table.</summary>
    /// <param name="memory">Where.</param>
    /// <param name="pasidBits">Width in bits, 1 to 20.</param>
    /// <param name="sync">Completes invalidations.</param>
    /// <param name="settings">What the descriptors are to say beside page table and ASID.</param>
    /// <returns>The table; ENOMEM; EINVAL for the width.</returns>
    public static OpResult<CdTable> Create(
        IPhysicalMemory memory, int pasidBits, IPasidTableSync sync, CdSettings settings)
    {
        ArgumentNullException.ThrowIfNull(memory);
        ArgumentNullException.ThrowIfNull(sync);
        if (pasidBits is < 1 or > MaxPasidBits)
        {
            return OpResult<CdTable>.Refuse(
                Errno.EINVAL, Text($"a PASID table of {pasidBits} bits: 1 to {MaxPasidBits} are possible"));
        }

        // The table is aligned to its size, and the size of every shape is a power of two.
        int bytes = RootBytes(pasidBits);
        OpResult<ulong> root = memory.AllocatePages(bytes, Math.Max(4096, bytes));
        if (!root.IsOk)
        {
            return OpResult<CdTable>.Refuse(root.Outcome);
        }

        // What leads a walker here is stored later, and ordered by whoever stores it.
        memory.Flush(root.Value, (int)PageBytes(bytes));
        return OpResult<CdTable>.Ok(new CdTable(memory, pasidBits, sync, settings, root.Value));
    }

    /// <inheritdoc/>
    public OpResult Set(Pasid pasid, in PasidTableEntry entry)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        OpResult refusal = Check(pasid, entry);
        if (!refusal.IsOk)
        {
            return refusal;
        }

        if (Find(pasid) is { } existing && IsValid(existing))
        {
            return OpResult.Refuse(Errno.EEXIST, Text($"PASID {pasid} has a valid context descriptor already"));
        }

        Span<ulong> words = stackalloc ulong[ContextDescriptor.Words];
        Encode(words, entry);
        if (IsTwoLevel && _leaves[pasid.Value >> LeafBits] == 0)
        {
            return SetInNewLeaf(pasid, words);
        }

        OpResult result = ConfirmPath(pasid);
        if (!result.IsOk)
        {
            return result;
        }

        ulong address = Find(pasid)!.Value;
        var sync = new DescriptorSync(_sync, pasid);
        result = EntryWriter.Write<ContextRules, DescriptorSync>(_memory, address, words, ref sync);
        if (!result.IsOk && IsValid(address))
        {
            // Nothing may stay installed behind a refusal; whether the caches let go of it is beyond our knowledge.
            EntryWriter.WriteWord(_memory, address, 0);
            _ = sync.Synchronise();
        }

        return result;
    }

    /// <inheritdoc/>
    /// <remarks>
    /// The descriptor stays valid with EPD0 = 1 (no walk of TTB0) and R = 0 (the abort is not recorded), so that a
    /// dying process's requests end without an event (D12). One 64-bit store does it: with EPD0 = 1 the hardware does
    /// not look at TTB0, which keeps its value until somebody else gets the descriptor (5.4).
    /// </remarks>
    public OpResult Quiet(Pasid pasid)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (FindValid(pasid, out ulong address) is { IsOk: false } refusal)
        {
            return refusal;
        }

        Span<ulong> words = stackalloc ulong[ContextDescriptor.Words];
        EntryWriter.Load(_memory, address, words);
        uint asid = (uint)words.Get(ContextDescriptor.ASID);
        words.Set(ContextDescriptor.T0SZ, 0);
        words.Set(ContextDescriptor.TG0, 0);
        words.Set(ContextDescriptor.IR0, 0);
        words.Set(ContextDescriptor.OR0, 0);
        words.Set(ContextDescriptor.SH0, 0);
        words.Set(ContextDescriptor.EPD0, 1);
        words.Set(ContextDescriptor.S, 0);
        words.Set(ContextDescriptor.R, 0);
        var sync = new DescriptorSync(_sync, pasid);
        OpResult result = EntryWriter.Write<ContextRules, DescriptorSync>(_memory, address, words, ref sync);
        OpResult translations = _sync.TranslationsChanged(pasid, asid);
        result = result.IsOk ? translations : result;
        if (!result.IsOk)
        {
            _doubtful.Add(pasid.Value);
        }

        return result;
    }

    /// <inheritdoc/>
    /// <remarks>Only word 0 is stored: nobody looks at the others while V is 0, and the next owner writes them.</remarks>
    public OpResult Clear(Pasid pasid)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (FindValid(pasid, out ulong address) is { IsOk: false } refusal)
        {
            return refusal;
        }

        Span<ulong> words = stackalloc ulong[ContextDescriptor.Words];
        EntryWriter.Load(_memory, address, words);
        uint asid = (uint)words.Get(ContextDescriptor.ASID);

        // A quiet descriptor whose translations are known to be gone cannot have got new ones.
        bool isClean = words.Get(ContextDescriptor.EPD0) != 0 && !_doubtful.Remove(pasid.Value);
        words[0] = 0;
        var sync = new DescriptorSync(_sync, pasid);
        OpResult result = EntryWriter.Write<ContextRules, DescriptorSync>(_memory, address, words, ref sync);
        if (isClean)
        {
            return result;
        }

        // Translations go after the configuration, or the walker could load them again; and they go even where the
        // first step failed, because the table is all that software is sure of.
        OpResult translations = _sync.TranslationsChanged(pasid, asid);
        return result.IsOk ? translations : result;
    }

    /// <summary>The words of a descriptor, for tests and dumps; false where its leaf does not exist.</summary>
    public bool TryRead(Pasid pasid, Span<ulong> words)
    {
        if (Find(pasid) is not { } address)
        {
            return false;
        }

        for (int word = 0; word < ContextDescriptor.Words; word++)
        {
            words[word] = _memory.ReadQword(address + ((ulong)word * 8));
        }

        return true;
    }

    /// <summary>Frees the leaves and the root; no hardware may use the table any more.</summary>
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

        _memory.FreePages(_root, _rootBytes);
        Leaves = 0;
    }

    private static int RootBytes(int pasidBits) => pasidBits <= LinearBits
        ? ContextDescriptor.Bytes << pasidBits
        : Math.Max(64, L1ContextDescriptor.Bytes << (pasidBits - LeafBits));

    private static long PageBytes(int bytes) => (bytes + 4095L) & ~4095L;

    private OpResult Check(Pasid pasid, in PasidTableEntry entry)
    {
        if (pasid.Value >> PasidBits != 0)
        {
            return BeyondWidth(pasid);
        }

        int addressBits = ContextDescriptor.OutputBits(_settings.Ips);
        if ((entry.PageTableRoot & 0xFFF) != 0 || entry.PageTableRoot >> addressBits != 0)
        {
            return OpResult.Refuse(Errno.EINVAL, Text(
                $"PASID {pasid}: page table 0x{entry.PageTableRoot:x} is no multiple of 0x1000 below 2^{addressBits}"));
        }

        return entry.ArchId >> _settings.AsidBits == 0
            ? OpResult.Ok
            : OpResult.Refuse(Errno.EINVAL, Text(
                $"PASID {pasid}: ASID 0x{entry.ArchId:x} does not fit the {_settings.AsidBits} bits of CD.ASID"));
    }

    private OpResult BeyondWidth(Pasid pasid) => OpResult.Refuse(Errno.EINVAL, Text(
        $"PASID {pasid} is beyond the table: {PasidBits} bits, last 0x{(1u << PasidBits) - 1:x}"));

    // The address of a descriptor, or null where its leaf does not exist or the number is beyond the table.
    private ulong? Find(Pasid pasid)
    {
        if (pasid.Value >> PasidBits != 0)
        {
            return null;
        }

        if (!IsTwoLevel)
        {
            return _root + ((ulong)pasid.Value << ContextDescriptor.BytesLog2);
        }

        ulong leaf = _leaves[pasid.Value >> LeafBits];
        return leaf == 0 ? null : EntryInLeaf(leaf, pasid);
    }

    private OpResult FindValid(Pasid pasid, out ulong address)
    {
        address = 0;
        if (pasid.Value >> PasidBits != 0)
        {
            return BeyondWidth(pasid);
        }

        if (Find(pasid) is not { } found || !IsValid(found))
        {
            return OpResult.Refuse(Errno.ENOENT, Text($"PASID {pasid} has no valid context descriptor"));
        }

        address = found;
        return OpResult.Ok;
    }

    private static ulong EntryInLeaf(ulong leaf, Pasid pasid) =>
        leaf + (((ulong)pasid.Value & ((1u << LeafBits) - 1)) << ContextDescriptor.BytesLog2);

    private bool IsValid(ulong address)
    {
        ReadOnlySpan<ulong> word = [_memory.ReadQword(address)];
        return word.Get(ContextDescriptor.V) != 0;
    }

    // Leaf and descriptor are written before anything leads to them, so one synchronisation, of the path, makes both
    // known. What neighbours read of the leaf are zeroes, that a walker that does not snoop must see as well (D3).
    private OpResult SetInNewLeaf(Pasid pasid, ReadOnlySpan<ulong> words)
    {
        int index = (int)(pasid.Value >> LeafBits);
        OpResult<ulong> leaf = _memory.AllocatePages(LeafBytes, LeafBytes);
        if (!leaf.IsOk)
        {
            return OpResult.Refuse(leaf.Errno, Text($"no memory for the leaf of PASID {pasid}: {leaf.Reason}"));
        }

        ulong address = EntryInLeaf(leaf.Value, pasid);
        EntryWriter.Fill(_memory, address, words);
        _memory.Flush(leaf.Value, LeafBytes);
        _memory.StoreBarrier();
        _leaves[index] = leaf.Value;
        Leaves++;
        Span<ulong> link = [0];
        link.SetAddress(L1ContextDescriptor.L2Ptr, leaf.Value);
        link.Set(L1ContextDescriptor.V, 1);
        EntryWriter.WriteWord(_memory, _root + ((ulong)index * L1ContextDescriptor.Bytes), link[0]);
        OpResult result = ConfirmPath(pasid);
        if (!result.IsOk)
        {
            // The leaf stays where it is, because it may be cached by now; the descriptor in it does not.
            EntryWriter.WriteWord(_memory, address, 0);
            _ = _sync.ConfigurationChanged(pasid, leafOnly: true);
        }

        return result;
    }

    // Invalid first-level descriptors may be cached, so hardware must be told of a new one; where that failed the next
    // attempt tells again.
    private OpResult ConfirmPath(Pasid pasid)
    {
        int index = (int)(pasid.Value >> LeafBits);
        if (!IsTwoLevel || _linked[index])
        {
            return OpResult.Ok;
        }

        OpResult result = _sync.ConfigurationChanged(pasid, leafOnly: false);
        _linked[index] = result.IsOk;
        return result;
    }

    private void Encode(Span<ulong> words, in PasidTableEntry entry)
    {
        words.Clear();
        words.Set(ContextDescriptor.T0SZ, 16);
        words.Set(ContextDescriptor.TG0, ContextDescriptor.Granule4K);
        words.Set(ContextDescriptor.IR0, WalkAttributes.WriteBack);
        words.Set(ContextDescriptor.OR0, WalkAttributes.WriteBack);
        words.Set(ContextDescriptor.SH0, WalkAttributes.InnerShareable);
        words.Set(ContextDescriptor.EPD1, 1);
        words.Set(ContextDescriptor.V, 1);
        words.Set(ContextDescriptor.IPS, (ulong)_settings.Ips);
        words.Set(ContextDescriptor.AA64, 1);
        words.Set(ContextDescriptor.R, 1);
        words.Set(ContextDescriptor.A, 1);
        words.Set(ContextDescriptor.ASET, 1);
        words.Set(ContextDescriptor.ASID, entry.ArchId);
        words.SetAddress(ContextDescriptor.TTB0, entry.PageTableRoot);
        words.Set(ContextDescriptor.MAIR, ContextDescriptor.LinuxMair);
    }

    private Dictionary<string, ulong> BuildAttachParameters()
    {
        Span<ulong> ste = stackalloc ulong[StreamTableEntry.Words];
        EncodeSte(ste, ats: false);
        return new Dictionary<string, ulong>(StringComparer.Ordinal)
        {
            ["S1Fmt"] = ste.Get(StreamTableEntry.S1Fmt),
            ["S1ContextPtr"] = ste.GetAddress(StreamTableEntry.S1ContextPtr),
            ["S1CDMax"] = ste.Get(StreamTableEntry.S1CDMax),
            ["S1DSS"] = ste.Get(StreamTableEntry.S1DSS),
            ["STE0"] = ste[0],
            ["STE1"] = ste[1],
        };
    }

    /// <summary>The stream table entry that leads a device to this table.</summary>
    /// <param name="words">Eight words.</param>
    /// <param name="ats">Whether the device may send ATS requests.</param>
    public void EncodeSte(Span<ulong> words, bool ats)
    {
        words.Clear();
        words.Set(StreamTableEntry.V, 1);
        words.Set(StreamTableEntry.Config, StreamTableEntry.ConfigStage1);
        words.Set(StreamTableEntry.S1Fmt, IsTwoLevel ? StreamTableEntry.S1Fmt64KLeaf : StreamTableEntry.S1FmtLinear);
        words.SetAddress(StreamTableEntry.S1ContextPtr, _root);
        words.Set(StreamTableEntry.S1CDMax, (ulong)PasidBits);
        words.Set(StreamTableEntry.S1DSS, StreamTableEntry.S1DssSubstream0);
        words.Set(StreamTableEntry.S1CIR, WalkAttributes.WriteBack);
        words.Set(StreamTableEntry.S1COR, WalkAttributes.WriteBack);
        words.Set(StreamTableEntry.S1CSH, WalkAttributes.InnerShareable);
        words.Set(StreamTableEntry.EATS, ats ? StreamTableEntry.EatsFull : StreamTableEntry.EatsNone);
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private readonly struct DescriptorSync(IPasidTableSync sync, Pasid pasid) : IEntrySync
    {
        public OpResult Synchronise() => sync.ConfigurationChanged(pasid, leafOnly: true);
    }
}

/// <summary>What context descriptors say beside page table and ASID.</summary>
/// <param name="AsidBits">Width of ASIDs in bits, 8 or 16 (IDR0.ASID16).</param>
/// <param name="Ips">CD.IPS, 0 to 5: 4 KiB pages without DS reach 48 bits.</param>
internal readonly record struct CdSettings(int AsidBits, int Ips)
{
    /// <summary>16-bit ASIDs and 48-bit addresses.</summary>
    public static CdSettings Default => new(16, 5);
}
