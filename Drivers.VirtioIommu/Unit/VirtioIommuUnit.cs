using System.Globalization;
using PasidFramework.Allocation;
using PasidFramework.Contracts;
using PasidFramework.Drivers.VirtioIommu.Dialects;
using PasidFramework.Drivers.VirtioIommu.Queues;
using PasidFramework.Drivers.VirtioIommu.Tables;
using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace PasidFramework.Drivers.VirtioIommu.Unit;

/// <summary>
/// One virtio-iommu device under its driver. It turns the core's objects into numbers; the work is done by
/// <see cref="DomainTable"/> and <see cref="StartedDevice"/>.
/// </summary>
internal sealed class VirtioIommuUnit : IIommuUnit
{
    // CD 0 of an attached table serves requests without a PASID (S1DSS = 2, Arm IHI 0070 section 5.2).
    private static readonly Pasid[] s_reserved = [new(0)];

    private readonly StartedDevice _device;
    private readonly IPasidTableFormat? _format;
    private readonly string _noPasids;
    private readonly AsidAllocator _asids;
    private readonly List<DomainTable> _tables = [];
    private SpinGate _tablesGate;

    private VirtioIommuUnit(
        StartedDevice device, IPasidTableFormat? format, int pasidBits, int asidBits, string noPasids)
    {
        _device = device;
        _format = format;
        PasidBits = pasidBits;
        _asids = new AsidAllocator(asidBits);
        _noPasids = noPasids;
    }

    /// <inheritdoc/>
    public string Name => _device.Name;

    /// <inheritdoc/>
    public int PasidBits { get; }

    /// <inheritdoc/>
    public IReadOnlyList<Pasid> ReservedPasids => s_reserved;

    /// <inheritdoc/>
    public PasidScope VendorScope => PasidScope.Domain;

    /// <summary>Lowest first, so that a domain fills the leaves of the attached table one after the other.</summary>
    public IPasidAllocator CreateAllocator(PasidRange range) => new LowestPasidAllocator(range);

    /// <inheritdoc/>
    public UnitStatistics Statistics
    {
        get
        {
            long bytes = 0;
            int leaves = 0;
            _tablesGate.Enter();
            foreach (DomainTable table in _tables)
            {
                bytes += table.TableBytes;
                leaves += table.Leaves;
            }

            _tablesGate.Exit();
            return new UnitStatistics(bytes, leaves, _device.Requests.Sent);
        }
    }

    /// <summary>ASIDs that are handed out; for tests.</summary>
    internal int LiveAsids => _asids.LiveCount;

    /// <summary>Starts a unit.</summary>
    /// <param name="setup">Hardware and limits.</param>
    /// <param name="format">The SMMUv3 table writer; null where no plug-in exports it.</param>
    /// <param name="timeout">When the device counts as stuck; null for the default.</param>
    /// <returns>The unit; ENODEV, ENOMEM, EINVAL, ETIMEDOUT.</returns>
    public static OpResult<IIommuUnit> Start(
        UnitSetup setup, IPasidTableFormat? format, PollTimeout? timeout = null)
    {
        OpResult<UnitOptions> options = UnitOptions.Parse(setup.Options);
        if (!options.IsOk)
        {
            return OpResult<IIommuUnit>.Refuse(options.Outcome);
        }

        if (setup.PasidBits is < 1 or > Pasid.MaxBits)
        {
            return OpResult<IIommuUnit>.Refuse(Errno.EINVAL, string.Create(
                CultureInfo.InvariantCulture,
                $"virtio-iommu {setup.Name}: PASID width limit {setup.PasidBits}, allowed are 1 to {Pasid.MaxBits}"));
        }

        TableDialect? dialect = options.Value.Dialect;
        if (dialect is not null && format is null)
        {
            return OpResult<IIommuUnit>.Refuse(
                Errno.ENODEV,
                $"virtio-iommu {setup.Name}: dialect {dialect.Name} attaches PASID tables in the format "
                + $"'{VirtioIommuDriver.TableFormatName}', and no loaded plug-in exports that format; the arm-smmu "
                + "plug-in does: put it beside this one, or set the option dialect = none");
        }

        OpResult<StartedDevice> started = StartedDevice.Start(
            setup.Name, setup.Hardware, dialect, setup.Logger, timeout ?? PollTimeout.Default(setup.Time));
        if (!started.IsOk)
        {
            return OpResult<IIommuUnit>.Refuse(started.Outcome);
        }

        OpResult<Width> width = FindWidth(setup, started.Value, options.Value);
        if (!width.IsOk)
        {
            started.Value.Dispose();
            return OpResult<IIommuUnit>.Refuse(width.Outcome);
        }

        Width found = width.Value;
        return OpResult<IIommuUnit>.Ok(
            new VirtioIommuUnit(started.Value, format, found.PasidBits, found.AsidBits, found.WhyNone));
    }

    /// <inheritdoc/>
    public OpResult AddDomain(Domain domain)
    {
        OpResult<DomainTable> table = CreateTable(domain.Id, domain.PasidBits);
        if (table.IsOk)
        {
            domain.DriverState = table.Value;
        }

        return table.Outcome;
    }

    /// <inheritdoc/>
    public void RemoveDomain(Domain domain)
    {
        if (domain.DriverState is DomainTable table)
        {
            domain.DriverState = null;
            RemoveTable(table);
        }
    }

    /// <inheritdoc/>
    public OpResult AddDevice(Device device) => PasidBits == 0
        ? NoPasids()
        : TableOf(device.Domain).AddEndpoint(device.Requester.Value);

    /// <inheritdoc/>
    public void RemoveDevice(Device device)
    {
        OpResult removed = TableOf(device.Domain).RemoveEndpoint(device.Requester.Value);
        if (!removed.IsOk)
        {
            _device.Warn($"{device} may still use its domain's table, which is kept until a reset: {removed.Reason}");
        }
    }

    /// <inheritdoc/>
    public OpResult<object?> AllocateProcess(IommuProcess process) => TakeAsid();

    /// <inheritdoc/>
    public void FreeProcess(IommuProcess process, object? driverProcess) => GiveAsid(driverProcess);

    /// <inheritdoc/>
    public OpResult Attach(IommuContext context, Device device, bool first)
    {
        if (PasidBits == 0)
        {
            return NoPasids();
        }

        // The device walks the domain's table already; a further one of the same link needs nothing of its own.
        return first
            ? TaintIfUnconfirmed(context, TableOf(context.Domain).Install(
                context.Pasid, context.Process.PageTableRoot, AsidOf(context)))
            : OpResult.Ok;
    }

    /// <inheritdoc/>
    public OpResult Detach(IommuContext context, Device device, bool last)
    {
        DomainTable table = TableOf(context.Domain);
        if (last)
        {
            return TaintIfUnconfirmed(context, table.Remove(context.Pasid, AsidOf(context)));
        }

        table.ReleaseEndpoint(context.Pasid, device.Requester.Value);
        return OpResult.Ok;
    }

    /// <inheritdoc/>
    public OpResult Exit(IommuContext context) =>
        TaintIfUnconfirmed(context, TableOf(context.Domain).Quiet(context.Pasid, AsidOf(context)));

    /// <inheritdoc/>
    public OpResult Invalidate(IommuContext context, ulong start, ulong end) =>
        TaintIfUnconfirmed(context, TableOf(context.Domain).Invalidate(context.Pasid, AsidOf(context), start, end));

    /// <inheritdoc/>
    public OpResult TakeFaults(ICollection<IommuFault> faults) => _device.TakeFaults(faults);

    /// <summary>Resets the device, then frees the tables and queues.</summary>
    public void Dispose()
    {
        // A table of a domain that was not removed goes to the orphans: it is freed after the reset.
        foreach (DomainTable table in _tables)
        {
            table.Abandon();
        }

        _tables.Clear();
        _device.Dispose();
    }

    /// <summary>Builds a domain's table.</summary>
    /// <param name="domainId">The core's number of the domain, from 1.</param>
    /// <param name="pasidBits">Width in bits.</param>
    internal OpResult<DomainTable> CreateTable(int domainId, int pasidBits)
    {
        if (PasidBits == 0 || _format is null)
        {
            return OpResult<DomainTable>.Refuse(NoPasids());
        }

        if (pasidBits < 1 || pasidBits > PasidBits)
        {
            return OpResult<DomainTable>.Refuse(Errno.EINVAL, string.Create(
                CultureInfo.InvariantCulture,
                $"virtio-iommu {Name}: a PASID table of {pasidBits} bits, this unit has 1 to {PasidBits}"));
        }

        OpResult<uint> number = DomainNumber(_device.Config.DomainFirst, _device.Config.DomainLast, domainId);
        if (!number.IsOk)
        {
            return OpResult<DomainTable>.Refuse(number.Outcome);
        }

        OpResult<DomainTable> table = DomainTable.Create(_device, _format, number.Value, pasidBits);
        if (table.IsOk)
        {
            _tablesGate.Enter();
            _tables.Add(table.Value);
            _tablesGate.Exit();
        }

        return table;
    }

    /// <summary>Frees a domain's table.</summary>
    internal void RemoveTable(DomainTable table)
    {
        _tablesGate.Enter();
        bool live = _tables.Remove(table);
        _tablesGate.Exit();

        // After the unit's own end the table is gone already.
        if (live)
        {
            table.Dispose();
        }
    }

    /// <summary>
    /// The device's number for a domain of the core: the same one where the device's range allows it.
    /// </summary>
    /// <param name="first">First number that the device allows.</param>
    /// <param name="last">Last number that the device allows.</param>
    /// <param name="domainId">The core's number, from 1.</param>
    /// <returns>The number; ENOSPC beyond the device's range.</returns>
    internal static OpResult<uint> DomainNumber(uint first, uint last, int domainId)
    {
        ulong number = Math.Max(first, 1UL) + (ulong)(domainId - 1);
        return number <= last
            ? OpResult<uint>.Ok((uint)number)
            : OpResult<uint>.Refuse(Errno.ENOSPC, string.Create(
                CultureInfo.InvariantCulture,
                $"virtio-iommu: domain {number} is beyond the device's domain_range [{first}, {last}]"));
    }

    /// <summary>Takes an ASID for a process.</summary>
    internal OpResult<object?> TakeAsid()
    {
        int asid = _asids.Allocate();
        return asid != 0
            ? OpResult<object?>.Ok(new ProcessRecord((uint)asid))
            : OpResult<object?>.Refuse(Errno.ENOSPC, string.Create(
                CultureInfo.InvariantCulture, $"virtio-iommu {Name}: all ASIDs from 1 to {_asids.Last} are in use"));
    }

    /// <summary>Gives a process's ASID back.</summary>
    /// <remarks>Not where an invalidation did not complete: the device may still hold translations tagged with
    /// it.</remarks>
    internal void GiveAsid(object? driverProcess)
    {
        var record = (ProcessRecord)driverProcess!;
        if (!record.IsTainted)
        {
            _asids.Free((int)record.Asid);
        }
    }

    private static DomainTable TableOf(Domain domain) => domain.DriverState as DomainTable
        ?? throw new ArgumentException($"{domain} is not a domain of this unit.", nameof(domain));

    private static uint AsidOf(IommuContext context) => ((ProcessRecord)context.DriverProcess!).Asid;

    private static OpResult<Width> FindWidth(UnitSetup setup, StartedDevice device, UnitOptions options)
    {
        if (device.Dialect is not { } dialect)
        {
            return OpResult<Width>.Ok(new Width(0, 16, options.Dialect is null
                ? "the option dialect is none"
                : $"the device does not offer the feature of dialect {options.Dialect.Name}"));
        }

        if (!device.HasProbe)
        {
            return OpResult<Width>.Ok(dialect.PropertiesRequired
                ? new Width(0, 16, "the device has no PROBE, by which it would name its PASID width")
                : new Width(setup.PasidBits, 16, string.Empty));
        }

        OpResult<EndpointProperties> probed = device.Probe(options.ProbeEndpoint);
        if (probed.Errno == Errno.ENOENT)
        {
            // That endpoint does not exist. Every device is asked for itself when it is added.
            return OpResult<Width>.Ok(new Width(setup.PasidBits, 16, string.Empty));
        }

        if (!probed.IsOk)
        {
            return OpResult<Width>.Refuse(probed.Outcome);
        }

        int? bits = probed.Value.PasidBits ?? (dialect.PropertiesRequired ? 0 : setup.PasidBits);
        return OpResult<Width>.Ok(new Width(
            Math.Min(setup.PasidBits, bits.Value),
            probed.Value.AsidBits ?? 16,
            string.Create(
                CultureInfo.InvariantCulture,
                $"endpoint 0x{options.ProbeEndpoint:x}, which was asked, names no PASID width")));
    }

    private OpResult NoPasids() => OpResult.Refuse(
        Errno.EOPNOTSUPP,
        $"virtio-iommu {Name} has no PASIDs: the standard has none, and {_noPasids}; proposals that have them are "
        + "dialect B (feature bit 5) and E (feature bit 7)");

    // Remembers that the device did not confirm: then the ASID is never handed out again.
    private static OpResult TaintIfUnconfirmed(IommuContext context, OpResult result)
    {
        if (result.Errno is Errno.EIO or Errno.ETIMEDOUT)
        {
            ((ProcessRecord)context.DriverProcess!).IsTainted = true;
        }

        return result;
    }

    private sealed class ProcessRecord(uint asid)
    {
        public uint Asid => asid;

        public bool IsTainted { get; set; }
    }

    private readonly record struct Width(int PasidBits, int AsidBits, string WhyNone);
}
