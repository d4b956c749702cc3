// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Contracts;

/// <summary>
/// One piece of IOMMU hardware under its driver: the operations that the 2017 series adds to an IOMMU driver, with
/// their promises, plus what a plug-in framework needs to know beforehand.
/// </summary>
/// <remarks>
/// <para><b>Promises of the core.</b> <see cref="Attach"/>, <see cref="Detach"/>, <see cref="Exit"/> and
/// <see cref="Invalidate"/>, <see cref="AddDevice"/> and <see cref="RemoveDevice"/> are never called concurrently for
/// one domain; different domains may run at once. For each
/// process and unit: <see cref="AllocateProcess"/> once, before the first attach; <see cref="FreeProcess"/> once, after
/// the last detach and a grace period. For each link of process and domain: <c>Attach(first: true)</c> once and first,
/// <c>Detach(last: true)</c> once and last, and as many detaches as successful attaches.</para>
/// <para><b>Promises of the driver.</b> Attach, Detach, Exit, Invalidate, FreeProcess, AddDevice and RemoveDevice do
/// not block and do not call back into the core. When Detach or Exit returns success, every cache that could hold the
/// entry has been invalidated and has answered, and the unit's own queues hold no request of it.</para>
/// <para>Sources: RFCv2 01/36 (2017) commit message; invariants C3-C6, C10-C14, C19, D1-D13.</para>
/// </remarks>
public interface IIommuUnit : IDisposable
{
    /// <summary>The unit's name.</summary>
    string Name { get; }

    /// <summary>PASID width that unit and hardware support together, in bits; 0 means no PASIDs at all.</summary>
    int PasidBits { get; }

    /// <summary>
    /// PASIDs that may never be allocated for a process here: 0 where it tags requests without a PASID, RID_PASID.
    /// </summary>
    IReadOnlyList<Pasid> ReservedPasids { get; }

    /// <summary>How far a PASID reaches when this driver owns the PASIDs.</summary>
    PasidScope VendorScope { get; }

    /// <summary>What it holds and has done.</summary>
    UnitStatistics Statistics { get; }

    /// <summary>The driver's own allocator for one space of <see cref="VendorScope"/>.</summary>
    /// <param name="range">The PASIDs that the space may use.</param>
    /// <returns>An allocator, or null to take the framework's lowest-first one.</returns>
    IPasidAllocator? CreateAllocator(PasidRange range) => null;

    /// <summary>Builds the PASID table of a domain.</summary>
    /// <param name="domain">The domain; <see cref="Domain.PasidBits"/> is the table's width.</param>
    /// <returns>Success; ENOMEM; EINVAL for a width beyond <see cref="PasidBits"/>.</returns>
    OpResult AddDomain(Domain domain);

    /// <summary>Frees what <see cref="AddDomain"/> built; the domain has no device any more.</summary>
    void RemoveDomain(Domain domain);

    /// <summary>Points a device's configuration entry at its domain's table.</summary>
    /// <returns>Success; ENOMEM; EINVAL (requester out of range); EOPNOTSUPP.</returns>
    OpResult AddDevice(Device device);

    /// <summary>Takes the device's configuration entry away; the device has no binding any more.</summary>
    void RemoveDevice(Device device);

    /// <summary>
    /// Takes what the architecture needs to share a process's address space (Arm: an ASID). <b>May block.</b>
    /// </summary>
    /// <param name="process">The process; not yet published.</param>
    /// <returns>The driver's own record (may be null), found again as <see cref="IommuContext.DriverProcess"/>;
    /// ENOMEM; ENOSPC (no ASID).</returns>
    OpResult<object?> AllocateProcess(IommuProcess process) => OpResult<object?>.Ok(null);

    /// <summary>Gives back what <see cref="AllocateProcess"/> took. <b>Must not block.</b></summary>
    /// <param name="driverProcess">The driver's own record.</param>
    void FreeProcess(IommuProcess process, object? driverProcess)
    {
    }

    /// <summary>Lets a device use the process's address space.</summary>
    /// <param name="context">The link of process and domain; its entry is <see cref="IommuContext.Pasid"/>.</param>
    /// <param name="device">A device of the context's domain.</param>
    /// <param name="first">Whether it is the first device of the link: then the PASID entry is installed.</param>
    /// <returns>Success; ENOMEM (a leaf table), EINVAL (PASID beyond the table), EOPNOTSUPP, EEXIST: nothing was
    /// changed. ETIMEDOUT or EIO: the hardware did not confirm, so the core never allocates the PASID again.</returns>
    OpResult Attach(IommuContext context, Device device, bool first);

    /// <summary>Takes the process's address space from a device.</summary>
    /// <param name="context">The link.</param>
    /// <param name="last">Whether it is the last device of the link: then the PASID entry is cleared.</param>
    /// <returns>Success; or ETIMEDOUT, EIO where an invalidation did not complete: the link is gone all the same, and
    /// the core never allocates the PASID again.</returns>
    OpResult Detach(IommuContext context, Device device, bool last);

    /// <summary>
    /// The process died: translation through its entry stops at once and without configuration faults (D12). The core
    /// then notifies the device's driver and detaches every device.
    /// </summary>
    /// <remarks>A driver that declares <see cref="DriverCapabilities.NoQuietEntry"/> clears the entry here.</remarks>
    /// <returns>As <see cref="Detach"/>.</returns>
    OpResult Exit(IommuContext context);

    /// <summary>The process's mappings of a range changed: invalidate them in every cache.</summary>
    /// <param name="context">The link.</param>
    /// <param name="range">The bytes, at least one.</param>
    /// <returns>As <see cref="Detach"/>.</returns>
    OpResult Invalidate(IommuContext context, IovaRange range);

    /// <summary>
    /// Takes the fault records that the hardware has left since the last call, oldest first, and makes room for new
    /// ones. Does not block; may run beside every other member, but not beside itself.
    /// </summary>
    /// <param name="faults">Where they are added.</param>
    /// <returns>Success, also where there was none; EOVERFLOW where records were lost (those that were not are added);
    /// EOPNOTSUPP from a driver that does not declare <see cref="DriverCapabilities.FaultRecords"/>.</returns>
    OpResult TakeFaults(ICollection<IommuFault> faults) =>
        OpResult.Refuse(Errno.EOPNOTSUPP, $"{Name}: this driver does not decode fault records");
}
