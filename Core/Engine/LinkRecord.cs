// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Engine;

/// <summary>
/// A link between a process and a domain with a record for every device that uses it (in 2017 it had only a count,
/// defect B4).
/// </summary>
internal sealed class LinkRecord : IommuContext
{
    private DeviceRecord[] _devices = [];

    public LinkRecord(DomainRecord domain, PasidLease lease, object? driverProcess)
        : base(lease.Process, domain, lease.Pasid, driverProcess)
    {
        Domain = domain;
        Lease = lease;
    }

    public new DomainRecord Domain { get; }
    public new ProcessRecord Process => Lease.Process;
    public PasidLease Lease { get; }

    /// <summary>
    /// Devices that are attached; exchanged whole, under the domain's gate, so that the fault path reads it without
    /// one.
    /// </summary>
    public DeviceRecord[] Devices
    {
        get => Volatile.Read(ref _devices);
        set => Volatile.Write(ref _devices, value);
    }
}
