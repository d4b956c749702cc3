// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Contracts;

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
