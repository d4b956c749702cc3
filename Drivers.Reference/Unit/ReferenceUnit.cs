using System.Globalization;
using Microsoft.Extensions.Logging;
using PasidFramework.Allocation;
using PasidFramework.Contracts;
using PasidFramework.Drivers.Reference.Formats;
using PasidFramework.Drivers.Reference.Tables;
using PasidFramework.Engine;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace PasidFramework.Drivers.Reference.Unit;

/// <summary>
/// One unit: what the core asks for, in stores and commands. Every method stores first, then invalidates what the
/// hardware may have kept, in the order in which caches are filled: a later cache filled from an earlier one that still
/// held the old contents would keep them for good.
/// </summary>
internal sealed class ReferenceUnit : IIommuUnit
{
    // Marks a link whose process died and whose caches have all confirmed so.
    private static readonly object s_stopped = new();

    private readonly IIommuHardware _hardware;
    private readonly ILogger _logger;
    private readonly RegisterPort _port;
    private readonly LowestFirstAllocator _asids;
    private readonly HashSet<PasidTable> _tables = [];
    private readonly bool _hasAts;
    private readonly int _faultRecords;
    private readonly int _requesterBits;
    private readonly ulong _deviceTable;
    private bool _disposed;

    private ReferenceUnit(UnitSetup setup, UnitOptions options, RegisterPort port, ulong id, ulong deviceTable)
    {
        Name = setup.Name;
        PasidBits = Math.Min(setup.PasidBits, (int)id.Get(Id.PASIDBITS));
        _hardware = setup.Hardware;
        _logger = setup.Logger;
        _port = port;
        _asids = new LowestFirstAllocator(PasidRange.OfWidth((int)id.Get(Id.ASIDBITS)));
        _hasAts = id.Has(Id.ATS);
        _faultRecords = (int)id.Get(Id.FAULTS);
        _requesterBits = options.RequesterBits;
        _deviceTable = deviceTable;
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public int PasidBits { get; }

    /// <summary>None: a request without a PASID is a fault here, so that 0 is a number like any other.</summary>
    public IReadOnlyList<Pasid> ReservedPasids => [];

    /// <summary>A number means something in its table only, and a table belongs to a domain.</summary>
    public PasidScope VendorScope => PasidScope.Domain;

    /// <inheritdoc/>
    public UnitStatistics Statistics
    {
        get
        {
            lock (_tables)
            {
                return new UnitStatistics(_tables.Sum(t => t.Bytes), _tables.Sum(t => t.Leaves), _port.Commands);
            }
        }
    }

    /// <summary>Reads the capabilities, builds the device table, switches translation on.</summary>
    /// <returns>The unit; EINVAL (an option), ENODEV, ENOMEM, ETIMEDOUT: nothing is left behind, but where the hardware
    /// did not confirm that it is off, the device table is kept.</returns>
    public static OpResult<IIommuUnit> Start(UnitSetup setup)
    {
        OpResult<UnitOptions> options = UnitOptions.Read(setup.Options);
        if (!options.IsOk)
        {
            return OpResult<IIommuUnit>.Refuse(options.Outcome);
        }

        IIommuHardware hardware = setup.Hardware;
        ulong id = hardware.Registers.Read64(Registers.ID);
        if (id.Get(Id.VERSION) != Id.Version || id.Get(Id.PASIDBITS) > Pasid.MaxBits
            || id.Get(Id.ASIDBITS) is < 1 or > 16 || id.Get(Id.FAULTS) == 0)
        {
            return OpResult<IIommuUnit>.Refuse(
                Errno.ENODEV,
                Text($"{setup.Name}: ID 0x{id:x} is not that of a reference IOMMU, version {Id.Version}"));
        }

        // A boot loader may have left it on. Switching it off also empties every cache that is not a device's.
        var port = new RegisterPort(hardware.Registers, setup.Name, setup.Time, options.Value.Timeout);
        OpResult result = port.Switch(on: false);
        if (!result.IsOk)
        {
            return OpResult<IIommuUnit>.Refuse(result);
        }

        int bytes = TableBytes(options.Value.RequesterBits);
        OpResult<ulong> table = hardware.Memory.AllocatePages(bytes);
        if (!table.IsOk)
        {
            return OpResult<IIommuUnit>.Refuse(table.Outcome);
        }

        hardware.Memory.Publish(table.Value, bytes);
        hardware.Registers.Write64(
            Registers.DEVICE_TABLE,
            0UL.With(DeviceTable.LOG2, (ulong)options.Value.RequesterBits)
                .WithAddress(DeviceTable.BASE, table.Value));
        var unit = new ReferenceUnit(setup, options.Value, port, id, table.Value);
        result = port.Switch(on: true);
        if (!result.IsOk)
        {
            unit.Dispose();
            return OpResult<IIommuUnit>.Refuse(result);
        }

        return OpResult<IIommuUnit>.Ok(unit);
    }

    /// <summary>Lowest first: the shortest way to dense leaves, and the hardest on a forgotten invalidation.</summary>
    public IPasidAllocator CreateAllocator(PasidRange range) => new LowestFirstAllocator(range);

    /// <inheritdoc/>
    public OpResult AddDomain(Domain domain)
    {
        ArgumentNullException.ThrowIfNull(domain);
        if (domain.PasidBits > PasidBits)
        {
            return OpResult.Refuse(Errno.EINVAL, Text(
                $"{Name}: domain {domain.Name} wants PASIDs of {domain.PasidBits} bits, the unit has {PasidBits}"));
        }

        OpResult<PasidTable> table = PasidTable.Create(_hardware.Memory, domain.PasidBits);
        if (table.IsOk)
        {
            domain.DriverState = table.Value;
            lock (_tables)
            {
                _tables.Add(table.Value);
            }
        }

        return table.Outcome;
    }

    /// <inheritdoc/>
    public void RemoveDomain(Domain domain)
    {
        ArgumentNullException.ThrowIfNull(domain);
        PasidTable table = TableOf(domain);
        domain.DriverState = null;

        // The hardware may know entries by the table's address alone, and another table may get that address.
        OpResult result = _port.Run(Command.InvalidateTable(table.Root));
        if (table.MayBeWalked || !result.IsOk)
        {
            _logger.LogWarning("{Unit}: the table of {Domain} is kept: {Result}", Name, domain, result);
            return;
        }

        lock (_tables)
        {
            _tables.Remove(table);
        }

        table.Free();
    }

    /// <inheritdoc/>
    public OpResult AddDevice(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        PasidTable table = TableOf(device.Domain);
        if (device.Requester.Value >> _requesterBits != 0)
        {
            return OpResult.Refuse(
                Errno.EINVAL, Text($"{Name}: requester {device.Requester} is beyond {_requesterBits} bits"));
        }

        bool hasTlb = HasTlb(device);
        if (hasTlb && !_hasAts)
        {
            return OpResult.Refuse(Errno.EOPNOTSUPP, $"{Name}: {device} keeps translations, the hardware has no ATS");
        }

        ulong at = EntryOf(device.Requester);
        if (_hardware.Memory.ReadQword(at) != 0)
        {
            return OpResult.Refuse(Errno.EEXIST, $"{Name}: requester {device.Requester} has a device entry already");
        }

        OpResult result = SetEntry(device, 0UL
            .With(DeviceEntry.V, 1).With(DeviceEntry.ATS, hasTlb ? 1UL : 0)
            .With(DeviceEntry.WIDTH, (ulong)table.PasidBits).WithAddress(DeviceEntry.TABLE, table.Root));
        if (!result.IsOk)
        {
            ClearEntry(device, table);
        }
        else if (hasTlb)
        {
            table.DevicesWithTlb.Add(device.Requester);
        }

        return result;
    }

    /// <inheritdoc/>
    public void RemoveDevice(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        PasidTable table = TableOf(device.Domain);
        table.DevicesWithTlb.Remove(device.Requester);
        ClearEntry(device, table);
    }

    /// <summary>Takes an ASID: the tag by which all of the process's translations are told from others'.</summary>
    public OpResult<object?> AllocateProcess(IommuProcess process)
    {
        PasidAllocation taken = _asids.Allocate(new PasidRequest(_asids.Range));
        return taken.IsAllocated
            ? OpResult<object?>.Ok(new ProcessRecord(taken.Pasid))
            : OpResult<object?>.Refuse(
                Errno.ENOSPC, Text($"{Name}: all {_asids.Range.Count} ASIDs are in use, {process} gets none"));
    }

    /// <inheritdoc/>
    public void FreeProcess(IommuProcess process, object? driverProcess)
    {
        // The last detach of each link has emptied the caches of it. Where one did not confirm that, the ASID is given
        // up: the next process that had it could read the memory of this one.
        if (driverProcess is ProcessRecord { MayBeCached: false } record)
        {
            _asids.Free(record.Asid);
        }
    }

    /// <inheritdoc/>
    public OpResult Attach(IommuContext context, Device device, bool first)
    {
        ArgumentNullException.ThrowIfNull(context);

        // The table is the domain's, so a further device finds the entry there. Nothing to invalidate: a device keeps
        // translations only, never their absence.
        if (!first)
        {
            return OpResult.Ok;
        }

        PasidTable table = TableOf(context.Domain);
        OpResult<bool> installed = table.Install(
            context.Pasid, context.Process.PageTableRoot, RecordOf(context).Asid.Value);
        if (!installed.IsOk)
        {
            return installed.Outcome;
        }

        // The hardware may have kept that there was no entry; and no leaf, where there was none.
        OpResult result = _port.Run(
            Command.InvalidatePasid(table.Root, context.Pasid, leafOnly: !installed.Value));
        if (!result.IsOk)
        {
            Remove(context, table);
        }

        return result;
    }

    /// <inheritdoc/>
    public OpResult Detach(IommuContext context, Device device, bool last)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(device);
        PasidTable table = TableOf(context.Domain);
        return last ? Remove(context, table)
            : HasTlb(device) && !IsStopped(context)
                ? _port.Run(Command.InvalidateDeviceTlb(device.Requester, context.Pasid, PageRange.All))
                : OpResult.Ok;
    }

    /// <inheritdoc/>
    public OpResult Exit(IommuContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        PasidTable table = TableOf(context.Domain);
        table.Silence(context.Pasid);
        OpResult result = ForgetEntry(context, table);
        context.DriverState = result.IsOk ? s_stopped : null;
        return result;
    }

    /// <inheritdoc/>
    public OpResult Invalidate(IommuContext context, ulong start, ulong end)
    {
        ArgumentNullException.ThrowIfNull(context);
        PageRange range = PageRange.Cover(start, end);
        return range.Pages == 0 ? OpResult.Ok : ForgetTranslations(context, TableOf(context.Domain), range);
    }

    /// <inheritdoc/>
    public OpResult TakeFaults(ICollection<IommuFault> faults)
    {
        ArgumentNullException.ThrowIfNull(faults);
        IRegisterFile registers = _hardware.Registers;
        bool lost = false;

        // No more than there is room for: what arrives meanwhile is the next call's, or this one might never end.
        for (int i = 0; i < _faultRecords; i++)
        {
            ulong first = registers.Read64(Registers.FAULT_0);
            lost |= first.Has(FaultRecord.OVF);
            if (first.Has(FaultRecord.V))
            {
                faults.Add(Decode([first, registers.Read64(Registers.FAULT_1), registers.Read64(Registers.FAULT_2)]));
            }

            // What was seen is written back, so that an overflow since then stays for the next look.
            ulong seen = first & (FaultRecord.V.WordMask | FaultRecord.OVF.WordMask);
            if (seen == 0)
            {
                break;
            }

            registers.Write64(Registers.FAULT_0, seen);
        }

        return lost
            ? OpResult.Refuse(Errno.EOVERFLOW, $"{Name}: more faults than {_faultRecords} records, some were lost")
            : OpResult.Ok;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        OpResult result = _port.Switch(on: false);
        if (!result.IsOk)
        {
            _logger.LogWarning("{Unit}: {Result}; its tables are kept, it may walk them", Name, result);
            return;
        }

        lock (_tables)
        {
            foreach (PasidTable table in _tables)
            {
                table.Free();
            }

            _tables.Clear();
        }

        _hardware.Memory.FreePages(_deviceTable, TableBytes(_requesterBits));
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private static int TableBytes(int requesterBits) => DeviceEntry.SizeBytes << requesterBits;

    private static bool HasTlb(Device device) => (device.Features & DeviceFeatures.Ats) != 0;

    private static bool IsStopped(IommuContext context) => ReferenceEquals(context.DriverState, s_stopped);

    private static PasidTable TableOf(Domain domain) => domain.DriverState as PasidTable
        ?? throw new ArgumentException($"{domain} was not added to this unit.", nameof(domain));

    private static ProcessRecord RecordOf(IommuContext context) => context.DriverProcess as ProcessRecord
        ?? throw new ArgumentException($"{context.Process} was not allocated on this unit.", nameof(context));

    private static IommuFault Decode(ulong[] words)
    {
        int code = (int)words[0].Get(FaultRecord.CODE);
        return new IommuFault(
            new RequesterId((uint)words[2].Get(FaultRecord.REQUESTER)),
            words[0].Has(FaultRecord.P) ? new Pasid((uint)words[0].Get(FaultRecord.PASID)) : null,
            words[1],
            words[0].Has(FaultRecord.W),
            code,
            FaultCodes.Describe(code),
            words);
    }

    private ulong EntryOf(RequesterId requester) => _deviceTable + ((ulong)requester.Value * DeviceEntry.SizeBytes);

    // The entry first, then what was filled through it. A device that comes may bring translations from an earlier
    // life.
    private OpResult SetEntry(Device device, ulong entry)
    {
        ulong at = EntryOf(device.Requester);
        _hardware.Memory.WriteQword(at, entry);
        _hardware.Memory.Publish(at, DeviceEntry.SizeBytes);
        OpResult result = _port.Run(Command.InvalidateDevice(device.Requester));
        return result.IsOk && HasTlb(device)
            ? _port.Run(Command.InvalidateDeviceTlb(device.Requester))
            : result;
    }

    private void ClearEntry(Device device, PasidTable table)
    {
        OpResult result = SetEntry(device, 0);
        if (!result.IsOk)
        {
            table.MayBeWalked = true;
            _logger.LogWarning("{Unit}: removing {Device}: {Result}", Name, device, result);
        }
    }

    // Also how an attach is undone that the hardware did not confirm: it may have seen the entry.
    private OpResult Remove(IommuContext context, PasidTable table)
    {
        table.Clear(context.Pasid);

        // After an exit that was confirmed nobody holds a translation, and a quiet entry led to no new one.
        OpResult result = IsStopped(context)
            ? _port.Run(Command.InvalidatePasid(table.Root, context.Pasid, leafOnly: true))
            : ForgetEntry(context, table);
        context.DriverState = null;
        RecordOf(context).MayBeCached |= !result.IsOk;
        return result;
    }

    // D5: entry, then translations, then device TLBs. It ends at the first failure, since what follows could be filled
    // again from what did not answer.
    private OpResult ForgetEntry(IommuContext context, PasidTable table)
    {
        OpResult result = _port.Run(Command.InvalidatePasid(table.Root, context.Pasid, leafOnly: true));
        return result.IsOk ? ForgetTranslations(context, table, PageRange.All) : result;
    }

    private OpResult ForgetTranslations(IommuContext context, PasidTable table, PageRange range)
    {
        OpResult result = _port.Run(Command.InvalidateTranslations(RecordOf(context).Asid.Value, range));
        foreach (RequesterId requester in table.DevicesWithTlb)
        {
            result = result.IsOk
                ? _port.Run(Command.InvalidateDeviceTlb(requester, context.Pasid, range))
                : result;
        }

        return result;
    }

    /// <summary>What the unit keeps of a process.</summary>
    private sealed class ProcessRecord(Pasid asid)
    {
        /// <summary>Its ASID.</summary>
        public Pasid Asid { get; } = asid;

        /// <summary>Whether some cache did not confirm that it forgot the ASID.</summary>
        public bool MayBeCached { get; set; }
    }
}
