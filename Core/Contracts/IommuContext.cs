// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Contracts;

/// <summary>
/// The link between a process and a domain. Only the core makes one; it is the driver's to keep from its first
/// <see cref="IIommuUnit.Attach"/> to its last <see cref="IIommuUnit.Detach"/>, and another link's afterwards.
/// </summary>
public abstract class IommuContext
{
    // The engine uses a record again once nothing can refer to it: so most of it is set later than here.
    private protected IommuContext(IommuProcess process) => Process = process;
    public IommuProcess Process { get; }
    public Domain Domain { get; internal set; } = null!;

    /// <summary>The process's PASID in this domain: the index of its table entry.</summary>
    public Pasid Pasid { get; internal set; }

    /// <summary>What <see cref="IIommuUnit.AllocateProcess"/> returned for this process on this unit.</summary>
    public object? DriverProcess { get; internal set; }

    /// <summary>A place for the driver to keep its record of the link.</summary>
    public object? DriverState { get; set; }
}
