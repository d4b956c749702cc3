// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Allocation;

namespace PasidFramework.Drivers.IntelVtd.Unit;

/// <summary>
/// One remapping unit in scalable mode: root and context tables, invalidation queue, domains. Intel VT-d, D51397-018
/// (rev 5.10).
/// </summary>
internal sealed partial class VtdUnit : IommuUnit<VtdDomain, VtdDevice>
{
    private static readonly Option<int> s_queuePages = Option.Number("queue-pages-log2", 0, 7, 1);
    private static readonly Option<int> s_ridPasid = Option.Number("rid-pasid", 0, (int)Pasid.MaxValue, 0);
    private static readonly Option<int> s_timeout = Option.Number("timeout-ms", 1, 60_000, 1000);
    private static readonly OptionSet s_options = new("intel-vtd", s_queuePages, s_ridPasid, s_timeout);
    private readonly int _queuePagesLog2;
    private readonly PollTimeout _timeout;
    private readonly GlobalCommand _command;
    private InvalidationQueue? _queue;
    private TwoLevelTable<RootLink>? _contexts;
    private ulong _pageRequestQueue;
    private SpinGate _gate;

    private VtdUnit(UnitSetup setup, OptionValues options, VtdCapabilities capabilities)
        : base(setup, capabilities.PasidBits)
    {
        _queuePagesLog2 = options.Get(s_queuePages);
        _timeout = new PollTimeout(setup.Time, TimeSpan.FromMilliseconds(options.Get(s_timeout)));
        _command = new GlobalCommand(Registers, _timeout);
        Capabilities = capabilities;
        Faults = new FaultRecords(Name, Registers, capabilities.FaultRecordOffset, capabilities.FaultRecords);
        RidPasid = new Pasid((uint)options.Get(s_ridPasid));
        ReservedPasids = [RidPasid];
    }

    public override IReadOnlyList<Pasid> ReservedPasids { get; }

    /// <summary>
    /// One PASID per process in the whole system: ENQCMD takes it from a register of the CPU, and all first-stage
    /// entries share one domain id, so that a PASID may lead to one page table only (section 6.2.3.1).
    /// </summary>
    public override PasidScope VendorScope => PasidScope.System;
    public VtdCapabilities Capabilities { get; }

    /// <summary>PASID of requests without one.</summary>
    public Pasid RidPasid { get; }

    public InvalidationQueue Queue => _queue!;
    public FaultRecords Faults { get; }

    /// <summary>Address of the root table.</summary>
    public ulong Root => Contexts.Root;

    protected override long Commands => _queue?.Commands ?? 0;

    // Root and context tables; an index is a requester ID.
    private TwoLevelTable<RootLink> Contexts => _contexts!;

    /// <summary>Starts a unit.</summary>
    /// <returns>The unit; ENODEV (a capability is absent); EINVAL (an option); ENOMEM; ETIMEDOUT, EIO.</returns>
    public static OpResult<VtdUnit> Start(UnitSetup setup)
    {
        OpResult<OptionValues> options = s_options.Read(setup);
        if (!options.IsOk)
        {
            return OpResult<VtdUnit>.Refuse(options.Outcome);
        }

        var capabilities = new VtdCapabilities(
            setup.Hardware.Registers.Read64(VtdRegisters.CAP), setup.Hardware.Registers.Read64(VtdRegisters.ECAP));
        if (capabilities.Missing is { } missing)
        {
            return OpResult<VtdUnit>.Refuse(Errno.ENODEV, $"{setup.Name}: the hardware lacks {missing}");
        }

        var unit = new VtdUnit(setup, options.Value, capabilities);
        if (unit.RidPasid.Value != 0 && !capabilities.RidPasid)
        {
            return OpResult<VtdUnit>.Refuse(
                Errno.EINVAL,
                $"{setup.Name}: rid-pasid is {unit.RidPasid}, the hardware lacks ECAP.RPS and always uses 0");
        }

        OpResult result = unit.Start();
        return result.IsOk ? OpResult<VtdUnit>.Ok(unit) : OpResult<VtdUnit>.Refuse(result);
    }

    /// <summary>Lowest first over the whole system, as the Linux VT-d driver allocated from 2018 on.</summary>
    public override IPasidAllocator CreateAllocator(PasidRange range) => new LowestPasidAllocator(range);

    public override OpResult TakeFaults(ICollection<IommuFault> faults)
    {
        ArgumentNullException.ThrowIfNull(faults);
        return Faults.Take(faults);
    }

    protected override OpResult<VtdDomain> CreateDomain(int id, int pasidBits)
    {
        int hardwareBits = VtdTable.SizeOf(pasidBits) + ContextEntry.MinPasidBits;
        if (RidPasid.Value >> hardwareBits != 0)
        {
            return OpResult<VtdDomain>.Refuse(
                Errno.EINVAL, $"{Name}: rid-pasid {RidPasid} is beyond the {hardwareBits} bits of the PASID directory");
        }

        var domain = new VtdDomain(Memory, Queue, _command, Capabilities, RidPasid);
        OpResult created = domain.CreateTable(pasidBits);
        return created.IsOk ? OpResult<VtdDomain>.Ok(domain) : OpResult<VtdDomain>.Refuse(created);
    }
}
