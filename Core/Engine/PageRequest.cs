// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Engine;

/// <summary>
/// A page request that is being handled. While it is open, its PASID cannot come to mean another process, and the
/// process's records are not freed, whatever is unbound or dies meanwhile.
/// </summary>
public sealed class PageRequest : IDisposable
{
    private PasidLease? _lease;

    internal PageRequest(PasidLease lease)
    {
        _lease = lease;
        Process = lease.Process;
        Pasid = lease.Pasid;
    }

    /// <summary>The process whose memory is asked for.</summary>
    public IommuProcess Process { get; }

    /// <summary>The PASID in the request.</summary>
    public Pasid Pasid { get; }

    /// <summary>
    /// A page request of a device arrived: finds its process and keeps process and PASID until it is answered.
    /// Lock-free.
    /// </summary>
    /// <param name="device">The requester.</param>
    /// <param name="pasid">The PASID in the request.</param>
    /// <returns>
    /// The request to dispose when it is answered; null where this device has no such binding: answer "invalid request"
    /// and touch no process (F4).
    /// </returns>
    public static PageRequest? Begin(Device device, Pasid pasid)
    {
        ArgumentNullException.ThrowIfNull(device);
        var record = (DeviceRecord)device;
        PasidSpace space = record.Domain.Space;
        PasidLease? lease = space.Lookup(pasid);
        if (lease is null || !lease.TryHold())
        {
            return null;
        }

        ProcessRecord process = lease.Process;
        if (!process.TryGet())
        {
            lease.Drop();
            return null;
        }

        LinkRecord? context = process.ContextOf(record.Domain);
        if (!ReferenceEquals(space.Lookup(pasid), lease)
            || context is null
            || Array.IndexOf(context.Devices, record) < 0)
        {
            lease.Drop();
            process.Put();
            return null;
        }

        return new PageRequest(lease);
    }

    /// <summary>The request is answered; a second call does nothing.</summary>
    public void Dispose()
    {
        PasidLease? lease = Interlocked.Exchange(ref _lease, null);
        if (lease is not null)
        {
            lease.Drop();
            Process.Put();
        }
    }
}
