// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Unit;

/// <summary>
/// One domain on the unit: its PASID table and the order of stores and invalidations when links come and go. Intel
/// VT-d, D51397-018 (rev 5.10), section 6.5.3.3 with table 28.
/// </summary>
/// <remarks>Not safe for concurrent use: the core serialises per domain. Different domains may run at once.</remarks>
internal sealed class VtdDomain(
    IPhysicalMemory memory,
    InvalidationQueue queue,
    GlobalCommand command,
    VtdCapabilities capabilities,
    Pasid ridPasid) : UnitDomain<VtdDevice>, IPasidTableSync
{
    private VtdTable _table = null!;

    /// <summary>Its PASID table.</summary>
    public VtdTable Table => _table;

    public override long TableBytes => _table.TableBytes;
    public override int Leaves => _table.Leaves;

    /// <summary>Makes its empty PASID table.</summary>
    /// <param name="pasidBits">Width in bits.</param>
    /// <returns>Success; ENOMEM; EINVAL for the width.</returns>
    public OpResult CreateTable(int pasidBits)
    {
        OpResult<VtdTable> table = VtdTable.Create(memory, pasidBits, this, capabilities.EntrySettings);
        _table = table.Value!;
        return table.Outcome;
    }

    /// <remarks>
    /// An entry that was not present needs an invalidation only where such entries are cached (CM), and so does a quiet
    /// one that goes. A new directory entry is covered by it, since the PASIDs beside this one are not present still
    /// and get their own.
    /// </remarks>
    public OpResult ConfigurationChanged(Pasid pasid, bool leafOnly)
    {
        bool isPresent = _table.Has(pasid);
        if (!capabilities.CachingMode)
        {
            memory.StoreBarrier();
            return capabilities.WriteBuffer && isPresent ? command.FlushWriteBuffer() : OpResult.Ok;
        }

        var batch = new CommandBatch(queue);
        if (isPresent)
        {
            InvalidateEntry(ref batch, pasid);
        }
        else
        {
            batch.PasidCache(InvPasidCache.PasidInDomain, VtdTable.DomainId, pasid);
        }

        return batch.Complete();
    }

    public OpResult TranslationsChanged(Pasid pasid, uint archId)
    {
        var batch = new CommandBatch(queue);
        batch.PasidIotlb(VtdTable.DomainId, pasid);
        InvalidateDevices(ref batch, pasid);
        return batch.Complete();
    }

    public OpResult EntryRemoved(Pasid pasid, uint archId)
    {
        var batch = new CommandBatch(queue);
        InvalidateEntry(ref batch, pasid);
        InvalidateDevices(ref batch, pasid);
        return batch.Complete();
    }

    public override void Dispose()
    {
        _table.Dispose();
        base.Dispose();
    }

    protected override OpResult Install(UnitLink link) => link.Pasid == ridPasid
        ? OpResult.Refuse(Errno.EINVAL, $"PASID {link.Pasid} is RID_PASID: requests that carry it are faulted (48h)")
        : _table.Set(link.Pasid, new PasidTableEntry(link.PageTableRoot, VtdTable.DomainId));

    /// <summary>Nothing: the table has done so.</summary>
    protected override void RollBack(UnitLink link)
    {
    }

    protected override OpResult Quiet(UnitLink link)
    {
        OpResult result = _table.Quiet(link.Pasid);
        if (result.IsOk)
        {
            result = Drain(link.Pasid, DevicesWithTlb);
            if (!result.IsOk)
            {
                _table.Doubt(link.Pasid);
            }
        }

        return result;
    }

    protected override OpResult Clear(UnitLink link)
    {
        OpResult result = _table.Clear(link.Pasid);
        return result.IsOk && !link.IsQuiet ? Drain(link.Pasid, DevicesWithTlb) : result;
    }

    protected override OpResult Leave(UnitLink link, VtdDevice device)
    {
        if (!device.HasTlb)
        {
            return OpResult.Ok;
        }

        var batch = new CommandBatch(queue);
        batch.PasidDeviceTlb(device.Sid, link.Pasid);
        OpResult result = batch.Complete();
        return result.IsOk ? Drain(link.Pasid, [device]) : result;
    }

    protected override OpResult InvalidateRange(UnitLink link, IovaRange range)
    {
        Pasid pasid = link.Pasid;
        InvalidationRange covered = InvalidationRange.Cover(range, capabilities.MaxAddressMask);
        if (covered.IsAll)
        {
            return TranslationsChanged(pasid, VtdTable.DomainId);
        }

        var batch = new CommandBatch(queue);
        for (int i = 0; i < covered.Blocks; i++)
        {
            batch.PasidIotlb(
                VtdTable.DomainId, pasid, covered.First + ((ulong)i * covered.BlockBytes), covered.AddressMask);
        }

        if (!DevicesWithTlb.IsEmpty)
        {
            batch.Fence();
        }

        foreach (VtdDevice device in DevicesWithTlb)
        {
            for (int i = 0; i < covered.Blocks; i++)
            {
                batch.PasidDeviceTlb(
                    device.Sid, pasid, covered.First + ((ulong)i * covered.BlockBytes), covered.AddressMask);
            }
        }

        return batch.Complete();
    }

    // Stages of table 28: entries, then translations that were made from them.
    private static void InvalidateEntry(ref CommandBatch batch, Pasid pasid)
    {
        batch.PasidCache(InvPasidCache.PasidInDomain, VtdTable.DomainId, pasid);
        batch.Fence();
        batch.PasidIotlb(VtdTable.DomainId, pasid);
    }

    // The table is the domain's: every device with a TLB may have asked for the PASID, bound or not.
    private void InvalidateDevices(ref CommandBatch batch, Pasid pasid)
    {
        if (!DevicesWithTlb.IsEmpty)
        {
            batch.Fence();
        }

        foreach (VtdDevice device in DevicesWithTlb)
        {
            batch.PasidDeviceTlb(device.Sid, pasid);
        }
    }

    // Draining page requests, after everything else has completed: translations go once more, and the wait answers when
    // no page request is in flight.
    private OpResult Drain(Pasid pasid, ReadOnlySpan<VtdDevice> devices)
    {
        var batch = new CommandBatch(queue);
        foreach (VtdDevice device in devices)
        {
            if (device.RequestsPages && capabilities.PageRequestDrain)
            {
                if (batch.IsEmpty)
                {
                    batch.PasidIotlb(VtdTable.DomainId, pasid);
                }

                batch.PasidDeviceTlb(device.Sid, pasid);
            }
        }

        return batch.Complete(drain: true);
    }
}
