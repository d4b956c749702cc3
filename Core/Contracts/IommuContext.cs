// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Contracts;

/// <summary>The link between a process and a domain. Only the core makes one.</summary>
public abstract class IommuContext
{
    private protected IommuContext(IommuProcess process, Domain domain, Pasid pasid, object? driverProcess)
    {
        Process = process;
        Domain = domain;
        Pasid = pasid;
        DriverProcess = driverProcess;
    }

    public IommuProcess Process { get; }
    public Domain Domain { get; }

    /// <summary>The process's PASID in this domain: the index of its table entry.</summary>
    public Pasid Pasid { get; }

    /// <summary>What <see cref="IIommuUnit.AllocateProcess"/> returned for this process on this unit.</summary>
    public object? DriverProcess { get; }

    /// <summary>A place for the driver to keep its record of the link.</summary>
    public object? DriverState { get; set; }
}
