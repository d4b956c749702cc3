// SPDX-License-Identifier: Apache-2.0
using System.Collections.ObjectModel;

namespace PasidFramework.Contracts;

/// <summary>One machine with an IOMMU, devices behind it, and memory, all of which a test commands.</summary>
public interface ITestHardware : IIommuHardware
{
    /// <summary>The devices that there are, at least sixteen.</summary>
    IReadOnlyList<RequesterId> Requesters { get; }

    /// <summary>What can be seen on it.</summary>
    TestHardwareTraits Traits { get; }

    /// <summary>Settings that a driver's unit needs on it.</summary>
    IReadOnlyDictionary<string, string> UnitOptions { get; }

    /// <summary>
    /// Makes ready that a device sends requests with a PASID. The driver has added the device.
    /// <see cref="IIommuHardware.Translate"/> may be asked for this pair from here on, also after the driver has
    /// removed the device, until another PASID is made ready for it. With <see cref="TestHardwareTraits.ManyPasids"/>
    /// it may be called for devices that the driver has not added or has removed, too.
    /// </summary>
    /// <returns>Success, also where it was made ready before; EOPNOTSUPP with the reason, such as a device that stands
    /// for one PASID and has another one already.</returns>
    OpResult Prepare(RequesterId requester, Pasid pasid);

    /// <summary>Takes a page of 4096 bytes that a device's access may land in.</summary>
    /// <returns>Its physical byte address; ENOMEM.</returns>
    OpResult<ulong> AllocateTarget();

    /// <summary>Gives such a page back.</summary>
    void FreeTarget(ulong address);

    /// <summary>
    /// Whether a fault record of this pair can name its PASID. Where it cannot, a record names none, or a PASID that
    /// means nothing, and is not judged by it.
    /// </summary>
    bool NamesPasid(RequesterId requester, Pasid pasid);

    /// <summary>Where the tables of a device begin, if that was sent in a request and is in no register.</summary>
    /// <param name="requester">The device.</param>
    /// <returns>Values by the names of <see cref="ITableReader.Registers"/>; none where registers say it all, or
    /// where it is not known.</returns>
    IReadOnlyDictionary<string, ulong> TableRoots(RequesterId requester) => ReadOnlyDictionary<string, ulong>.Empty;

    /// <summary>Takes what the machine found wrong by itself since the last call, such as a walk into freed
    /// memory.</summary>
    IReadOnlyList<string> TakeViolations();

    /// <summary>Probes once for each content of memory that the walker may see at this moment, at least once.</summary>
    /// <param name="probe">The probe; it may translate, and does not store.</param>
    void ForEachVisible(Action probe) => probe();

    /// <summary>Makes the hardware forget what it may forget at any time, where it can.</summary>
    void DropCaches()
    {
    }
}
