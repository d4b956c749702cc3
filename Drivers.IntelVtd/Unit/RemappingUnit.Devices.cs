using PasidFramework.Contracts;
using PasidFramework.DriverKit.Queues;
using PasidFramework.Drivers.IntelVtd.Formats;
using PasidFramework.Drivers.IntelVtd.Queues;
using PasidFramework.Drivers.IntelVtd.Tables;
using PasidFramework.Identifiers;
using PasidFramework.Records;
using PasidFramework.Results;

namespace PasidFramework.Drivers.IntelVtd.Unit;

/// <content>Root and context tables. Sections 9.2, 9.4 and 6.5.3.3.</content>
internal sealed partial class RemappingUnit
{
    // A context table serves the 128 device-and-function numbers of half a bus.
    private const int ContextsPerTableLog2 = 7;

    /// <summary>Points a device's context entry at a domain's PASID table.</summary>
    /// <param name="requester">The device.</param>
    /// <param name="features">What it can do.</param>
    /// <param name="domain">The domain.</param>
    /// <returns>The device; EINVAL (no PCI requester, PRI without ATS); EEXIST; ENOMEM; ETIMEDOUT, EIO.</returns>
    public OpResult<VtdDevice> AddDevice(RequesterId requester, DeviceFeatures features, VtdDomain domain)
    {
        if (!requester.IsPci)
        {
            return OpResult<VtdDevice>.Refuse(
                Errno.EINVAL, $"{Name}: requester {requester} is wider than the 16 bits of a PCI requester ID");
        }

        if ((features & (DeviceFeatures.Ats | DeviceFeatures.Pri)) == DeviceFeatures.Pri)
        {
            return OpResult<VtdDevice>.Refuse(
                Errno.EINVAL, $"{Name}: {requester} has PRI without ATS: PRE = 1 with DTE = 0 is illegal");
        }

        bool deviceTlb = (features & DeviceFeatures.Ats) != 0 && Capabilities.DeviceTlb;
        var device = new VtdDevice(
            (ushort)requester.Value,
            deviceTlb,
            deviceTlb && (features & DeviceFeatures.Pri) != 0 && Capabilities.PageRequests);

        OpResult result = InstallContextEntry(requester, device, domain.Table, out bool newTable);
        if (result.IsOk)
        {
            result = MadePresent(device, newTable);
            if (!result.IsOk)
            {
                ClearContextEntry(requester);
                EraseContextEntry(requester);
            }
        }

        if (!result.IsOk)
        {
            return OpResult<VtdDevice>.Refuse(result);
        }

        domain.Add(device);
        return OpResult<VtdDevice>.Ok(device);
    }

    /// <summary>Clears a device's context entry and what caches hold of it.</summary>
    /// <returns>Success; ESRCH; ETIMEDOUT, EIO: the entry is gone all the same.</returns>
    public OpResult RemoveDevice(VtdDevice device, VtdDomain domain)
    {
        if (!ClearContextEntry(new RequesterId(device.Requester)))
        {
            return OpResult.Refuse(Errno.ESRCH, $"{Name}: requester 0x{device.Requester:x4} has no context entry");
        }

        domain.Remove(device);

        // Table 28, context entry; PASID entries that are not present are not cached, except with CM.
        bool mayBeCached = domain.Table.Entries > 0 || Capabilities.CachingMode;
        OpResult result = InvalidateContext(device, mayBeCached, device.HasDeviceTlb);
        EraseContextEntry(new RequesterId(device.Requester));
        domain.MayBeWalked |= !result.IsOk;
        return result;
    }

    private OpResult InstallContextEntry(
        RequesterId requester, VtdDevice device, VtdTable table, out bool newTable)
    {
        Span<ulong> words = stackalloc ulong[ContextEntry.Words];
        words.Clear();
        words.Set(ContextEntry.P, 1);
        words.Set(ContextEntry.DTE, device.HasDeviceTlb ? 1u : 0);
        words.Set(ContextEntry.PASIDE, 1);
        words.Set(ContextEntry.PRE, device.RequestsPages ? 1u : 0);
        words.Set(ContextEntry.PDTS, (ulong)table.DirectorySize);
        words.SetAddress(ContextEntry.PASIDDIRPTR, table.Root);
        words.Set(ContextEntry.RID_PASID, RidPasid.Value);

        // Neighbouring devices of any domain share the tables.
        _gate.Enter();
        try
        {
            uint index = requester.Value;
            ulong at = Contexts.Find(index);
            newTable = at == 0;
            if (newTable)
            {
                OpResult added = Contexts.AddLeaf(index, words);
                if (added.IsOk)
                {
                    Contexts.State(index) = 1;
                    table.IsPublished = true;
                }

                return added;
            }

            if (Contexts.State(index) != 0)
            {
                return OpResult.Refuse(Errno.EEXIST, $"{Name}: {requester} has a context entry already");
            }

            Contexts.State(index) = 1;
            bool stored = _memory.WriteWords(at + 8, words[1..]) != 0;
            if (stored)
            {
                _memory.Flush(at, ContextEntry.SizeBytes);
            }

            if (stored || !table.IsPublished)
            {
                _memory.StoreBarrier();
                table.IsPublished = true;
            }

            _memory.WriteQword(at, words[0]);
            _memory.Flush(at, 8);
            return OpResult.Ok;
        }
        finally
        {
            _gate.Exit();
        }
    }

    // Not present first, in one store, which the submission that follows makes visible; the rest follows when no cache
    // and no walk uses the entry any more.
    private bool ClearContextEntry(RequesterId requester)
    {
        _gate.Enter();
        try
        {
            ulong at = Contexts.Find(requester.Value);
            if (at == 0 || Contexts.State(requester.Value) == 0)
            {
                return false;
            }

            Contexts.State(requester.Value) = 0;
            _memory.WriteQword(at, 0);
            _memory.Flush(at, 8);
            return true;
        }
        finally
        {
            _gate.Exit();
        }
    }

    private void EraseContextEntry(RequesterId requester)
    {
        _gate.Enter();
        try
        {
            // A successor with the same requester may have come in the meantime.
            if (Contexts.State(requester.Value) == 0)
            {
                Span<ulong> words = stackalloc ulong[ContextEntry.Words - 1];
                words.Clear();
                _ = _memory.WriteWords(Contexts.Find(requester.Value) + 8, words);
            }
        }
        finally
        {
            _gate.Exit();
        }
    }

    private OpResult MadePresent(VtdDevice device, bool newTable)
    {
        if (!Capabilities.CachingMode)
        {
            _memory.StoreBarrier();
            return Capabilities.WriteBuffer ? _command.FlushWriteBuffer() : OpResult.Ok;
        }

        // A root entry changed as well where the table is new: then everything, as table 28 has it.
        return newTable
            ? InvalidateAll()
            : InvalidateContext(device, pasidCache: true, deviceTlb: false);
    }

    private OpResult InvalidateContext(VtdDevice device, bool pasidCache, bool deviceTlb)
    {
        var batch = new CommandBatch(Queue);
        batch.ContextCache(InvContextCache.Device, device.Requester);
        batch.Fence();
        if (pasidCache)
        {
            batch.PasidCache(InvPasidCache.Domain, VtdTable.DomainId);
            batch.Fence();
        }

        batch.Iotlb(InvIotlb.Domain, VtdTable.DomainId);
        if (deviceTlb)
        {
            // The first leaves alone what the device asked for with a PASID.
            batch.Fence();
            batch.DeviceTlb(device.Requester);
            batch.PasidDeviceTlb(device.Requester);
        }

        return batch.Complete();
    }

    private void FreeTables()
    {
        _contexts?.Dispose();
        if (_pageRequestQueue != 0)
        {
            _memory.FreePages(_pageRequestQueue, PageRequestQueueBytes);
            _pageRequestQueue = 0;
        }
    }
}
