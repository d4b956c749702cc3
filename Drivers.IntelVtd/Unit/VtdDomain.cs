using System.Runtime.InteropServices;
using PasidFramework.Contracts;
using PasidFramework.DriverKit.Queues;
using PasidFramework.Drivers.IntelVtd.Formats;
using PasidFramework.Drivers.IntelVtd.Queues;
using PasidFramework.Drivers.IntelVtd.Tables;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Results;

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
    Pasid ridPasid) : IPasidTableSync, IDisposable
{
    private readonly List<VtdDevice> _withTlb = [];
    private VtdTable _table = null!;
    private VtdLink? _free;

    /// <summary>Its PASID table.</summary>
    public VtdTable Table => _table;

    /// <summary>
    /// Whether the hardware did not confirm that it forgot a device of this domain: it may still walk the table, which
    /// is then kept until translation is off.
    /// </summary>
    public bool MayBeWalked { get; set; }

    /// <summary>Makes its empty PASID table.</summary>
    /// <param name="pasidBits">Width in bits.</param>
    /// <returns>Success; ENOMEM; EINVAL for the width.</returns>
    public OpResult CreateTable(int pasidBits)
    {
        OpResult<VtdTable> table = VtdTable.Create(memory, pasidBits, this, capabilities.EntrySettings);
        _table = table.Value!;
        return table.Outcome;
    }

    /// <summary>A device walks the domain's table from now on: its TLB may hold any translation of it.</summary>
    public void Add(VtdDevice device)
    {
        if (device.HasDeviceTlb)
        {
            _withTlb.Add(device);
        }
    }

    /// <summary>A device walks the table no more.</summary>
    public void Remove(VtdDevice device) => _withTlb.Remove(device);

    /// <summary>Lets a device use an address space; the first device of a link installs the entry.</summary>
    /// <param name="pasid">The number.</param>
    /// <param name="pageTableRoot">Byte address of the process's top page table.</param>
    /// <param name="device">The device.</param>
    /// <param name="first">Whether the link is new.</param>
    /// <param name="link">The link's record; set when <paramref name="first"/> succeeds.</param>
    /// <returns>Success; EINVAL; EEXIST; ENOMEM; ETIMEDOUT, EIO where the hardware does not answer.</returns>
    public OpResult Attach(Pasid pasid, ulong pageTableRoot, VtdDevice device, bool first, ref VtdLink? link)
    {
        if (!first)
        {
            if (link is null)
            {
                return OpResult.Refuse(Errno.ESRCH, $"PASID {pasid} has no link to join");
            }

            // Nothing to invalidate: this device's TLB holds nothing of the number since its own last detach, and a
            // device does not keep what was not present.
            link.Add(device);
            return OpResult.Ok;
        }

        if (pasid == ridPasid)
        {
            return OpResult.Refuse(
                Errno.EINVAL, $"PASID {pasid} is RID_PASID: requests that carry it are faulted (48h)");
        }

        OpResult result = _table.Set(pasid, new PasidTableEntry(pageTableRoot, VtdTable.DomainId));
        if (!result.IsOk)
        {
            return result;
        }

        link = TakeLink();
        link.Add(device);
        return OpResult.Ok;
    }

    /// <summary>Takes an address space from a device; the last device of a link removes the entry.</summary>
    /// <returns>Success; ESRCH where the device has no part in the link; ETIMEDOUT, EIO: the entry is gone all the
    /// same.</returns>
    public OpResult Detach(Pasid pasid, VtdDevice device, bool last, ref VtdLink? link)
    {
        if (link is null || !link.Remove(device))
        {
            return OpResult.Refuse(
                Errno.ESRCH, $"requester 0x{device.Requester:x4} has no part in the link of PASID {pasid}");
        }

        // A completed exit has told every cache already; a device keeps nothing that is not present, and hardware
        // answers its page requests itself.
        if (!last && link.IsQuiet)
        {
            return OpResult.Ok;
        }

        if (!last)
        {
            var batch = new CommandBatch(queue);
            InvalidateDevice(ref batch, pasid, device);
            OpResult left = batch.Complete();
            return left.IsOk ? Drain(pasid, [device]) : left;
        }

        OpResult result = _table.Clear(pasid);
        if (result.IsOk && !link.IsQuiet)
        {
            result = Drain(pasid, CollectionsMarshal.AsSpan(_withTlb));
        }

        PutLink(link);
        link = null;
        return Known(pasid, result);
    }

    /// <summary>The process died: its entry translates nothing any more, and says nothing about it (D12).</summary>
    /// <returns>Success; ESRCH; ETIMEDOUT, EIO.</returns>
    public OpResult Exit(Pasid pasid, VtdLink? link)
    {
        if (link is null)
        {
            return OpResult.Refuse(Errno.ESRCH, $"PASID {pasid} has no link");
        }

        OpResult result = _table.Quiet(pasid);
        if (result.IsOk)
        {
            result = Drain(pasid, CollectionsMarshal.AsSpan(_withTlb));
            if (!result.IsOk)
            {
                _table.Doubt(pasid);
            }
        }

        // Where a cache did not answer, the detach asks it again.
        link.IsQuiet = result.IsOk;
        return Known(pasid, result);
    }

    /// <summary>Mappings of [start, end) changed (D6).</summary>
    /// <returns>Success; ESRCH; ETIMEDOUT, EIO.</returns>
    public OpResult Invalidate(Pasid pasid, VtdLink? link, ulong start, ulong end)
    {
        if (link is null)
        {
            return OpResult.Refuse(Errno.ESRCH, $"PASID {pasid} has no link");
        }

        InvalidationRange range = InvalidationRange.Cover(start, end, capabilities.MaxAddressMask);
        if (range.Blocks == 0)
        {
            return OpResult.Ok;
        }

        if (range.IsAll)
        {
            return TranslationsChanged(pasid, VtdTable.DomainId);
        }

        var batch = new CommandBatch(queue);
        for (int i = 0; i < range.Blocks; i++)
        {
            batch.PasidIotlb(
                VtdTable.DomainId, pasid, range.First + ((ulong)i * range.BlockBytes), range.AddressMask);
        }

        if (_withTlb.Count > 0)
        {
            batch.Fence();
        }

        foreach (VtdDevice device in _withTlb)
        {
            for (int i = 0; i < range.Blocks; i++)
            {
                batch.PasidDeviceTlb(
                    device.Requester, pasid, range.First + ((ulong)i * range.BlockBytes), range.AddressMask);
            }
        }

        return batch.Complete();
    }

    /// <inheritdoc/>
    /// <remarks>
    /// An entry that was not present needs an invalidation only where such entries are cached (CM), and so does a quiet
    /// one that goes. A new directory entry is covered by it, since the PASIDs beside this one are not present still and
    /// get their own.
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

    /// <inheritdoc/>
    public OpResult TranslationsChanged(Pasid pasid, uint archId)
    {
        var batch = new CommandBatch(queue);
        batch.PasidIotlb(VtdTable.DomainId, pasid);
        InvalidateDevices(ref batch, pasid);
        return batch.Complete();
    }

    /// <inheritdoc/>
    public OpResult EntryRemoved(Pasid pasid, uint archId)
    {
        var batch = new CommandBatch(queue);
        InvalidateEntry(ref batch, pasid);
        InvalidateDevices(ref batch, pasid);
        return batch.Complete();
    }

    /// <inheritdoc/>
    public void Dispose() => _table.Dispose();

    private static OpResult Known(Pasid pasid, OpResult result) => result.Errno == Errno.ENOENT
        ? OpResult.Refuse(Errno.ESRCH, $"PASID {pasid} has no entry")
        : result;

    // Stages of table 28: entries, then translations that were made from them.
    private static void InvalidateEntry(ref CommandBatch batch, Pasid pasid)
    {
        batch.PasidCache(InvPasidCache.PasidInDomain, VtdTable.DomainId, pasid);
        batch.Fence();
        batch.PasidIotlb(VtdTable.DomainId, pasid);
    }

    private static void InvalidateDevice(ref CommandBatch batch, Pasid pasid, VtdDevice device)
    {
        if (device.HasDeviceTlb)
        {
            batch.PasidDeviceTlb(device.Requester, pasid);
        }
    }

    // The table is the domain's: every device with a TLB may have asked for the number, bound or not.
    private void InvalidateDevices(ref CommandBatch batch, Pasid pasid)
    {
        if (_withTlb.Count > 0)
        {
            batch.Fence();
        }

        foreach (VtdDevice device in _withTlb)
        {
            InvalidateDevice(ref batch, pasid, device);
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

                batch.PasidDeviceTlb(device.Requester, pasid);
            }
        }

        return batch.Complete(drain: true);
    }

    private VtdLink TakeLink()
    {
        if (_free is not { } link)
        {
            return new VtdLink();
        }

        _free = link.Next;
        link.Next = null;
        return link;
    }

    private void PutLink(VtdLink link)
    {
        link.Reset();
        link.Next = _free;
        _free = link;
    }
}
