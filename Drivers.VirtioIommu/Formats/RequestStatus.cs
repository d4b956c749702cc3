// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Drivers.VirtioIommu.Formats;

/// <summary>What became of a request: the device's status (OASIS virtio 1.2, IOMMU device, request tail), or a negative
/// value where it gave none.</summary>
internal enum RequestStatus
{
    /// <summary>The device returned the request without writing a status: it does not know the type.</summary>
    Unrecognised = -1,
    TimedOut = -2,

    /// <summary>All slots stayed with the device for the whole wait.</summary>
    QueueFull = -3,
    Truncated = -4,

    /// <summary>The used ring is not consistent; the queue is out of use.</summary>
    Broken = -5,
    Ok = 0,
    IoErr = 1,
    Unsupp = 2,
    DevErr = 3,
    Inval = 4,
    Range = 5,
    NoEnt = 6,
    Fault = 7,
    NoMem = 8,
}
