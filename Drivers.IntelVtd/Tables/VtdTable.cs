// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Tables;

/// <summary>
/// One PASID directory with its tables of 64 entries. Intel VT-d, D51397-018 (rev 5.10), sections 9.5, 9.6 and 6.2.
/// </summary>
/// <remarks>
/// The tag of an entry is its domain id. What a removed entry leaves behind becomes 0 after its invalidations, so that
/// a dump shows nothing of a process that is gone; nothing reads it, so it is not flushed.
/// </remarks>
internal sealed class VtdTable : PasidTable<DirectoryLink>
{
    private const int EntriesPerTableLog2 = 6;

    // What a removed entry leaves behind its first word; static data, so that nothing is zeroed for it.
    private static ReadOnlySpan<ulong> Zeroes => [0, 0, 0, 0, 0, 0, 0];
    private readonly PasidEntrySettings _settings;
    private Dictionary<string, ulong>? _attachParameters;

    private VtdTable(
        IPhysicalMemory memory,
        TwoLevelTable<DirectoryLink> table,
        int pasidBits,
        IPasidTableSync sync,
        PasidEntrySettings settings)
        : base(memory, table, pasidBits, PasidEntry.Words, sync) => _settings = settings;

    /// <summary>The domain id of every first-stage and pass-through entry of a unit; 0 is never used
    /// (6.2.3.1).</summary>
    public const ushort DomainId = 1;

    /// <summary>PDTS of a context entry: the directory has 2^(PDTS+7) entries.</summary>
    public int DirectorySize => SizeOf(PasidBits);

    /// <summary>Whether a barrier has made the zeroed directory visible: before a context entry points to it.</summary>
    public bool IsPublished { get; set; }

    /// <summary>Fields of a context entry that points here.</summary>
    public override IReadOnlyDictionary<string, ulong> AttachParameters =>
        _attachParameters ??= new Dictionary<string, ulong>(StringComparer.Ordinal)
        {
            ["PASIDDIRPTR"] = Root,
            ["PDTS"] = (ulong)DirectorySize,
        };

    protected override ulong QuietWord => PasidEntry.FPD.WordMask;

    /// <summary>Takes a zeroed directory.</summary>
    /// <param name="pasidBits">Width in bits, 1 to 20.</param>
    /// <param name="sync">Completes invalidations.</param>
    /// <returns>The table; ENOMEM; EINVAL for the width.</returns>
    public static OpResult<VtdTable> Create(
        IPhysicalMemory memory, int pasidBits, IPasidTableSync sync, PasidEntrySettings settings)
    {
        ArgumentNullException.ThrowIfNull(memory);
        ArgumentNullException.ThrowIfNull(sync);
        if (pasidBits is < 1 or > Pasid.MaxBits)
        {
            return OpResult<VtdTable>.Refuse(
                Errno.EINVAL, $"a PASID table of {pasidBits} bits: 1 to {Pasid.MaxBits} are possible");
        }

        // Memory comes in pages, so a directory of 1 KiB takes 4.
        int bytes =
            PasidDirectoryEntry.SizeBytes << (SizeOf(pasidBits) + ContextEntry.MinPasidBits - EntriesPerTableLog2);
        OpResult<TwoLevelTable<DirectoryLink>> table = TwoLevelTable<DirectoryLink>.Create(
            memory, new TableGeometry(pasidBits, PasidEntry.SizeBytes, EntriesPerTableLog2, Math.Max(4096, bytes)));
        return table.IsOk
            ? OpResult<VtdTable>.Ok(new VtdTable(memory, table.Value, pasidBits, sync, settings))
            : OpResult<VtdTable>.Refuse(table.Outcome);
    }

    /// <summary>PDTS for a width: at least 13 bits.</summary>
    internal static int SizeOf(int pasidBits) => Math.Max(0, pasidBits - ContextEntry.MinPasidBits);

    protected override OpResult Check(Pasid pasid, in PasidTableEntry entry)
    {
        if ((entry.PageTableRoot & ~0x000F_FFFF_FFFF_F000UL) != 0)
        {
            return OpResult.Refuse(
                Errno.EINVAL, $"page table root 0x{entry.PageTableRoot:x} is not a multiple of 4096 below 2^52");
        }

        return entry.ArchId is not 0 and <= ushort.MaxValue
            ? OpResult.Ok
            : OpResult.Refuse(Errno.EINVAL, $"domain id 0x{entry.ArchId:x} is not 1 to 0x{ushort.MaxValue:x}");
    }

    protected override void Encode(Span<ulong> words, in PasidTableEntry entry)
    {
        words.Set(PasidEntry.P, 1);
        words.Set(PasidEntry.AW, _settings.AddressWidth);
        words.Set(PasidEntry.PGTT, PasidEntry.FirstStage);
        words.Set(PasidEntry.DID, entry.ArchId);
        words.Set(PasidEntry.PWSNP, _settings.WalkSnoop ? 1u : 0);
        words.Set(PasidEntry.SRE, _settings.Supervisor ? 1u : 0);
        words.SetAddress(PasidEntry.FSPTPTR, entry.PageTableRoot);
    }

    protected override void Erase(ulong address) => _ = Memory.WriteWords(address + 8, Zeroes);
}

/// <summary>What PASID entries say beside page table and domain id.</summary>
/// <param name="AddressWidth">AW: 1 is 39 bits, 2 is 48, 3 is 57.</param>
/// <param name="WalkSnoop">ECAP.SMPWCS: PWSNP is not reserved.</param>
/// <param name="Supervisor">ECAP.SRS: SRE is not reserved.</param>
internal readonly record struct PasidEntrySettings(ulong AddressWidth, bool WalkSnoop, bool Supervisor);
