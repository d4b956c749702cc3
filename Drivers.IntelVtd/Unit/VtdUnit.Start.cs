// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Unit;

/// <content>Switching on and off. Section 6.5.2 and Global Command Register.</content>
internal sealed partial class VtdUnit
{
    // 2^(0+7) entries of 32 bytes (PQA.PQS = 0).
    private const int PageRequestQueueBytes = 4096;

    /// <summary>Firmware or an earlier owner may have left it on, and faults that are not about anything of this
    /// unit.</summary>
    protected override IReadOnlyList<Func<OpResult>> StartSteps =>
    [
        Stop,
        BuildContexts,
        BuildQueue,
        PreparePageRequests,
        EnableQueue,
        SetRootTable,
        InvalidateAll,
        () => _command.Switch(GlobalCommandBits.TE, true, "TE"),
    ];

    protected override OpResult Stop()
    {
        uint status = _command.Status;
        OpResult result = OpResult.Ok;
        if ((status & GlobalCommandBits.TE) != 0)
        {
            result = _command.Switch(GlobalCommandBits.TE, false, "TE");
        }

        return result.IsOk && (status & GlobalCommandBits.QIE) != 0
            ? _command.Switch(GlobalCommandBits.QIE, false, "QIE")
            : result;
    }

    protected override void Free()
    {
        _contexts?.Dispose();
        if (_pageRequestQueue != 0)
        {
            Memory.FreePages(_pageRequestQueue, PageRequestQueueBytes);
        }

        _queue?.Dispose();
    }

    private OpResult BuildContexts()
    {
        Faults.Take([]);
        OpResult<TwoLevelTable<RootLink>> contexts = TwoLevelTable<RootLink>.Create(
            Memory, new TableGeometry(16, ContextEntry.SizeBytes, ContextsPerTableLog2, RootEntry.TableBytes));
        _contexts = contexts.Value;
        return contexts.Outcome;
    }

    private OpResult BuildQueue()
    {
        OpResult<InvalidationQueue> queue = InvalidationQueue.Create(Memory, Registers, _timeout, _queuePagesLog2);
        _queue = queue.Value;
        return queue.Outcome;
    }

    // The first submission has the barrier that makes the root table visible, and TE comes after it.
    private OpResult EnableQueue()
    {
        Registers.Write64(VtdRegisters.IQT, 0);
        Registers.Write64(VtdRegisters.IQA, Queue.AddressRegister);
        return _command.Switch(GlobalCommandBits.QIE, true, "QIE");
    }

    private OpResult SetRootTable()
    {
        Registers.Write64(VtdRegisters.RTADDR, Root | 0UL.With(RootTableAddress.TTM, RootTableAddress.ScalableMode));
        return _command.SetRootTable();
    }

    // Table 28, root entry; no device TLB is enabled by an empty table.
    private OpResult InvalidateAll()
    {
        var batch = new CommandBatch(Queue);
        batch.ContextCache(InvContextCache.Global);
        batch.Fence();
        batch.PasidCache(InvPasidCache.Global);
        batch.Fence();
        batch.Iotlb(InvIotlb.Global);
        return batch.Complete();
    }

    // With PRE set, page requests go to the address in PQA: there must be memory behind it. The queue is not read yet;
    // when it is full the hardware answers requests itself.
    private OpResult PreparePageRequests()
    {
        if (!Capabilities.PageRequests)
        {
            return OpResult.Ok;
        }

        OpResult<ulong> queue = Memory.AllocatePages(PageRequestQueueBytes);
        if (!queue.IsOk)
        {
            return queue.Outcome;
        }

        _pageRequestQueue = queue.Value;
        Registers.Write64(VtdRegisters.PQH, 0);
        Registers.Write64(VtdRegisters.PQT, 0);
        Registers.Write64(VtdRegisters.PQA, _pageRequestQueue);
        return OpResult.Ok;
    }
}
