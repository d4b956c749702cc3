// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Drivers.VirtioIommu.Tables;

namespace PasidFramework.Drivers.VirtioIommu.Unit;

/// <summary>One virtio-iommu device under its driver. It turns the core's objects into numbers; the work is done by
/// <see cref="DomainTable"/> and <see cref="StartedDevice"/>.</summary>
internal sealed class VirtioIommuUnit : VirtioUnit<DomainTable>
{
    // CD 0 of an attached table serves requests without a PASID (S1DSS = 2, Arm IHI 0070 section 5.2).
    private static readonly Pasid[] s_reserved = [new(0)];
    private readonly IPasidTableFormat? _format;
    private readonly string _noPasids;
    private readonly LowestPasidAllocator _asids;

    private VirtioIommuUnit(UnitSetup setup, StartedDevice device, IPasidTableFormat? format, in Width width)
        : base(setup, device, width.PasidBits)
    {
        _format = format;
        _asids = new LowestPasidAllocator(new PasidRange(1, (1u << width.AsidBits) - 1));
        _noPasids = width.WhyNone;
    }

    public override IReadOnlyList<Pasid> ReservedPasids => s_reserved;

    /// <summary>ASIDs that are handed out; for tests.</summary>
    internal int LiveAsids => _asids.LiveCount;

    protected override IPasidAllocator Tags => _asids;

    /// <param name="format">The SMMUv3 table writer; null where no plug-in exports it.</param>
    /// <param name="timeout">When the device counts as stuck; null for the default.</param>
    /// <returns>The unit; ENODEV, ENOMEM, EINVAL, ETIMEDOUT.</returns>
    public static OpResult<IIommuUnit> Start(
        UnitSetup setup, IPasidTableFormat? format, PollTimeout? timeout = null)
    {
        OpResult<UnitOptions> options = UnitOptions.Read(setup);
        if (!options.IsOk)
        {
            return OpResult<IIommuUnit>.Refuse(options.Outcome);
        }

        TableDialect? dialect = options.Value.Dialect;
        if (dialect is not null && format is null)
        {
            return OpResult<IIommuUnit>.Refuse(Errno.ENODEV,
                $"virtio-iommu {setup.Name}: dialect {dialect.Name} attaches PASID tables in the format "
                + $"'{VirtioIommuDriver.TableFormatName}', and no loaded plug-in exports that format; the arm-smmu "
                + "plug-in does: put it beside this one, or set the option dialect = none");
        }

        OpResult<StartedDevice> started = StartedDevice.Start(
            setup.Name, setup.Hardware, dialect, setup.Logger, timeout ?? Timeout(setup.Time));
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

        return OpResult<IIommuUnit>.Ok(new VirtioIommuUnit(setup, started.Value, format, width.Value));
    }

    public override OpResult<DomainTable> AddDomain(int id, int pasidBits) => PasidBits != 0 && _format is not null
        ? base.AddDomain(id, pasidBits)
        : OpResult<DomainTable>.Refuse(Errno.EOPNOTSUPP,
            $"virtio-iommu {Name} has no PASIDs: the standard has none, and {_noPasids}; proposals that have them are "
            + "dialect v0.9-devel (feature bit 5) and vsmmu (feature bit 7)");

    protected override OpResult<DomainTable> CreateDomain(int id, int pasidBits)
    {
        OpResult<uint> number = Device.Config.DomainNumber(id);
        return number.IsOk
            ? DomainTable.Create(Device, _format!, number.Value, pasidBits)
            : OpResult<DomainTable>.Refuse(number.Outcome);
    }

    protected override OpResult Connect(DomainTable domain, UnitDevice device) =>
        domain.AddEndpoint(device.Requester.Value);

    protected override OpResult Disconnect(DomainTable domain, UnitDevice device) =>
        domain.RemoveEndpoint(device.Requester.Value);

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
            Text($"endpoint 0x{options.ProbeEndpoint:x}, which was asked, names no PASID width")));
    }

    private readonly record struct Width(int PasidBits, int AsidBits, string WhyNone);
}
