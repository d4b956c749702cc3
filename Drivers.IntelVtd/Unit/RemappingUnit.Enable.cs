using PasidFramework.DriverKit.Queues;
using PasidFramework.DriverKit.Tables;
using PasidFramework.Drivers.IntelVtd.Formats;
using PasidFramework.Drivers.IntelVtd.Queues;
using PasidFramework.Drivers.IntelVtd.Tables;
using PasidFramework.Results;

namespace PasidFramework.Drivers.IntelVtd.Unit;

/// <content>Switching on and off. Section 6.5.2 and Global Command Register.</content>
internal sealed partial class RemappingUnit
{
    private OpResult Enable()
    {
        // Firmware or an earlier owner may have left it on.
        OpResult result = Disable();
        if (!result.IsOk)
        {
            return result;
        }

        // What an earlier owner left is not about anything of this unit.
        Faults.Take([]);
        OpResult<TwoLevelTable<RootLink>> contexts = TwoLevelTable<RootLink>.Create(
            _memory, new TableGeometry(16, ContextEntry.SizeBytes, ContextsPerTableLog2, RootEntry.TableBytes));
        if (!contexts.IsOk)
        {
            return contexts.Outcome;
        }

        _contexts = contexts.Value;
        OpResult<InvalidationQueue> queue = InvalidationQueue.Create(
            _memory, _registers, _timeout, _options.QueuePagesLog2);
        if (!queue.IsOk)
        {
            return queue.Outcome;
        }

        _queue = queue.Value;
        result = PreparePageRequests();
        if (!result.IsOk)
        {
            return result;
        }

        // The first submission has the barrier that makes the root table visible, and TE comes after it.
        _registers.Write64(VtdRegisters.IQT, 0);
        _registers.Write64(VtdRegisters.IQA, Queue.AddressRegister);
        result = _command.Switch(GlobalCommandBits.QIE, true, "QIE");
        if (!result.IsOk)
        {
            return result;
        }

        _registers.Write64(
            VtdRegisters.RTADDR, Root | 0UL.With(RootTableAddress.TTM, RootTableAddress.ScalableMode));
        result = _command.SetRootTable();
        if (!result.IsOk)
        {
            return result;
        }

        result = InvalidateAll();
        return result.IsOk ? _command.Switch(GlobalCommandBits.TE, true, "TE") : result;
    }

    private OpResult Disable()
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

    // With PRE set, page requests go to the address in PQA: there must be memory behind it. Nobody reads the queue yet;
    // when it is full the hardware answers requests itself.
    private OpResult PreparePageRequests()
    {
        if (!Capabilities.PageRequests)
        {
            return OpResult.Ok;
        }

        OpResult<ulong> queue = _memory.AllocatePages(PageRequestQueueBytes);
        if (!queue.IsOk)
        {
            return queue.Outcome;
        }

        _pageRequestQueue = queue.Value;
        _registers.Write64(VtdRegisters.PQH, 0);
        _registers.Write64(VtdRegisters.PQT, 0);
        _registers.Write64(VtdRegisters.PQA, _pageRequestQueue);
        return OpResult.Ok;
    }
}
