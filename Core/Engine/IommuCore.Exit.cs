// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Engine;

/// <content>Process death and changed mappings.</content>
public sealed partial class IommuCore
{
    /// <summary>
    /// An address space ended, by exit or by executing another program: its bindings end. Translation stops first, then
    /// the drivers of its devices are notified, then every device is detached; then the PASID returns. Safe at any
    /// time and from several threads: every call returns after translation stopped, the first one after all is torn
    /// down.
    /// </summary>
    /// <param name="process">The address space; <see cref="IAddressSpace.IsAlive"/> is false already.</param>
    /// <exception cref="AggregateException">Device exit handlers threw; everything was torn down all the
    /// same.</exception>
    public void ProcessEnded(IAddressSpace process)
    {
        ArgumentNullException.ThrowIfNull(process);
        AtomicContext.Forbid(nameof(ProcessEnded));
        Interlocked.MemoryBarrier();
        if (_processes.TryGetValue(process, out ProcessRecord? found))
        {
            Teardown(found);
        }
    }

    /// <summary>Connects a process source: its processes' ends end their bindings.</summary>
    public void Follow(IProcessSource source)
    {
        ArgumentNullException.ThrowIfNull(source);
        source.AddressSpaceEnded += ProcessEnded;
    }

    /// <summary>Mappings of [start, end) of a process changed: invalidates every unit that it is linked to.</summary>
    /// <param name="start">First byte.</param>
    /// <param name="end">Byte after the range; 0 is the top of memory, so that 0, 0 is everything. Any other
    /// <c>start == end</c> is empty: no unit is called.</param>
    /// <returns>Success, also where the process is not bound; or the first failed invalidation.</returns>
    public OpResult Invalidate(IAddressSpace process, ulong start, ulong end)
    {
        ArgumentNullException.ThrowIfNull(process);
        AtomicContext.Forbid(nameof(Invalidate));
        var range = IovaRange.FromStartEnd(start, end);
        if (range.IsEmpty || !_processes.TryGetValue(process, out ProcessRecord? found) || !found.TryGet())
        {
            return OpResult.Ok;
        }

        OpResult result = OpResult.Ok;
        lock (found.Gate)
        {
            foreach (LinkRecord context in found.Contexts)
            {
                OpResult one = TeardownInGate(
                    context, nameof(IIommuUnit.Invalidate), c => c.Domain.Instance.Unit.Invalidate(c, range));
                result = result.IsOk ? one : result;
            }
        }

        found.Put();
        return result;
    }

    private OpResult TeardownInGate(LinkRecord context, string callback, Func<LinkRecord, OpResult> call)
    {
        OpResult result = InGate(context.Domain, callback, context, call);
        context.Lease.IsRetired |= !result.IsOk;
        return result;
    }

    private void Teardown(ProcessRecord process)
    {
        if (!process.TryGet())
        {
            return;
        }

        var notified = new List<(DeviceRecord Device, Pasid Pasid)>();
        bool mine = false;
        lock (process.Gate)
        {
            if (process.State != ProcessState.Dying)
            {
                mine = true;
                process.State = ProcessState.Dying;
                foreach (PasidLease lease in process.Leases)
                {
                    lease.Space.Withdraw(lease);
                }

                _observer?.Exited(process.AddressSpace);
                foreach (LinkRecord context in process.Contexts)
                {
                    TeardownInGate(context, nameof(IIommuUnit.Exit), static c => c.Domain.Instance.Unit.Exit(c));
                    foreach (DeviceRecord device in context.Devices)
                    {
                        notified.Add((device, context.Pasid));
                    }
                }

                // Only now: another report of this end finds the process, waits for the gate above, and so returns
                // after translation stopped. Its source may then take the page table apart.
                Unregister(process);
            }
        }

        if (!mine)
        {
            process.Put();
            return;
        }

        // Outside of every lock: a device's driver may block here, and may unbind (the 2018 deadlock).
        List<Exception>? thrown = NotifyDevices(process, notified);
        lock (process.Gate)
        {
            foreach (LinkRecord context in process.Contexts)
            {
                foreach (DeviceRecord device in context.Devices)
                {
                    DetachDevice(context, device, UnbindCause.Exit);
                }
            }

            foreach (PasidLease lease in process.Leases.ToArray())
            {
                process.Leases.Remove(lease);
                lease.HeldByProcess = false;
                lease.Drop();
            }
        }

        // The reference that was taken above, and the registry's.
        process.Put();
        process.Put();
        if (thrown is not null)
        {
            throw new AggregateException($"{process}: exit handlers of its devices threw.", thrown);
        }
    }

    [System.Diagnostics.CodeAnalysis.SuppressMessage(
        "Design", "CA1031", Justification =
            "One device's handler must not keep the others from being notified; all are rethrown.")]
    private static List<Exception>? NotifyDevices(ProcessRecord process,
        List<(DeviceRecord Device, Pasid Pasid)> notified)
    {
        List<Exception>? thrown = null;
        foreach ((DeviceRecord device, Pasid pasid) in notified)
        {
            try
            {
                device.ProcessExited?.Invoke(device, process, pasid);
            }
            catch (Exception e)
            {
                (thrown ??= []).Add(e);
            }
        }

        return thrown;
    }
}
