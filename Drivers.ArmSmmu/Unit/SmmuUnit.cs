using PasidFramework.Allocation;
using PasidFramework.Contracts;
using PasidFramework.DriverKit.Queues;
using PasidFramework.Drivers.ArmSmmu.Formats;
using PasidFramework.Drivers.ArmSmmu.Queues;
using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace PasidFramework.Drivers.ArmSmmu.Unit;

/// <summary>
/// One SMMUv3: its stream table and queues, and the core's operations translated to <see cref="SmmuDomain"/>.
/// </summary>
internal sealed partial class SmmuUnit : IIommuUnit
{
    private readonly Lock _topology = new();
    private readonly List<SmmuDomain> _domains = [];

    // StreamIDs whose device did not confirm at its removal that it forgot everything.
    private readonly HashSet<uint> _unforgotten = [];

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public int PasidBits => _capabilities.PasidBits;

    /// <inheritdoc/>
    /// <remarks>With S1DSS = 2 descriptor 0 serves requests without a PASID, and PASID 0 itself is invalid.</remarks>
    public IReadOnlyList<Pasid> ReservedPasids { get; } = [new Pasid(0)];

    /// <inheritdoc/>
    public PasidScope VendorScope => PasidScope.Domain;

    /// <summary>Lowest first, so that a domain fills its 64 KiB leaves one after the other.</summary>
    public IPasidAllocator CreateAllocator(PasidRange range) => new LowestPasidAllocator(range);

    /// <inheritdoc/>
    public UnitStatistics Statistics
    {
        get
        {
            long bytes = 0;
            int leaves = 0;
            lock (_topology)
            {
                foreach (SmmuDomain domain in _domains)
                {
                    bytes += domain.Table.TableBytes;
                    leaves += domain.Table.Leaves;
                }
            }

            return new UnitStatistics(bytes, leaves, _queue?.Commands ?? 0);
        }
    }

    /// <summary>The unit's ASIDs.</summary>
    public AsidAllocator Asids { get; }

    /// <inheritdoc/>
    public OpResult AddDomain(Domain domain)
    {
        ArgumentNullException.ThrowIfNull(domain);
        OpResult<SmmuDomain> result = CreateDomain(domain.PasidBits);
        domain.DriverState = result.Value;
        return result.Outcome;
    }

    /// <inheritdoc/>
    public void RemoveDomain(Domain domain)
    {
        DeleteDomain(StateOf(domain));
        domain.DriverState = null;
    }

    /// <inheritdoc/>
    public OpResult AddDevice(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        OpResult<SmmuStream> result = AddStream(
            StateOf(device.Domain), device.Requester, (device.Features & DeviceFeatures.Ats) != 0);
        device.DriverState = result.Value;
        return result.Outcome;
    }

    /// <inheritdoc/>
    public void RemoveDevice(Device device)
    {
        RemoveStream(StateOf(device));
        device.DriverState = null;
    }

    /// <inheritdoc/>
    public OpResult<object?> AllocateProcess(IommuProcess process)
    {
        OpResult<SmmuProcess> result = CreateProcess();
        return result.IsOk ? OpResult<object?>.Ok(result.Value) : OpResult<object?>.Refuse(result.Outcome);
    }

    /// <inheritdoc/>
    public void FreeProcess(IommuProcess process, object? driverProcess)
    {
        if (driverProcess is not SmmuProcess own)
        {
            throw new ArgumentException("Not a process record of this driver.", nameof(driverProcess));
        }

        DeleteProcess(own);
    }

    /// <inheritdoc/>
    public OpResult Attach(IommuContext context, Device device, bool first)
    {
        ArgumentNullException.ThrowIfNull(context);
        SmmuStream stream = StateOf(device);
        SmmuLink link = first
            ? new SmmuLink(context.DriverProcess as SmmuProcess
                ?? throw new ArgumentException("The context has no process record of this driver.", nameof(context)))
            : StateOf(context);
        OpResult result = stream.Domain.Attach(link, context.Pasid, context.Process.PageTableRoot, first);
        if (first && result.IsOk)
        {
            context.DriverState = link;
        }

        return result;
    }

    /// <inheritdoc/>
    public OpResult Detach(IommuContext context, Device device, bool last)
    {
        SmmuLink link = StateOf(context);
        SmmuStream stream = StateOf(device);
        OpResult result = stream.Domain.Detach(link, stream, context.Pasid, last);
        if (last)
        {
            context.DriverState = null;
        }

        return result;
    }

    /// <inheritdoc/>
    public OpResult Exit(IommuContext context)
    {
        SmmuLink link = StateOf(context);
        return StateOf(context.Domain).Exit(link, context.Pasid);
    }

    /// <inheritdoc/>
    public OpResult Invalidate(IommuContext context, ulong start, ulong end)
    {
        SmmuLink link = StateOf(context);
        return StateOf(context.Domain).Invalidate(link, context.Pasid, start, end);
    }

    /// <summary>Builds a domain; see <see cref="AddDomain"/>.</summary>
    internal OpResult<SmmuDomain> CreateDomain(int pasidBits)
    {
        if (pasidBits < 1 || pasidBits > PasidBits)
        {
            return OpResult<SmmuDomain>.Refuse(
                Errno.EINVAL,
                $"a domain of {pasidBits} PASID bits on {Name}: 1 to {PasidBits} are possible (IDR1.SSIDSIZE)");
        }

        OpResult<SmmuDomain> domain = SmmuDomain.Create(
            _memory, _queue!, pasidBits, _capabilities.Descriptors, _capabilities.HasRange);
        if (domain.IsOk)
        {
            lock (_topology)
            {
                _domains.Add(domain.Value);
            }
        }

        return domain;
    }

    /// <summary>Frees a domain; see <see cref="RemoveDomain"/>.</summary>
    /// <exception cref="InvalidOperationException">A stream still leads to its table.</exception>
    internal void DeleteDomain(SmmuDomain domain)
    {
        lock (_topology)
        {
            if (domain.Streams.Count > 0)
            {
                throw new InvalidOperationException($"A domain of {Name} still has {domain.Streams.Count} devices.");
            }

            if (domain.MayBeWalked)
            {
                // Freed when the unit is off.
                return;
            }

            _domains.Remove(domain);
        }

        domain.Dispose();
    }

    /// <summary>Points a StreamID at a domain's table; see <see cref="AddDevice"/>.</summary>
    internal OpResult<SmmuStream> AddStream(SmmuDomain domain, RequesterId requester, bool ats)
    {
        var stream = new SmmuStream(domain, requester.Value, ats && _capabilities.HasAts);
        Span<ulong> words = stackalloc ulong[StreamTableEntry.Words];
        domain.Table.EncodeSte(words, stream.HasAts);
        lock (_topology)
        {
            // With a valid entry again what the device still holds would pass.
            OpResult result = _unforgotten.Contains(stream.Sid) ? ForgetStream(stream.Sid) : OpResult.Ok;
            if (!result.IsOk)
            {
                return OpResult<SmmuStream>.Refuse(result);
            }

            _unforgotten.Remove(stream.Sid);
            domain.Join(stream);
            result = _streams!.Set(stream.Sid, words);
            if (result.IsOk)
            {
                return OpResult<SmmuStream>.Ok(stream);
            }

            domain.Leave(stream);
            return OpResult<SmmuStream>.Refuse(result);
        }
    }

    /// <summary>Takes a StreamID's entry away; see <see cref="RemoveDevice"/>.</summary>
    internal void RemoveStream(SmmuStream stream)
    {
        lock (_topology)
        {
            // The promise of RemoveDevice has no result; what was not confirmed keeps the table in memory instead.
            bool forgotten = _streams!.Clear(stream.Sid).IsOk;
            var batch = new CommandBatch(_queue!);
            batch.Add(Commands.CfgiCdAll(stream.Sid));
            forgotten &= batch.Complete().IsOk;
            stream.Domain.MayBeWalked |= !forgotten;
            if (stream.HasAts)
            {
                // The table is the domain's, so the device may hold translations of every process in it, and no later
                // detach or exit tells it. Only now can it get no new ones.
                var devices = new CommandBatch(_queue!);
                AddAtcOfAll(ref devices, stream.Sid);
                if (!devices.Complete().IsOk || !forgotten)
                {
                    _unforgotten.Add(stream.Sid);
                }
            }

            stream.Domain.Leave(stream);
        }
    }

    /// <inheritdoc/>
    public OpResult TakeFaults(ICollection<IommuFault> faults) => _events!.Take(faults);

    /// <summary>Takes an ASID; see <see cref="AllocateProcess"/>.</summary>
    internal OpResult<SmmuProcess> CreateProcess()
    {
        OpResult<uint> asid = Asids.Allocate();
        return asid.IsOk
            ? OpResult<SmmuProcess>.Ok(new SmmuProcess(asid.Value))
            : OpResult<SmmuProcess>.Refuse(asid.Outcome);
    }

    /// <summary>Gives an ASID back, unless the TLB may still hold translations of it; see
    /// <see cref="FreeProcess"/>.</summary>
    internal void DeleteProcess(SmmuProcess process)
    {
        if (!process.IsTainted)
        {
            Asids.Free(process.Asid);
        }
    }

    private static void AddAtcOfAll(ref CommandBatch batch, uint sid)
    {
        batch.Add(Commands.AtcInvAll(sid, withPasid: true));
        batch.Add(Commands.AtcInvAll(sid, withPasid: false));
    }

    private static SmmuDomain StateOf(Domain domain) => domain.DriverState as SmmuDomain
        ?? throw new ArgumentException($"Domain {domain} is not on this unit.", nameof(domain));

    private static SmmuStream StateOf(Device device) => device.DriverState as SmmuStream
        ?? throw new ArgumentException($"Device {device} is not on this unit.", nameof(device));

    private static SmmuLink StateOf(IommuContext context) => context.DriverState as SmmuLink
        ?? throw new ArgumentException("No device is attached to the context.", nameof(context));

    // Everything of a stream whose entry is invalid in memory.
    private OpResult ForgetStream(uint sid)
    {
        var batch = new CommandBatch(_queue!);
        batch.Add(Commands.CfgiSte(sid, leaf: true));
        batch.Add(Commands.CfgiCdAll(sid));
        batch.Fence();
        AddAtcOfAll(ref batch, sid);
        return batch.Complete();
    }
}
