// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics.CodeAnalysis;

namespace PasidFramework.Engine;

/// <content>Process death and changed mappings.</content>
internal sealed partial class Bindings
{
    public void Ended(IAddressSpace addressSpace)
    {
        // "Ended" is to be seen before the list is read; see BindInGate.
        Interlocked.MemoryBarrier();
        if (_processes.Find(addressSpace) is { } process)
        {
            Teardown(process);
        }
    }

    /// <summary>Processes that still are tracked when the core is disposed.</summary>
    public List<ProcessRecord> TakeAll() => _processes.TakeAll();

    public OpResult Invalidate(IAddressSpace addressSpace, IovaRange range)
    {
        OpResult result = OpResult.Ok;
        if (_processes.Find(addressSpace) is not { } process)
        {
            return result;
        }

        process.Gate.Enter();
        try
        {
            for (int i = 0; i < process.LinkSlots; i++)
            {
                LinkRecord link = process.LinkAt(i);
                if (link.IsUsed)
                {
                    OpResult one = core.Calls.Invalidate(link, range);
                    process.LeaseAt(link.Lease).IsRetired |= !one.IsOk;
                    result = result.IsOk ? one : result;
                }
            }
        }
        finally
        {
            process.Gate.Exit();
        }

        process.Put();
        return result;
    }

    /// <summary>Ends all bindings of a process.</summary>
    /// <param name="process">The process, with a reference that this gives back.</param>
    /// <exception cref="AggregateException">Device exit handlers threw; everything was torn down.</exception>
    public void Teardown(ProcessRecord process)
    {
        List<(LinkRecord Link, DeviceRecord Device)> notified = [];
        List<(PasidSpace Space, Pasid Pasid)> held = [];
        bool isFirst;
        process.Gate.Enter();
        try
        {
            isFirst = process.State != ProcessState.Dying;
            if (isFirst)
            {
                StopTranslation(process, notified, held);

                // Only now: another report of this end finds the process, waits for the gate, and so returns after
                // translation stopped. Its source may then take the page table apart.
                _processes.Remove(process);
            }
        }
        finally
        {
            process.Gate.Exit();
        }

        if (!isFirst)
        {
            process.Put();
            return;
        }

        // Outside of every gate: a device's driver may block here, and may unbind (the 2018 deadlock).
        List<Exception>? thrown = Notify(process, notified);
        foreach ((PasidSpace space, Pasid pasid) in held)
        {
            space.Drop(pasid);
        }

        process.Gate.Enter();
        try
        {
            for (int i = 0; i < process.LinkSlots; i++)
            {
                DetachAll(process.LinkAt(i));
            }

            for (int i = 0; i < process.LeaseSlots; i++)
            {
                process.ReleaseLease(i);
            }
        }
        finally
        {
            process.Gate.Exit();
        }

        // The caller's reference and the core's.
        string name = thrown is null ? string.Empty : process.ToString();
        process.Put();
        process.Put();
        if (thrown is not null)
        {
            throw new AggregateException($"{name}: exit handlers of its devices threw.", thrown);
        }
    }

    // Process's gate held.
    private void StopTranslation(
        ProcessRecord process,
        List<(LinkRecord Link, DeviceRecord Device)> notified,
        List<(PasidSpace Space, Pasid Pasid)> held)
    {
        process.State = ProcessState.Dying;
        for (int i = 0; i < process.LeaseSlots; i++)
        {
            ref PasidLease lease = ref process.LeaseAt(i);
            lease.Space?.Withdraw(lease.Pasid);
        }

        observer?.Exited(process.AddressSpace);
        for (int i = 0; i < process.LinkSlots; i++)
        {
            LinkRecord link = process.LinkAt(i);
            if (!link.IsUsed)
            {
                continue;
            }

            ref PasidLease lease = ref process.LeaseAt(link.Lease);
            lease.IsRetired |= !core.Calls.Exit(link).IsOk;
            int before = notified.Count;
            for (int slot = 0; slot < link.DeviceSlots; slot++)
            {
                if (link.DeviceAt(slot) is { ProcessExited: not null } device)
                {
                    notified.Add((link, device));
                }
            }

            // Unbinds may end the links meanwhile: the PASID stays until the handlers have returned.
            if (notified.Count > before)
            {
                lease.Space!.Hold(lease.Pasid);
                held.Add((lease.Space, lease.Pasid));
            }
        }
    }

    // Process's gate held.
    private void DetachAll(LinkRecord link)
    {
        // The last device ends the link.
        for (int slot = 0; slot < link.DeviceSlots && link.IsUsed; slot++)
        {
            if (link.DeviceAt(slot) is { } device)
            {
                Detach(link, device, UnbindCause.Exit);
            }
        }
    }

    [SuppressMessage("Design", "CA1031", Justification =
        "One device's handler must not keep the others from being notified; all are rethrown.")]
    private static List<Exception>? Notify(
        ProcessRecord process, List<(LinkRecord Link, DeviceRecord Device)> notified)
    {
        List<Exception>? thrown = null;
        foreach ((LinkRecord link, DeviceRecord device) in notified)
        {
            ExitHandlers.Run run;
            Pasid pasid;
            process.Gate.Enter();
            try
            {
                // An unbind or a removal that came first has stopped the device already, and a removal that comes later
                // waits for this handler.
                if (!link.Has(device))
                {
                    continue;
                }

                pasid = link.Pasid;
                run = ExitHandlers.Begin(device);
            }
            finally
            {
                process.Gate.Exit();
            }

            try
            {
                device.ProcessExited?.Invoke(device, process, pasid);
            }
            catch (Exception e)
            {
                (thrown ??= []).Add(e);
            }
            finally
            {
                ExitHandlers.End(run);
            }
        }

        return thrown;
    }
}
