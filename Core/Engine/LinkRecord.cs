// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;

namespace PasidFramework.Engine;

/// <summary>
/// A link between a process and a domain with a record for every device that uses it (in 2017 it had only a count,
/// defect B4). It belongs to one process record for good and is used again for another domain, or with the record for
/// another process.
/// </summary>
internal sealed class LinkRecord(ProcessRecord process) : IommuContext(process)
{
    private DeviceRecord? _first;
    private DeviceRecord?[] _more = [];

    // Nothing but these two is ever set: no check of the type on the way of a bind.
    public new DomainRecord Domain => Unsafe.As<DomainRecord>(base.Domain);
    public new ProcessRecord Process => Unsafe.As<ProcessRecord>(base.Process);

    /// <summary>Which of the process's leases the PASID is.</summary>
    public int Lease { get; private set; }

    /// <summary>Whether it links anything now; guarded by the process's gate.</summary>
    public bool IsUsed => Domain is not null;

    /// <summary>How many devices are attached; guarded by the process's gate.</summary>
    public int DeviceCount { get; private set; }

    /// <summary>One more than the largest index of <see cref="DeviceAt"/>.</summary>
    public int DeviceSlots => 1 + _more.Length;

    public void Use(DomainRecord domain, Pasid pasid, int lease, object? driverProcess)
    {
        base.Domain = domain;
        Pasid = pasid;
        Lease = lease;
        DriverProcess = driverProcess;
    }

    /// <summary>Lets go of all that it refers to, so that nothing of a removed unit is kept alive.</summary>
    public void Clear()
    {
        base.Domain = null!;
        DriverProcess = null;
        DriverState = null;
    }

    /// <summary>The device in a slot, or null; read without a lock by the fault path.</summary>
    public DeviceRecord? DeviceAt(int slot) =>
        slot == 0 ? Volatile.Read(ref _first) : Volatile.Read(ref _more[slot - 1]);

    /// <summary>Whether a device is attached; read without a lock by the fault path.</summary>
    public bool Has(DeviceRecord device)
    {
        if (ReferenceEquals(Volatile.Read(ref _first), device))
        {
            return true;
        }

        foreach (DeviceRecord? other in Volatile.Read(ref _more))
        {
            if (ReferenceEquals(other, device))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Adds a device that is not there yet; the gates of process and domain are held.</summary>
    public void Add(DeviceRecord device)
    {
        DeviceCount++;
        if (_first is null)
        {
            Volatile.Write(ref _first, device);
            return;
        }

        int free = Array.IndexOf(_more, null);
        if (free >= 0)
        {
            Volatile.Write(ref _more[free], device);
        }
        else
        {
            Volatile.Write(ref _more, [.. _more, device, null]);
        }
    }

    /// <summary>Takes a device out that is there; the gates of process and domain are held.</summary>
    public void Remove(DeviceRecord device)
    {
        DeviceCount--;
        if (ReferenceEquals(_first, device))
        {
            Volatile.Write(ref _first, null);
        }
        else
        {
            Volatile.Write(ref _more[Array.IndexOf(_more, device)], null);
        }
    }
}
