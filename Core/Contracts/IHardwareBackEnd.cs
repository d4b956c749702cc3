// SPDX-License-Identifier: Apache-2.0
using System.Collections.ObjectModel;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace PasidFramework.Contracts;

/// <summary>
/// A kind of hardware that any driver of an architecture can be run on to be judged: a software model, an emulator.
/// </summary>
public interface IHardwareBackEnd
{
    /// <summary>Its name in reports, such as <c>model</c> or <c>qemu-10.0.13</c>: one word.</summary>
    string Name { get; }

    /// <summary>The architecture: the table format that a driver for it states in
    /// <see cref="PasidDriverAttribute.TableFormat"/>.</summary>
    string Architecture { get; }

    /// <summary>Name of the page table format that it walks; empty where it stops at the root of the process's page
    /// table.</summary>
    string PageTables { get; }

    /// <summary>What a passed case on it does not show: whole sentences for the report; empty where there is nothing to
    /// say.</summary>
    string Limits { get; }

    /// <summary>Starts one machine.</summary>
    /// <param name="setup">What its IOMMU is to report.</param>
    /// <returns>The machine; EOPNOTSUPP with the reason where it cannot be like that, so that a case does not
    /// apply.</returns>
    /// <exception cref="HardwareException">It did not start.</exception>
    OpResult<ITestHardware> Start(HardwareSetup setup);
}

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
    /// <param name="pasid">The PASID.</param>
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

/// <summary>What can be seen on a machine.</summary>
[Flags]
public enum TestHardwareTraits
{
    /// <summary>Stores of devices, one PASID a device.</summary>
    None = 0,

    /// <summary>Loads of devices can be seen as well.</summary>
    Loads = 1,

    /// <summary>One device sends requests with many PASIDs.</summary>
    ManyPasids = 2,

    /// <summary>Requests without a PASID can be seen.</summary>
    NoPasid = 4,

    /// <summary>An access that is aborted without a record differs visibly from one that leaves a record, and
    /// configuration entries that ask for silence are honoured.</summary>
    Silence = 8,

    /// <summary>It may keep translations until it is invalidated: a forgotten invalidation shows.</summary>
    KeepsTranslations = 16,

    /// <summary>It may keep configuration entries until it is invalidated.</summary>
    KeepsConfiguration = 32,

    DeviceTlbs = 64,

    /// <summary>Accesses may come from several threads at once, beside the driver.</summary>
    Concurrent = 128,

    /// <summary>Every access to a page table is observed: a walk into memory that is free is a violation.</summary>
    StrayReads = 256,

    /// <summary>Fault records that the driver has not taken stay while further accesses are made.</summary>
    KeepsRecords = 1024,

    /// <summary><see cref="ITestHardware.DropCaches"/> does something.</summary>
    Forgets = 2048,

    /// <summary>A domain may have many processes at once; without it the hardware knows no PASIDs, and a domain is one
    /// process.</summary>
    ManyProcesses = 512,
}

/// <summary>A machine broke down: it did not start, hangs, died, or answers nonsense.</summary>
public class HardwareException : Exception
{
    /// <summary>With a message of one line: what, and what was seen.</summary>
    public HardwareException(string message)
        : base(message)
    {
    }

    /// <summary>With a message and what caused it.</summary>
    public HardwareException(string message, Exception inner)
        : base(message, inner)
    {
    }
}
