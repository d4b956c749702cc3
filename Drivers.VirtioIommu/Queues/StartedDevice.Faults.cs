// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging;

namespace PasidFramework.Drivers.VirtioIommu.Queues;

/// <content>Fault reports (virtio 1.2 section 5.13.6.9).</content>
internal sealed partial class StartedDevice
{
    /// <summary>Most faults that are kept until somebody takes them: those that a detach or an exit found in the event
    /// queue and that are not the leaving process's. 10 KiB at most.</summary>
    public const int MaxKeptFaults = 256;

    private readonly Queue<FaultRecord> _kept = new();
    private SpinGate _faultGate;
    private long _faults;
    private bool _lostKept;
    public long Faults => Interlocked.Read(ref _faults);

    public bool FaultsNamePasid => Dialect is { FaultsNamePasid: true };

    /// <summary>Takes every fault that the device has reported and forgets those of a process that leaves, so that none
    /// outlives the number that it names (F5). The others are kept for <see cref="TakeFaults"/>; so is one whose record
    /// has no PASID, since it may be anybody's.</summary>
    /// <param name="domain">The domain in which it means the process.</param>
    /// <param name="endpoint">The one endpoint that leaves the process; null for all.</param>
    public void DrainEvents(Pasid pasid, IEndpointSet domain, uint? endpoint = null)
    {
        // Once: as many as there are buffers were there at most, and the device may report as fast as this takes.
        Span<FaultRecord> faults = stackalloc FaultRecord[EventQueueSize];
        _faultGate.Enter();
        DropKept(pasid, domain, endpoint);
        int count = _disposed ? 0 : Events.Read(faults);
        foreach (FaultRecord fault in faults[..count])
        {
            if (!IsOf(fault, pasid, domain, endpoint))
            {
                Keep(fault);
            }
        }

        _faultGate.Exit();
        Tell(faults[..count]);
    }

    /// <summary>Takes the faults that were kept, then those in the event queue.</summary>
    /// <param name="faults">Where they are added, oldest first.</param>
    /// <returns>Success; EOVERFLOW where some that should have been kept were not, or the queue is out of use. What the
    /// device itself lost for want of a buffer nothing tells.</returns>
    public OpResult TakeFaults(ICollection<IommuFault> faults)
    {
        ArgumentNullException.ThrowIfNull(faults);
        Span<FaultRecord> records = stackalloc FaultRecord[EventQueueSize];
        bool lost = false;

        // No more than there can be at once: the device may report as fast as this takes.
        int left = MaxKeptFaults + EventQueueSize;
        int count;
        do
        {
            int fresh = 0;
            count = 0;
            _faultGate.Enter();
            lost |= _lostKept;
            _lostKept = false;
            while (count < records.Length && _kept.TryDequeue(out FaultRecord kept))
            {
                records[count++] = kept;
            }

            if (count < records.Length && !_disposed)
            {
                fresh = Events.Read(records[count..]);
            }

            _faultGate.Exit();
            Tell(records.Slice(count, fresh));
            count += fresh;
            foreach (FaultRecord record in records[..count])
            {
                faults.Add(record.Decode(FaultsNamePasid));
            }

            left -= count;
        }
        while (count == records.Length && left > 0);

        if (lost)
        {
            return OpResult.Refuse(Errno.EOVERFLOW,
                $"virtio-iommu {Name}: more than {MaxKeptFaults} faults waited to be taken; the newest were lost");
        }

        return Events.IsBroken
            ? OpResult.Refuse(Errno.EOVERFLOW,
                $"virtio-iommu {Name}: the event queue's used ring is impossible; no faults come any more")
            : OpResult.Ok;
    }

    // Inside the gate, as all that follow but Tell.
    private bool IsOf(in FaultRecord fault, Pasid pasid, IEndpointSet domain, uint? endpoint) =>
        FaultsNamePasid && fault.Pasid == pasid.Value
        && (endpoint is { } one ? fault.Endpoint == one : domain.Has(fault.Endpoint));

    private void DropKept(Pasid pasid, IEndpointSet domain, uint? endpoint)
    {
        for (int left = _kept.Count; left > 0; left--)
        {
            FaultRecord fault = _kept.Dequeue();
            if (!IsOf(fault, pasid, domain, endpoint))
            {
                _kept.Enqueue(fault);
            }
        }
    }

    private void Keep(in FaultRecord fault)
    {
        if (_kept.Count < MaxKeptFaults)
        {
            _kept.Enqueue(fault);
        }
        else
        {
            _lostKept = true;
        }
    }

    private void Tell(ReadOnlySpan<FaultRecord> faults)
    {
        Interlocked.Add(ref _faults, faults.Length);
        if (!logger.IsEnabled(LogLevel.Warning))
        {
            return;
        }

        foreach (FaultRecord fault in faults)
        {
            logger.LogWarning(
                "{Unit}: fault of endpoint 0x{Endpoint:x}, PASID 0x{Pasid:x}, address 0x{Address:x}, "
                + "reason {Reason}, flags 0x{Flags:x}",
                Name,
                fault.Endpoint,
                fault.Pasid,
                fault.Address,
                fault.Reason,
                fault.Flags);
        }
    }
}
