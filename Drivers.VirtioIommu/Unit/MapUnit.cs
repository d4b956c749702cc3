// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Unit;

/// <summary>One virtio-iommu device under the standard alone (dialect <c>map</c>): no PASID reaches the device. A
/// process is shared with the devices of a domain by mapping every page of its page table; the number is a
/// label.</summary>
internal sealed class MapUnit : VirtioUnit<MappedDomain>
{
    private const int PageLog2 = 12;
    private readonly IPageTableFormat _format;

    private MapUnit(UnitSetup setup, StartedDevice device, IPageTableFormat format)
        : base(setup, device, setup.PasidBits) => _format = format;

    /// <param name="format">Reads the page tables that processes have.</param>
    /// <param name="timeout">When the device counts as stuck; null for the default.</param>
    /// <returns>The unit; ENODEV, ENOMEM, EINVAL, ETIMEDOUT.</returns>
    public static OpResult<IIommuUnit> Start(UnitSetup setup, IPageTableFormat format, PollTimeout? timeout = null)
    {
        OpResult<StartedDevice> started = StartedDevice.Start(
            setup.Name, setup.Hardware, null, setup.Logger, timeout ?? Timeout(setup.Time));
        if (!started.IsOk)
        {
            return OpResult<IIommuUnit>.Refuse(started.Outcome);
        }

        StartedDevice device = started.Value;
        OpResult<IIommuUnit>? refusal = !device.HasMap
            ? Refuse(setup, Errno.ENODEV, $"the device does not offer VIRTIO_IOMMU_F_MAP_UNMAP (bit 2)")
            : device.Config.GranuleLog2 > PageLog2
                ? Refuse(setup, Errno.ENODEV,
                    $"page_size_mask 0x{device.Config.PageSizeMask:x} has no page of 4096 bytes or less")
                : null;
        if (refusal is not null)
        {
            device.Dispose();
            return refusal.Value;
        }

        return OpResult<IIommuUnit>.Ok(new MapUnit(setup, device, format));
    }

    protected override OpResult<MappedDomain> CreateDomain(int id, int pasidBits)
    {
        OpResult<uint> number = Device.Config.DomainNumber(id);
        return number.IsOk
            ? OpResult<MappedDomain>.Ok(new MappedDomain(Device, _format, number.Value))
            : OpResult<MappedDomain>.Refuse(number.Outcome);
    }

    protected override OpResult Connect(MappedDomain domain, UnitDevice device) =>
        domain.AddEndpoint(device.Requester.Value);

    protected override OpResult Disconnect(MappedDomain domain, UnitDevice device) =>
        domain.RemoveEndpoint(device.Requester.Value);

    private static OpResult<IIommuUnit> Refuse(UnitSetup setup, Errno errno, InvariantText why) =>
        OpResult<IIommuUnit>.Refuse(errno, $"virtio-iommu {setup.Name}: {Text(why)}");
}
