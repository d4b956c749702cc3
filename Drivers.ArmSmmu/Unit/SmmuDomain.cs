// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Drivers.ArmSmmu.Queues;

namespace PasidFramework.Drivers.ArmSmmu.Unit;

/// <summary>One context descriptor table with the streams that use it, and what is sent when either changes.</summary>
/// <remarks>
/// The order of every removal (D5): store in the table, CFGI_CD for each StreamID, SYNC, TLBI, SYNC, ATC_INV, SYNC.
/// Without the first SYNC a walker that still has the descriptor could load translations again after the TLBI, for the
/// next owner of the ASID; without the second one a device could fill its own TLB again from the main one. The table is
/// the domain's, so whatever invalidates one of its streams invalidates all: any of them may have used the entry.
/// </remarks>
internal sealed class SmmuDomain : UnitDomain<UnitDevice>, IPasidTableSync
{
    private readonly IPhysicalMemory _memory;
    private readonly CommandQueue _queue;
    private readonly bool _hasRange;
    private CdTable _table = null!;

    private SmmuDomain(IPhysicalMemory memory, CommandQueue queue, bool hasRange)
    {
        _memory = memory;
        _queue = queue;
        _hasRange = hasRange;
    }

    public CdTable Table => _table;

    public override long TableBytes => _table.TableBytes;
    public override int Leaves => _table.Leaves;

    /// <summary>Builds a domain with an empty table.</summary>
    /// <param name="pasidBits">Width in bits, 1 to 20.</param>
    /// <returns>The domain; ENOMEM; EINVAL for the width.</returns>
    public static OpResult<SmmuDomain> Create(
        IPhysicalMemory memory, CommandQueue queue, int pasidBits, CdSettings settings, bool hasRange)
    {
        var domain = new SmmuDomain(memory, queue, hasRange);
        OpResult<CdTable> table = CdTable.Create(memory, pasidBits, domain, settings);
        if (!table.IsOk)
        {
            return OpResult<SmmuDomain>.Refuse(table.Outcome);
        }

        domain._table = table.Value;
        return OpResult<SmmuDomain>.Ok(domain);
    }

    public OpResult ConfigurationChanged(Pasid pasid, bool leafOnly)
    {
        // The store to the table comes before the read of the streams: a stream that is not in the list yet can only
        // fetch what was stored before.
        Interlocked.MemoryBarrier();
        ReadOnlySpan<UnitDevice> streams = Devices;
        if (streams.IsEmpty)
        {
            // No command orders the stores then.
            _memory.StoreBarrier();
            return OpResult.Ok;
        }

        var batch = new CommandBatch(_queue);
        foreach (UnitDevice stream in streams)
        {
            batch.Add(Commands.CfgiCd(stream.Requester.Value, pasid.Value, leafOnly));
        }

        return batch.Complete();
    }

    public OpResult TranslationsChanged(Pasid pasid, uint archId)
    {
        var batch = new CommandBatch(_queue);
        batch.Add(Commands.TlbiNhAsid(0, archId));
        return batch.Complete();
    }

    /// <remarks>
    /// One submission and one wait: each fence in it is a SYNC, and nothing behind a SYNC is started before what is
    /// ahead of it has completed.
    /// </remarks>
    public OpResult EntryRemoved(Pasid pasid, uint archId)
    {
        // As in ConfigurationChanged.
        Interlocked.MemoryBarrier();
        var batch = new CommandBatch(_queue);
        foreach (UnitDevice stream in Devices)
        {
            batch.Add(Commands.CfgiCd(stream.Requester.Value, pasid.Value, leaf: true));
        }

        if (!batch.IsEmpty)
        {
            batch.Fence();
        }

        batch.Add(Commands.TlbiNhAsid(0, archId));
        if (!DevicesWithTlb.IsEmpty)
        {
            batch.Fence();
            AddAtc(ref batch, pasid, 0, Commands.AtcSizeAll);
        }

        return batch.Complete();
    }

    public override void Dispose()
    {
        _table.Dispose();
        base.Dispose();
    }

    protected override OpResult Install(UnitLink link) => link.Pasid.Value == 0
        ? OpResult.Refuse(
            Errno.EINVAL, "PASID 0x0 cannot be a process: descriptor 0 serves requests without a PASID (STE.S1DSS 2)")
        : _table.Set(link.Pasid, new PasidTableEntry(link.PageTableRoot, link.Tag));

    /// <summary>Nothing: the table has done so.</summary>
    protected override void RollBack(UnitLink link)
    {
    }

    protected override OpResult Quiet(UnitLink link) => _table.Quiet(link.Pasid);

    /// <remarks>Of a quiet entry the table invalidates the configuration alone.</remarks>
    protected override OpResult Clear(UnitLink link) => _table.Clear(link.Pasid);

    protected override OpResult Leave(UnitLink link, UnitDevice device)
    {
        var batch = new CommandBatch(_queue);
        if (device.HasTlb)
        {
            batch.Add(Commands.AtcInv(device.Requester.Value, link.Pasid.Value, 0, Commands.AtcSizeAll));
        }

        return batch.Complete();
    }

    protected override OpResult InvalidateRange(UnitLink link, IovaRange range)
    {
        var batch = new CommandBatch(_queue);
        InvalidationPlan.AddTlb(ref batch, _hasRange, link.Tag, range);
        (ulong address, int size) = InvalidationPlan.AtcSpan(range);
        if (!DevicesWithTlb.IsEmpty)
        {
            batch.Fence();
            AddAtc(ref batch, link.Pasid, address, size);
        }

        return batch.Complete();
    }

    private void AddAtc(ref CommandBatch batch, Pasid pasid, ulong address, int size)
    {
        foreach (UnitDevice stream in DevicesWithTlb)
        {
            batch.Add(Commands.AtcInv(stream.Requester.Value, pasid.Value, address, size));
        }
    }
}
