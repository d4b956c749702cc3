// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Unit;

/// <summary>What the units of all dialects have in common: a started device.</summary>
internal abstract class VirtioUnit<TDomain>(UnitSetup setup, StartedDevice device, int pasidBits)
    : IommuUnit<TDomain, UnitDevice>(setup, pasidBits)
    where TDomain : UnitDomain<UnitDevice>
{
    protected override long Commands => device.Requests.Sent;
    protected StartedDevice Device => device;

    /// <summary>None: the PASID width is asked of the device, which is started before its unit.</summary>
    protected override IReadOnlyList<Func<OpResult>> StartSteps => [];

    /// <summary>Lowest first, so that a domain fills the leaves of an attached table one after the other.</summary>
    public override IPasidAllocator CreateAllocator(PasidRange range) => new LowestPasidAllocator(range);

    public override OpResult TakeFaults(ICollection<IommuFault> faults) => device.TakeFaults(faults);

    /// <summary>Five seconds, or some millions of polls.</summary>
    protected static PollTimeout Timeout(TimeProvider time) => new(time, TimeSpan.FromSeconds(5), 4_000_000);

    protected override OpResult<UnitDevice> CreateDevice(
        TDomain domain, RequesterId requester, DeviceFeatures features) =>
        OpResult<UnitDevice>.Ok(new UnitDevice(requester, hasTlb: false));

    /// <summary>Nothing: an attach that was not answered may still come in, and the domain remembers so.</summary>
    protected override void RollBack(TDomain domain, UnitDevice device)
    {
    }

    protected override OpResult Stop() => device.Stop();
    protected override void Free() => device.Free();
}
