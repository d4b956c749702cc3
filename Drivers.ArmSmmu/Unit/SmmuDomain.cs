using PasidFramework.Contracts;
using PasidFramework.DriverKit.Queues;
using PasidFramework.Drivers.ArmSmmu.Formats;
using PasidFramework.Drivers.ArmSmmu.Queues;
using PasidFramework.Drivers.ArmSmmu.Tables;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace PasidFramework.Drivers.ArmSmmu.Unit;

/// <summary>
/// One context descriptor table with the streams that use it, and what is sent when either changes.
/// </summary>
/// <remarks>
/// The order of every removal (D5): store in the table, CFGI_CD for each StreamID, SYNC, TLBI, SYNC, ATC_INV, SYNC. Without
/// the first SYNC a walker that still has the descriptor could load translations again after the TLBI, for the next
/// owner of the ASID; without the second one a device could fill its own TLB again from the main one. The table is the
/// domain's, so whatever is told to one of its streams is told to all: any of them may have used the entry.
/// </remarks>
internal sealed class SmmuDomain : IPasidTableSync, IDisposable
{
    private readonly IPhysicalMemory _memory;
    private readonly CommandQueue _queue;
    private readonly bool _hasRange;
    private CdTable _table = null!;
    private SmmuStream[] _streams = [];

    private SmmuDomain(IPhysicalMemory memory, CommandQueue queue, bool hasRange)
    {
        _memory = memory;
        _queue = queue;
        _hasRange = hasRange;
    }

    /// <summary>The context descriptors.</summary>
    public CdTable Table => _table;

    /// <summary>
    /// Whether the hardware did not confirm that it forgot a stream of this domain: it may still walk the table, which is
    /// then kept until the unit is off.
    /// </summary>
    public bool MayBeWalked { get; set; }

    /// <summary>The streams that lead to the table.</summary>
    public IReadOnlyList<SmmuStream> Streams => Volatile.Read(ref _streams);

    /// <summary>Builds a domain with an empty table.</summary>
    /// <param name="memory">Where.</param>
    /// <param name="queue">The unit's queue.</param>
    /// <param name="pasidBits">Width in bits, 1 to 20.</param>
    /// <param name="settings">What descriptors say.</param>
    /// <param name="hasRange">IDR3.RIL.</param>
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

    /// <summary>Adds a stream, <b>before</b> its stream table entry becomes valid: whoever changes a descriptor either
    /// sees the stream here, or the stream can only fetch what was stored before. The unit serialises.</summary>
    public void Join(SmmuStream stream)
    {
        Volatile.Write(ref _streams, [.. _streams, stream]);
        Interlocked.MemoryBarrier();
    }

    /// <summary>Takes a stream out, after its stream table entry is gone from every cache. The unit
    /// serialises.</summary>
    public void Leave(SmmuStream stream) => Volatile.Write(ref _streams, [.. _streams.Where(s => s != stream)]);

    /// <inheritdoc/>
    public OpResult ConfigurationChanged(Pasid pasid, bool leafOnly)
    {
        // The store to the table comes before the look at the streams; see Join.
        Interlocked.MemoryBarrier();
        SmmuStream[] streams = Volatile.Read(ref _streams);
        if (streams.Length == 0)
        {
            // No command orders the stores then.
            _memory.StoreBarrier();
            return OpResult.Ok;
        }

        var batch = new CommandBatch(_queue);
        foreach (SmmuStream stream in streams)
        {
            batch.Add(Commands.CfgiCd(stream.Sid, pasid.Value, leafOnly));
        }

        return batch.Complete();
    }

    /// <inheritdoc/>
    public OpResult TranslationsChanged(Pasid pasid, uint archId)
    {
        var batch = new CommandBatch(_queue);
        batch.Add(Commands.TlbiNhAsid(0, archId));
        return batch.Complete();
    }

    /// <summary>Lets a stream use an address space.</summary>
    /// <param name="link">The link.</param>
    /// <param name="pasid">The PASID, not 0.</param>
    /// <param name="pageTableRoot">Physical byte address of the process's top page table.</param>
    /// <param name="first">Whether the descriptor is to be installed.</param>
    public OpResult Attach(SmmuLink link, Pasid pasid, ulong pageTableRoot, bool first)
    {
        if (pasid.Value == 0)
        {
            return OpResult.Refuse(
                Errno.EINVAL,
                "PASID 0x0 cannot be a process: descriptor 0 serves requests without a PASID (STE.S1DSS 2)");
        }

        if (first)
        {
            OpResult result = link.Process.TaintIfUnconfirmed(
                _table.Set(pasid, new PasidTableEntry(pageTableRoot, link.Process.Asid)));
            if (!result.IsOk)
            {
                return result;
            }
        }

        return OpResult.Ok;
    }

    /// <summary>Takes an address space from a stream.</summary>
    /// <param name="link">The link.</param>
    /// <param name="stream">The stream.</param>
    /// <param name="pasid">The PASID.</param>
    /// <param name="last">Whether the descriptor is to be cleared.</param>
    public OpResult Detach(SmmuLink link, SmmuStream stream, Pasid pasid, bool last)
    {
        OpResult result = last ? _table.Clear(pasid) : OpResult.Ok;
        if (link.IsQuiet)
        {
            // The exit has told every device, and nothing was translated since.
            return link.Process.TaintIfUnconfirmed(result);
        }

        OpResult devices;
        if (last)
        {
            devices = ForgetOnDevices(pasid);
        }
        else
        {
            var batch = new CommandBatch(_queue);
            AddAtc(ref batch, stream, pasid, 0, Commands.AtcSizeAll);
            devices = batch.Complete();
        }

        return link.Process.TaintIfUnconfirmed(result.IsOk ? devices : result);
    }

    /// <summary>Ends translation through the descriptor, which stays in place (D12).</summary>
    /// <param name="link">The link.</param>
    /// <param name="pasid">The PASID.</param>
    public OpResult Exit(SmmuLink link, Pasid pasid)
    {
        OpResult result = _table.Quiet(pasid);
        OpResult devices = ForgetOnDevices(pasid);
        result = result.IsOk ? devices : result;
        link.IsQuiet = result.IsOk;
        return link.Process.TaintIfUnconfirmed(result);
    }

    /// <summary>Makes every cache forget [start, end) of an address space (D6).</summary>
    /// <param name="link">The link.</param>
    /// <param name="pasid">The PASID.</param>
    /// <param name="start">First byte.</param>
    /// <param name="end">Byte after the range; 0 is the top of memory.</param>
    public OpResult Invalidate(SmmuLink link, Pasid pasid, ulong start, ulong end)
    {
        if (InvalidationPlan.IsEmpty(start, end))
        {
            return OpResult.Ok;
        }

        var batch = new CommandBatch(_queue);
        InvalidationPlan.AddTlb(ref batch, _hasRange, link.Process.Asid, start, end);
        (ulong address, int size) = InvalidationPlan.AtcSpan(start, end);
        SmmuStream[] streams = Volatile.Read(ref _streams);
        if (Array.Exists(streams, s => s.HasAts))
        {
            batch.Fence();
            foreach (SmmuStream stream in streams)
            {
                AddAtc(ref batch, stream, pasid, address, size);
            }
        }

        return link.Process.TaintIfUnconfirmed(batch.Complete());
    }

    /// <summary>Frees the table; no stream uses it.</summary>
    public void Dispose() => _table.Dispose();

    private static void AddAtc(ref CommandBatch batch, SmmuStream stream, Pasid pasid, ulong address, int size)
    {
        if (stream.HasAts)
        {
            batch.Add(Commands.AtcInv(stream.Sid, pasid.Value, address, size));
        }
    }

    private OpResult ForgetOnDevices(Pasid pasid)
    {
        var batch = new CommandBatch(_queue);
        foreach (SmmuStream stream in Volatile.Read(ref _streams))
        {
            AddAtc(ref batch, stream, pasid, 0, Commands.AtcSizeAll);
        }

        return batch.Complete();
    }
}
