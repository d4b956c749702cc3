using PasidFramework.Allocation;
using PasidFramework.Contracts;
using PasidFramework.DriverKit.Tables;
using PasidFramework.DriverKit.Units;
using PasidFramework.Drivers.IntelVtd.Formats;
using PasidFramework.Drivers.IntelVtd.Queues;
using PasidFramework.Drivers.IntelVtd.Tables;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace PasidFramework.Drivers.IntelVtd.Unit;

/// <summary>
/// One remapping unit in scalable mode: root and context tables, invalidation queue, domains. It knows nothing of the
/// core's objects. Intel VT-d, D51397-018 (rev 5.10).
/// </summary>
internal sealed partial class RemappingUnit : IDisposable
{
    // 2^(0+7) entries of 32 bytes (PQA.PQS = 0).
    private const int PageRequestQueueBytes = 4096;

    private readonly IPhysicalMemory _memory;
    private readonly IRegisterFile _registers;
    private readonly VtdUnitOptions _options;
    private readonly PollTimeout _timeout;
    private readonly GlobalCommand _command;
    private readonly HashSet<VtdDomain> _domains = [];
    private InvalidationQueue? _queue;
    private TwoLevelTable<RootLink>? _contexts;
    private ulong _pageRequestQueue;
    private SpinGate _gate;
    private bool _stopped;

    private RemappingUnit(UnitSetup setup, VtdUnitOptions options, VtdCapabilities capabilities)
    {
        Name = setup.Name;
        _memory = setup.Hardware.Memory;
        _registers = setup.Hardware.Registers;
        _options = options;
        _timeout = new PollTimeout(setup.Time, options.Timeout);
        _command = new GlobalCommand(_registers, _timeout);
        Capabilities = capabilities;
        Faults = new FaultRecords(Name, _registers, capabilities.FaultRecordOffset, capabilities.FaultRecords);
        PasidBits = Math.Min(setup.PasidBits, capabilities.PasidBits);
    }

    /// <summary>Name for messages.</summary>
    public string Name { get; }

    /// <summary>What the hardware supports.</summary>
    public VtdCapabilities Capabilities { get; }

    /// <summary>Width of a PASID in bits.</summary>
    public int PasidBits { get; }

    /// <summary>PASID of requests without one.</summary>
    public Pasid RidPasid => _options.RidPasid;

    /// <summary>What it holds and has done.</summary>
    public UnitStatistics Statistics
    {
        get
        {
            long bytes = 0;
            int leaves = 0;
            _gate.Enter();
            foreach (VtdDomain domain in _domains)
            {
                bytes += domain.Table.TableBytes;
                leaves += domain.Table.Leaves;
            }

            _gate.Exit();
            return new UnitStatistics(bytes, leaves, Queue.Commands);
        }
    }

    /// <summary>The invalidation queue.</summary>
    public InvalidationQueue Queue => _queue!;

    /// <summary>The fault records.</summary>
    public FaultRecords Faults { get; }

    /// <summary>Address of the root table.</summary>
    public ulong Root => Contexts.Root;

    // Root and context tables; an index is a requester ID.
    private TwoLevelTable<RootLink> Contexts => _contexts!;

    /// <summary>Starts a unit.</summary>
    /// <returns>The unit; ENODEV (a capability is absent); EINVAL (an option); ENOMEM; ETIMEDOUT, EIO.</returns>
    public static OpResult<RemappingUnit> Start(UnitSetup setup)
    {
        OpResult<VtdUnitOptions> options = VtdUnitOptions.Read(setup.Options);
        if (!options.IsOk)
        {
            return OpResult<RemappingUnit>.Refuse(options.Outcome);
        }

        if (setup.PasidBits is < 1 or > Pasid.MaxBits)
        {
            return OpResult<RemappingUnit>.Refuse(
                Errno.EINVAL, $"{setup.Name}: PasidBits is {setup.PasidBits}, it must be 1 to {Pasid.MaxBits}");
        }

        var capabilities = new VtdCapabilities(
            setup.Hardware.Registers.Read64(VtdRegisters.CAP), setup.Hardware.Registers.Read64(VtdRegisters.ECAP));
        if (capabilities.Missing is { } missing)
        {
            return OpResult<RemappingUnit>.Refuse(Errno.ENODEV, $"{setup.Name}: the hardware lacks {missing}");
        }

        if (options.Value.RidPasid.Value != 0 && !capabilities.RidPasid)
        {
            return OpResult<RemappingUnit>.Refuse(
                Errno.EINVAL,
                $"{setup.Name}: rid-pasid is {options.Value.RidPasid}, the hardware lacks ECAP.RPS and always uses 0");
        }

        var unit = new RemappingUnit(setup, options.Value, capabilities);
        OpResult result = unit.Enable();
        if (!result.IsOk)
        {
            unit.Dispose();
            return OpResult<RemappingUnit>.Refuse(result);
        }

        return OpResult<RemappingUnit>.Ok(unit);
    }

    /// <summary>Makes a domain.</summary>
    /// <param name="pasidBits">Width of its PASID table in bits.</param>
    /// <returns>The domain; EINVAL for a width beyond the unit's; ENOMEM.</returns>
    public OpResult<VtdDomain> AddDomain(int pasidBits)
    {
        if (pasidBits < 1 || pasidBits > PasidBits)
        {
            return OpResult<VtdDomain>.Refuse(
                Errno.EINVAL, $"{Name}: a PASID table of {pasidBits} bits; the unit supports 1 to {PasidBits}");
        }

        int hardwareBits = VtdTable.SizeOf(pasidBits) + ContextEntry.MinPasidBits;
        if (RidPasid.Value >> hardwareBits != 0)
        {
            return OpResult<VtdDomain>.Refuse(
                Errno.EINVAL, $"{Name}: rid-pasid {RidPasid} is beyond the {hardwareBits} bits of the PASID directory");
        }

        var domain = new VtdDomain(_memory, Queue, _command, Capabilities, RidPasid);
        OpResult created = domain.CreateTable(pasidBits);
        if (!created.IsOk)
        {
            return OpResult<VtdDomain>.Refuse(created);
        }

        _gate.Enter();
        _domains.Add(domain);
        _gate.Exit();
        return OpResult<VtdDomain>.Ok(domain);
    }

    /// <summary>
    /// Frees a domain that no device uses; at <see cref="Stop"/> where the hardware may still walk it.
    /// </summary>
    public void RemoveDomain(VtdDomain domain)
    {
        if (domain.MayBeWalked)
        {
            return;
        }

        _gate.Enter();
        bool known = _domains.Remove(domain);
        _gate.Exit();
        if (known)
        {
            domain.Dispose();
        }
    }

    /// <summary>Switches translation and queue off and frees all memory.</summary>
    /// <returns>Success; ETIMEDOUT: the hardware may still read its tables, so none of the memory was freed.</returns>
    public OpResult Stop()
    {
        if (_stopped)
        {
            return OpResult.Ok;
        }

        _stopped = true;
        OpResult result = Disable();
        if (!result.IsOk)
        {
            return result;
        }

        foreach (VtdDomain domain in _domains)
        {
            domain.Dispose();
        }

        _domains.Clear();
        FreeTables();
        _queue?.Dispose();
        return OpResult.Ok;
    }

    /// <inheritdoc/>
    public void Dispose() => Stop();
}
