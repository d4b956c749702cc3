using PasidFramework.Contracts;
using PasidFramework.Identifiers;

namespace PasidFramework.Engine;

/// <summary>
/// The link between a process and a domain, with a record for every device that uses it (in 2017 it had only a count,
/// defect B4).
/// </summary>
public sealed class IommuContext
{
    private Device[] _devices = [];

    internal IommuContext(IommuProcess process, Domain domain, PasidLease lease, object? driverProcess)
    {
        Process = process;
        Domain = domain;
        Lease = lease;
        DriverProcess = driverProcess;
    }

    /// <summary>The process.</summary>
    public IommuProcess Process { get; }

    /// <summary>The domain.</summary>
    public Domain Domain { get; }

    /// <summary>The process's number in this domain: the index of its table entry.</summary>
    public Pasid Pasid => Lease.Pasid;

    /// <summary>What <see cref="IIommuUnit.AllocateProcess"/> returned for this process on this unit.</summary>
    public object? DriverProcess { get; }

    /// <summary>A place for the driver to keep its record of the link.</summary>
    public object? DriverState { get; set; }

    internal PasidLease Lease { get; }

    /// <summary>
    /// Devices that are attached; exchanged whole, under the domain's gate, so that the fault path reads it without one.
    /// </summary>
    internal Device[] Devices
    {
        get => Volatile.Read(ref _devices);
        set => Volatile.Write(ref _devices, value);
    }
}
