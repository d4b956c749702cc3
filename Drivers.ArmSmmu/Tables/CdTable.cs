// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Tables;

/// <summary>
/// A table of context descriptors, one per PASID: linear up to 10 bits, two levels with 64 KiB leaves of 1024
/// descriptors above (Arm IHI 0070 5.3, 5.4).
/// </summary>
/// <remarks>
/// Every leaf is allocated by the first <c>Set</c> that needs it, leaf 0 too (the 2017 code built leaf 0 at once).
/// Descriptors are changed by <see cref="HitlessWriter"/>. A removal stores word 0 only: the others are ignored
/// while V is 0, and the next owner writes them.
/// </remarks>
internal sealed class CdTable : PasidTable<ContextLink>
{
    /// <summary>Widest linear table in bits.</summary>
    public const int LinearBits = 10;

    /// <summary>Bits of the PASID that select the descriptor within a 64 KiB leaf.</summary>
    public const int LeafBits = 10;

    private readonly CdSettings _settings;
    private Dictionary<string, ulong>? _attachParameters;

    private CdTable(
        IPhysicalMemory memory, TwoLevelTable<ContextLink> table, int pasidBits, IPasidTableSync sync,
        CdSettings settings)
        : base(memory, table, pasidBits, ContextDescriptor.Words, sync) => _settings = settings;

    public override IReadOnlyDictionary<string, ulong> AttachParameters =>
        _attachParameters ??= BuildAttachParameters();

    private bool IsTwoLevel => PasidBits > LinearBits;

    /// <summary>Builds an empty table.</summary>
    /// <param name="pasidBits">Width in bits, 1 to 20.</param>
    /// <param name="sync">Completes invalidations.</param>
    /// <param name="settings">What the descriptors are to say beside page table and ASID.</param>
    /// <returns>The table; ENOMEM; EINVAL for the width.</returns>
    public static OpResult<CdTable> Create(
        IPhysicalMemory memory, int pasidBits, IPasidTableSync sync, CdSettings settings)
    {
        ArgumentNullException.ThrowIfNull(memory);
        ArgumentNullException.ThrowIfNull(sync);
        if (pasidBits is < 1 or > Pasid.MaxBits)
        {
            return OpResult<CdTable>.Refuse(
                Errno.EINVAL, $"a PASID table of {pasidBits} bits: 1 to {Pasid.MaxBits} are possible");
        }

        // The table is aligned to its size, and the size of every shape is a power of two.
        bool isLinear = pasidBits <= LinearBits;
        int bytes = isLinear
            ? ContextDescriptor.Bytes << pasidBits
            : Math.Max(64, L1ContextDescriptor.Bytes << (pasidBits - LeafBits));
        OpResult<TwoLevelTable<ContextLink>> table = TwoLevelTable<ContextLink>.Create(memory, new TableGeometry(
            pasidBits,
            ContextDescriptor.Bytes,
            LeafBits,
            bytes,
            Math.Max(4096, bytes),
            ContextDescriptor.Bytes << LeafBits,
            isLinear));
        return table.IsOk
            ? OpResult<CdTable>.Ok(new CdTable(memory, table.Value, pasidBits, sync, settings))
            : OpResult<CdTable>.Refuse(table.Outcome);
    }

    /// <summary>The words of a descriptor, for tests and dumps; false where its leaf does not exist.</summary>
    public bool TryRead(Pasid pasid, Span<ulong> words)
    {
        ulong address = pasid.Value >> PasidBits == 0 ? Table.Find(pasid.Value) : 0;
        if (address != 0)
        {
            Memory.ReadWords(address, words[..ContextDescriptor.Words]);
        }

        return address != 0;
    }

    /// <summary>The stream table entry that leads a device to this table.</summary>
    /// <param name="ats">Whether the device may send ATS requests.</param>
    public void EncodeSte(Span<ulong> words, bool ats)
    {
        words.Clear();
        words.Set(StreamTableEntry.V, 1);
        words.Set(StreamTableEntry.Config, StreamTableEntry.ConfigStage1);
        words.Set(StreamTableEntry.S1Fmt, IsTwoLevel ? StreamTableEntry.S1Fmt64KLeaf : StreamTableEntry.S1FmtLinear);
        words.SetAddress(StreamTableEntry.S1ContextPtr, Root);
        words.Set(StreamTableEntry.S1CDMax, (ulong)PasidBits);
        words.Set(StreamTableEntry.S1DSS, StreamTableEntry.S1DssSubstream0);
        words.Set(StreamTableEntry.S1CIR, WalkAttributes.WriteBack);
        words.Set(StreamTableEntry.S1COR, WalkAttributes.WriteBack);
        words.Set(StreamTableEntry.S1CSH, WalkAttributes.InnerShareable);
        words.Set(StreamTableEntry.EATS, ats ? StreamTableEntry.EatsFull : StreamTableEntry.EatsNone);
    }

    protected override OpResult Check(Pasid pasid, in PasidTableEntry entry)
    {
        int addressBits = ContextDescriptor.OutputBits(_settings.Ips);
        if ((entry.PageTableRoot & 0xFFF) != 0 || entry.PageTableRoot >> addressBits != 0)
        {
            return OpResult.Refuse(Errno.EINVAL,
                $"PASID {pasid}: page table 0x{entry.PageTableRoot:x} is no multiple of 0x1000 below 2^{addressBits}");
        }

        return entry.ArchId >> _settings.AsidBits == 0
            ? OpResult.Ok
            : OpResult.Refuse(Errno.EINVAL,
                $"PASID {pasid}: ASID 0x{entry.ArchId:x} does not fit the {_settings.AsidBits} bits of CD.ASID");
    }

    protected override void Encode(Span<ulong> words, in PasidTableEntry entry)
    {
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

    protected override OpResult Install(Pasid pasid, ulong address, ReadOnlySpan<ulong> words)
    {
        var sync = new DescriptorSync(Sync, pasid);
        return HitlessWriter.Install(Memory, address, words, ref sync);
    }

    /// <remarks>
    /// The descriptor stays valid with EPD0 = 1 (no walk of TTB0) and R = 0 (the abort is not recorded), so that a
    /// dying process's requests end without an event (D12). One 64-bit store does it: with EPD0 = 1 the hardware does
    /// not use TTB0, which keeps its value until another process gets the descriptor (5.4).
    /// </remarks>
    protected override OpResult MakeQuiet(Pasid pasid, ulong address, uint tag)
    {
        Span<ulong> first = [Memory.ReadQword(address)];
        first.Set(ContextDescriptor.T0SZ, 0);
        first.Set(ContextDescriptor.TG0, 0);
        first.Set(ContextDescriptor.IR0, 0);
        first.Set(ContextDescriptor.OR0, 0);
        first.Set(ContextDescriptor.SH0, 0);
        first.Set(ContextDescriptor.EPD0, 1);
        first.Set(ContextDescriptor.S, 0);
        first.Set(ContextDescriptor.R, 0);
        StoreFirstWord(address, first[0]);
        return Sync.EntryRemoved(pasid, tag);
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
