// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Allocation;
using PasidFramework.Drivers.Reference.Tables;

namespace PasidFramework.Drivers.Reference.Unit;

/// <summary>One unit: its device table, and switching it on and off.</summary>
internal sealed class ReferenceUnit : IommuUnit<ReferenceDomain, UnitDevice>
{
    private static readonly Option<int> s_requesterBits =
        Option.Number("requester-bits", 1, DeviceTable.MostLog2, DeviceTable.MostLog2);

    private static readonly Option<int> s_timeout = Option.Number("timeout-ms", 1, 60_000, 1000);
    private static readonly OptionSet s_options = new("reference", s_requesterBits, s_timeout);
    private readonly RegisterPort _port;
    private readonly LowestPasidAllocator _asids;
    private readonly bool _hasAts;
    private readonly int _faultRecords;
    private readonly int _requesterBits;
    private ulong _deviceTable;

    private ReferenceUnit(UnitSetup setup, OptionValues options, ulong id)
        : base(setup, (int)id.Get(Id.PASIDBITS))
    {
        var timeout = new PollTimeout(setup.Time, TimeSpan.FromMilliseconds(options.Get(s_timeout)));
        _port = new RegisterPort(Registers, setup.Name, timeout);
        _asids = new LowestPasidAllocator(PasidRange.OfWidth((int)id.Get(Id.ASIDBITS)));
        _hasAts = id.Has(Id.ATS);
        _faultRecords = (int)id.Get(Id.FAULTS);
        _requesterBits = options.Get(s_requesterBits);
    }

    protected override long Commands => _port.Commands;

    /// <summary>ASIDs: the tags by which a process's translations differ from others'.</summary>
    protected override IPasidAllocator Tags => _asids;

    /// <summary>A boot loader may have left it on. Switching it off also empties every cache that is not a
    /// device's.</summary>
    protected override IReadOnlyList<Func<OpResult>> StartSteps => [Stop, Build, () => _port.Switch(on: true)];

    /// <summary>Reads the capabilities, builds the device table, switches translation on.</summary>
    /// <returns>The unit; EINVAL (an option), ENODEV, ENOMEM, ETIMEDOUT: nothing is left behind, but where the hardware
    /// did not confirm that it is off, the device table is kept.</returns>
    public static OpResult<IIommuUnit> Start(UnitSetup setup)
    {
        OpResult<OptionValues> options = s_options.Read(setup);
        if (!options.IsOk)
        {
            return OpResult<IIommuUnit>.Refuse(options.Outcome);
        }

        ulong id = setup.Hardware.Registers.Read64(Formats.Registers.ID);
        if (id.Get(Id.VERSION) != Id.Version || id.Get(Id.PASIDBITS) > Pasid.MaxBits
            || id.Get(Id.ASIDBITS) is < 1 or > 16 || id.Get(Id.FAULTS) == 0)
        {
            return OpResult<IIommuUnit>.Refuse(
                Errno.ENODEV, $"{setup.Name}: ID 0x{id:x} is not that of a reference IOMMU, version {Id.Version}");
        }

        var unit = new ReferenceUnit(setup, options.Value, id);
        OpResult result = unit.Start();
        return result.IsOk ? OpResult<IIommuUnit>.Ok(unit) : OpResult<IIommuUnit>.Refuse(result);
    }

    /// <summary>Lowest first: the shortest way to dense leaves, and the hardest on a forgotten invalidation.</summary>
    public override IPasidAllocator CreateAllocator(PasidRange range) => new LowestPasidAllocator(range);

    public override OpResult TakeFaults(ICollection<IommuFault> faults)
    {
        ArgumentNullException.ThrowIfNull(faults);
        bool lost = false;

        // No more than there is room for: what arrives meanwhile is the next call's, or this one might never end.
        for (int i = 0; i < _faultRecords; i++)
        {
            ulong first = Registers.Read64(Formats.Registers.FAULT_0);
            lost |= first.Has(FaultRecord.OVF);
            if (first.Has(FaultRecord.V))
            {
                faults.Add(Decode(
                    [first, Registers.Read64(Formats.Registers.FAULT_1), Registers.Read64(Formats.Registers.FAULT_2)]));
            }

            // What was seen is written back, so that an overflow since then stays for the next read.
            ulong seen = first & (FaultRecord.V.WordMask | FaultRecord.OVF.WordMask);
            if (seen == 0)
            {
                break;
            }

            Registers.Write64(Formats.Registers.FAULT_0, seen);
        }

        return lost
            ? OpResult.Refuse(Errno.EOVERFLOW, $"{Name}: more faults than {_faultRecords} records, some were lost")
            : OpResult.Ok;
    }

    protected override OpResult Stop() => _port.Switch(on: false);

    protected override OpResult<ReferenceDomain> CreateDomain(int id, int pasidBits)
    {
        var domain = new ReferenceDomain(Memory, _port);
        OpResult created = domain.CreateTable(pasidBits);
        return created.IsOk ? OpResult<ReferenceDomain>.Ok(domain) : OpResult<ReferenceDomain>.Refuse(created);
    }

    /// <summary>The hardware may know entries by the table's address alone, and another table may get that
    /// address.</summary>
    protected override OpResult ReleaseDomain(ReferenceDomain domain) =>
        _port.Run(Command.InvalidateTable(domain.Table.Root));

    protected override OpResult<UnitDevice> CreateDevice(
        ReferenceDomain domain, RequesterId requester, DeviceFeatures features)
    {
        bool hasTlb = (features & DeviceFeatures.Ats) != 0;
        return requester.Value >> _requesterBits != 0
            ? OpResult<UnitDevice>.Refuse(
                Errno.EINVAL, $"{Name}: requester {requester} is beyond {_requesterBits} bits")
            : hasTlb && !_hasAts
                ? OpResult<UnitDevice>.Refuse(
                    Errno.EOPNOTSUPP, $"{Name}: {requester} keeps translations, the hardware has no ATS")
                : Memory.ReadQword(EntryOf(requester)) != 0
                    ? OpResult<UnitDevice>.Refuse(
                        Errno.EEXIST, $"{Name}: requester {requester} has a device entry already")
                    : OpResult<UnitDevice>.Ok(new UnitDevice(requester, hasTlb));
    }

    protected override OpResult Connect(ReferenceDomain domain, UnitDevice device) => StoreEntry(device, 0UL
        .With(DeviceEntry.V, 1).With(DeviceEntry.ATS, device.HasTlb ? 1UL : 0)
        .With(DeviceEntry.WIDTH, (ulong)domain.Table.PasidBits).WithAddress(DeviceEntry.TABLE, domain.Table.Root));

    protected override OpResult Disconnect(ReferenceDomain domain, UnitDevice device) => StoreEntry(device, 0);

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

    private OpResult Build()
    {
        OpResult<ulong> table = AllocatePages(DeviceEntry.SizeBytes << _requesterBits);
        if (table.IsOk)
        {
            _deviceTable = table.Value;
            Memory.StoreBarrier();
            Registers.Write64(
                Formats.Registers.DEVICE_TABLE,
                0UL.With(DeviceTable.LOG2, (ulong)_requesterBits).WithAddress(DeviceTable.BASE, _deviceTable));
        }

        return table.Outcome;
    }

    // The entry first, then what was filled through it. A device that comes may bring translations from an earlier
    // life.
    private OpResult StoreEntry(UnitDevice device, ulong entry)
    {
        ulong at = EntryOf(device.Requester);
        Memory.WriteQword(at, entry);
        Memory.Publish(at, DeviceEntry.SizeBytes);
        OpResult result = _port.Run(Command.InvalidateDevice(device.Requester));
        return result.IsOk && device.HasTlb ? _port.Run(Command.InvalidateDeviceTlb(device.Requester)) : result;
    }
}
