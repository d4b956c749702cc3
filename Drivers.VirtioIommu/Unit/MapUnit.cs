using System.Globalization;
using PasidFramework.Allocation;
using PasidFramework.Contracts;
using PasidFramework.Drivers.VirtioIommu.Queues;
using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace PasidFramework.Drivers.VirtioIommu.Unit;

/// <summary>
/// One virtio-iommu device under the standard alone (dialect <c>map</c>): no PASID reaches the device. A process is
/// shared with the devices of a domain by mapping every page of its page table; the number is a label.
/// </summary>
internal sealed class MapUnit : IIommuUnit
{
    private const int PageLog2 = 12;

    private readonly StartedDevice _device;
    private readonly IPageTableFormat _format;

    private MapUnit(StartedDevice device, IPageTableFormat format, int pasidBits)
    {
        _device = device;
        _format = format;
        PasidBits = pasidBits;
    }

    /// <inheritdoc/>
    public string Name => _device.Name;

    /// <summary>The limit of the setup: the device never sees a number.</summary>
    public int PasidBits { get; }

    /// <summary>None: requests carry no number, so none of them means anything else.</summary>
    public IReadOnlyList<Pasid> ReservedPasids => [];

    /// <inheritdoc/>
    public PasidScope VendorScope => PasidScope.Domain;

    /// <summary>The mappings are the device's: there are no tables in memory.</summary>
    public UnitStatistics Statistics => new(0, 0, _device.Requests.Sent);

    /// <summary>Lowest first, as the other dialects.</summary>
    public IPasidAllocator CreateAllocator(PasidRange range) => new LowestPasidAllocator(range);

    /// <summary>Starts a unit.</summary>
    /// <param name="setup">Hardware and limits.</param>
    /// <param name="pages">Name of the page tables that processes have.</param>
    /// <param name="format">Reads them; null where no plug-in exports it.</param>
    /// <param name="timeout">When the device counts as stuck; null for the default.</param>
    /// <returns>The unit; ENODEV, ENOMEM, EINVAL, ETIMEDOUT.</returns>
    public static OpResult<IIommuUnit> Start(
        UnitSetup setup, string pages, IPageTableFormat? format, PollTimeout? timeout = null)
    {
        if (setup.PasidBits is < 1 or > Pasid.MaxBits)
        {
            return Refuse(
                setup, Errno.EINVAL, $"PASID width limit {setup.PasidBits}, allowed are 1 to {Pasid.MaxBits}");
        }

        // A format that is there and cannot be read back is as good as none.
        if (format?.Mappings(setup.Hardware.Memory, 0, 0, 0) is null)
        {
            string plugin = pages == UnitOptions.Arm ? "arm-smmu" : "intel-vtd";
            return OpResult<IIommuUnit>.Refuse(
                Errno.ENODEV,
                $"virtio-iommu {setup.Name}: dialect map reads page tables in the format '{pages}', and no loaded plug-in "
                + $"exports one that can be read; the {plugin} plug-in does: put it beside this one, or set the option "
                + UnitOptions.PagesName);
        }

        OpResult<StartedDevice> started = StartedDevice.Start(
            setup.Name, setup.Hardware, null, setup.Logger, timeout ?? PollTimeout.Default(setup.Time));
        if (!started.IsOk)
        {
            return OpResult<IIommuUnit>.Refuse(started.Outcome);
        }

        StartedDevice device = started.Value;
        OpResult<IIommuUnit>? refusal = !device.HasMap
            ? Refuse(setup, Errno.ENODEV, $"the device does not offer VIRTIO_IOMMU_F_MAP_UNMAP (bit 2)")
            : device.Config.GranuleLog2 > PageLog2
                ? Refuse(
                    setup,
                    Errno.ENODEV,
                    $"page_size_mask 0x{device.Config.PageSizeMask:x} has no page of 4096 bytes or less")
                : null;
        if (refusal is not null)
        {
            device.Dispose();
            return refusal.Value;
        }

        return OpResult<IIommuUnit>.Ok(new MapUnit(device, format, setup.PasidBits));
    }

    /// <inheritdoc/>
    public OpResult AddDomain(Domain domain)
    {
        OpResult<MappedDomain> created = CreateDomain(domain.Id, domain.PasidBits);
        if (created.IsOk)
        {
            domain.DriverState = created.Value;
        }

        return created.Outcome;
    }

    /// <summary>Nothing is left of a domain without endpoints.</summary>
    public void RemoveDomain(Domain domain) => domain.DriverState = null;

    /// <inheritdoc/>
    public OpResult AddDevice(Device device) => StateOf(device.Domain).AddEndpoint(device.Requester.Value);

    /// <inheritdoc/>
    public void RemoveDevice(Device device)
    {
        OpResult removed = StateOf(device.Domain).RemoveEndpoint(device.Requester.Value);
        if (!removed.IsOk)
        {
            _device.Warn($"{device} may still be in its domain, which gets no process any more: {removed.Reason}");
        }
    }

    /// <inheritdoc/>
    public OpResult Attach(IommuContext context, Device device, bool first) => first
        ? StateOf(context.Domain).Attach(context.Pasid, context.Process.PageTableRoot)
        : OpResult.Ok;

    /// <inheritdoc/>
    public OpResult Detach(IommuContext context, Device device, bool last) =>
        last ? StateOf(context.Domain).Detach() : OpResult.Ok;

    /// <inheritdoc/>
    public OpResult Exit(IommuContext context) => StateOf(context.Domain).Exit();

    /// <inheritdoc/>
    public OpResult Invalidate(IommuContext context, ulong start, ulong end) =>
        StateOf(context.Domain).Invalidate(start, end);

    /// <inheritdoc/>
    public OpResult TakeFaults(ICollection<IommuFault> faults) => _device.TakeFaults(faults);

    /// <summary>Resets the device, which forgets every domain, and frees the queues.</summary>
    public void Dispose() => _device.Dispose();

    /// <summary>Makes a domain.</summary>
    /// <param name="domainId">The core's number of the domain, from 1.</param>
    /// <param name="pasidBits">Width in bits.</param>
    /// <returns>The domain; EINVAL, ENOSPC.</returns>
    internal OpResult<MappedDomain> CreateDomain(int domainId, int pasidBits)
    {
        if (pasidBits < 1 || pasidBits > PasidBits)
        {
            return OpResult<MappedDomain>.Refuse(Errno.EINVAL, string.Create(
                CultureInfo.InvariantCulture,
                $"virtio-iommu {Name}: a domain of {pasidBits} PASID bits, this unit has 1 to {PasidBits}"));
        }

        OpResult<uint> number = VirtioIommuUnit.DomainNumber(
            _device.Config.DomainFirst, _device.Config.DomainLast, domainId);
        return number.IsOk
            ? OpResult<MappedDomain>.Ok(new MappedDomain(_device, _format, number.Value))
            : OpResult<MappedDomain>.Refuse(number.Outcome);
    }

    private static MappedDomain StateOf(Domain domain) => domain.DriverState as MappedDomain
        ?? throw new ArgumentException($"{domain} is not a domain of this unit.", nameof(domain));

    private static OpResult<IIommuUnit> Refuse(UnitSetup setup, Errno errno, FormattableString why) =>
        OpResult<IIommuUnit>.Refuse(
            errno, $"virtio-iommu {setup.Name}: {why.ToString(CultureInfo.InvariantCulture)}");
}
