// SPDX-License-Identifier: Apache-2.0
using PasidFramework.DriverKit.Tables;

namespace PasidFramework.Drivers.Reference.Tables;

/// <summary>A domain's PASID table: a directory of leaves. Reference architecture, sections 3.2 and 3.3.</summary>
internal sealed class ReferenceTable : PasidTable<LeafLink>
{
    private ReferenceTable(IPhysicalMemory memory, TwoLevelTable<LeafLink> table, int pasidBits, IPasidTableSync sync)
        : base(memory, table, pasidBits, PasidEntry.SizeBytes / 8, sync) =>
        AttachParameters = new Dictionary<string, ulong> { ["TABLE"] = Root, ["WIDTH"] = (ulong)pasidBits };

    /// <summary>Fields of the device entry that points here (reference architecture, section 3.1).</summary>
    public override IReadOnlyDictionary<string, ulong> AttachParameters { get; }

    /// <summary>It aborts every access without a record (D12).</summary>
    protected override ulong QuietWord => 0UL.With(PasidEntry.V, 1).With(PasidEntry.Q, 1);

    /// <summary>Makes an empty table.</summary>
    /// <returns>The table; ENOMEM; EINVAL for the width.</returns>
    public static OpResult<ReferenceTable> Create(IPhysicalMemory memory, int pasidBits, IPasidTableSync sync)
    {
        ArgumentNullException.ThrowIfNull(memory);
        ArgumentNullException.ThrowIfNull(sync);
        if (pasidBits is < 1 or > Pasid.MaxBits)
        {
            return OpResult<ReferenceTable>.Refuse(
                Errno.EINVAL, $"a table of {pasidBits} bits, must be 1 to {Pasid.MaxBits}");
        }

        // Memory comes in pages.
        int bytes = Math.Max(4096, DirectoryEntry.SizeBytes << Math.Max(0, pasidBits - PasidEntry.IndexBits));
        OpResult<TwoLevelTable<LeafLink>> table = TwoLevelTable<LeafLink>.Create(
            memory, new TableGeometry(pasidBits, PasidEntry.SizeBytes, PasidEntry.IndexBits, bytes));
        if (!table.IsOk)
        {
            return OpResult<ReferenceTable>.Refuse(table.Outcome);
        }

        // The zeroes of a fresh page are stores like any other: a walker that does not snoop sees garbage before.
        memory.StoreBarrier();
        return OpResult<ReferenceTable>.Ok(new ReferenceTable(memory, table.Value, pasidBits, sync));
    }

    protected override OpResult Check(Pasid pasid, in PasidTableEntry entry) =>
        (entry.PageTableRoot & ~PasidEntry.ROOT.WordMask) == 0
            ? OpResult.Ok
            : OpResult.Refuse(
                Errno.EINVAL, Text($"page table root 0x{entry.PageTableRoot:x} is not a multiple of 4096 below 2^52"));

    protected override void Encode(Span<ulong> words, in PasidTableEntry entry)
    {
        words[0] = 0UL.With(PasidEntry.V, 1).WithAddress(PasidEntry.ROOT, entry.PageTableRoot);
        words[1] = 0UL.With(PasidEntry.ASID, entry.ArchId);
    }

    /// <summary>An empty leaf is linked, and then it is a leaf like any other.</summary>
    protected override OpResult AddLeaf(Pasid pasid, ReadOnlySpan<ulong> words)
    {
        OpResult added = Table.AddLeaf(pasid.Value, []);
        if (added.IsOk)
        {
            Memory.StoreBarrier();
            Store(Table.Find(pasid.Value), words);
        }

        return added;
    }

    protected override OpResult Install(Pasid pasid, ulong address, ReadOnlySpan<ulong> words)
    {
        Store(address, words);
        return Sync.ConfigurationChanged(pasid, leafOnly: true);
    }

    /// <summary>The hardware may have seen the entry, and filled caches through it.</summary>
    protected override void Withdrawn(Pasid pasid, uint tag) => _ = Sync.EntryRemoved(pasid, tag);

    // The walker reads word by word: as long as the first word says "not valid", the second means nothing.
    private void Store(ulong address, ReadOnlySpan<ulong> words)
    {
        Memory.WriteQword(address + 8, words[1]);
        Memory.Publish(address + 8, 8);
        Memory.WriteQword(address, words[0]);
        Memory.Flush(address, 8);
    }
}

/// <summary>Directory entry: section 3.2.</summary>
internal readonly struct LeafLink : ITableLink
{
    public static ulong Encode(ulong leaf) => 0UL.With(DirectoryEntry.V, 1).WithAddress(DirectoryEntry.LEAF, leaf);
}
