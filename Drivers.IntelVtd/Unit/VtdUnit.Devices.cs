// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Unit;

/// <content>Root and context tables. Sections 9.2, 9.4 and 6.5.3.3.</content>
internal sealed partial class VtdUnit
{
    // A context table serves the 128 device-and-function numbers of half a bus.
    private const int ContextsPerTableLog2 = 7;

    protected override OpResult<VtdDevice> CreateDevice(
        VtdDomain domain, RequesterId requester, DeviceFeatures features)
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
        return OpResult<VtdDevice>.Ok(new VtdDevice(
            requester, deviceTlb, deviceTlb && (features & DeviceFeatures.Pri) != 0 && Capabilities.PageRequests));
    }

    protected override OpResult Connect(VtdDomain domain, VtdDevice device)
    {
        OpResult result = InstallContextEntry(device, domain.Table, out bool newTable);
        return result.IsOk ? MadePresent(device, newTable) : result;
    }

    protected override OpResult Disconnect(VtdDomain domain, VtdDevice device)
    {
        if (!ClearContextEntry(device.Requester))
        {
            return OpResult.Refuse(Errno.ESRCH, $"{Name}: requester {device.Requester} has no context entry");
        }

        // Table 28, context entry; PASID entries that are not present are not cached, except with CM.
        bool mayBeCached = domain.Table.Entries > 0 || Capabilities.CachingMode;
        OpResult result = InvalidateContext(device, mayBeCached, device.HasTlb);
        EraseContextEntry(device.Requester);
        return result;
    }

    private OpResult InstallContextEntry(VtdDevice device, VtdTable table, out bool newTable)
    {
        Span<ulong> words = stackalloc ulong[ContextEntry.Words];
        words.Clear();
        words.Set(ContextEntry.P, 1);
        words.Set(ContextEntry.DTE, device.HasTlb ? 1u : 0);
        words.Set(ContextEntry.PASIDE, 1);
        words.Set(ContextEntry.PRE, device.RequestsPages ? 1u : 0);
        words.Set(ContextEntry.PDTS, (ulong)table.DirectorySize);
        words.SetAddress(ContextEntry.PASIDDIRPTR, table.Root);
        words.Set(ContextEntry.RID_PASID, RidPasid.Value);

        // Neighbouring devices of any domain share the tables.
        _gate.Enter();
        try
        {
            uint index = device.Requester.Value;
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
                return OpResult.Refuse(Errno.EEXIST, $"{Name}: {device.Requester} has a context entry already");
            }

            Contexts.State(index) = 1;
            bool stored = Memory.WriteWords(at + 8, words[1..]) != 0;
            if (stored)
            {
                Memory.Flush(at, ContextEntry.SizeBytes);
            }

            if (stored || !table.IsPublished)
            {
                Memory.StoreBarrier();
                table.IsPublished = true;
            }

            Memory.WriteQword(at, words[0]);
            Memory.Flush(at, 8);
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
            Memory.WriteQword(at, 0);
            Memory.Flush(at, 8);
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
                _ = Memory.WriteWords(Contexts.Find(requester.Value) + 8, words);
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
            Memory.StoreBarrier();
            return Capabilities.WriteBuffer ? _command.FlushWriteBuffer() : OpResult.Ok;
        }

        // A root entry changed as well where the table is new: then everything, as table 28 has it.
        return newTable ? InvalidateAll() : InvalidateContext(device, pasidCache: true, deviceTlb: false);
    }

    private OpResult InvalidateContext(VtdDevice device, bool pasidCache, bool deviceTlb)
    {
        var batch = new CommandBatch(Queue);
        batch.ContextCache(InvContextCache.Device, device.Sid);
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
            batch.DeviceTlb(device.Sid);
            batch.PasidDeviceTlb(device.Sid);
        }

        return batch.Complete();
    }
}
