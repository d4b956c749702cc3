// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Engine;

/// <summary>
/// A page request that is being handled. While it is open, its PASID cannot come to mean another process, and the
/// process's records are not freed, whatever is unbound or dies meanwhile.
/// </summary>
public sealed class PageRequest : IDisposable
{
    private PasidSpace? _space;

    private PageRequest(PasidSpace space, ProcessRecord process, Pasid pasid)
    {
        _space = space;
        Process = process;
        Pasid = pasid;
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
        ProcessRecord? process = space.Lookup(pasid);
        if (process is null || !process.TryGet())
        {
            return null;
        }

        // Only now is it settled that neither the PASID nor the process can come to mean something else.
        space.Hold(pasid);
        if (ReferenceEquals(space.Lookup(pasid), process)
            && record.Domain.Links[pasid] is { } link
            && ReferenceEquals(link.Process, process)
            && link.Has(record))
        {
            return new PageRequest(space, process, pasid);
        }

        space.Drop(pasid);
        process.Put();
        return null;
    }

    /// <summary>The request is answered; a second call does nothing.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _space, null) is { } space)
        {
            space.Drop(Pasid);
            Process.Put();
        }
    }
}
