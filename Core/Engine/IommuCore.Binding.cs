// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics.CodeAnalysis;

namespace PasidFramework.Engine;

/// <content>Bind, unbind, and what they share.</content>
public sealed partial class IommuCore
{
    /// <summary>Binds a process to a device: from now on the device reaches the process's memory with the
    /// PASID.</summary>
    /// <param name="process">The process's address space.</param>
    /// <param name="flags">None is defined; an unknown one is EINVAL.</param>
    /// <returns>
    /// The process's PASID on that device. Or: EINVAL (flags, nesting domain, kernel thread), ENODEV (device without
    /// PASIDs, or being removed), ESRCH (the process died), EEXIST (bound already), EOVERFLOW (it has a PASID that
    /// this device cannot carry), ENOSPC (no PASID left, quota), ENOMEM, or the driver's refusal. After a refusal
    /// nothing is left behind.
    /// </returns>
    public OpResult<Pasid> Bind(Device device, IAddressSpace process, BindFlags flags = BindFlags.None)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentNullException.ThrowIfNull(process);
        AtomicContext.Forbid(nameof(Bind));
        OpResult<Pasid> result = CheckBind((DeviceRecord)device, process, flags) is { IsOk: false } refusal
            ? OpResult<Pasid>.Refuse(refusal)
            : BindChecked((DeviceRecord)device, process);
        if (!result.IsOk)
        {
            _observer?.Refused(device, process, result.Outcome);
        }

        return result;
    }

    /// <summary>Ends one binding. The caller has stopped the device's work with this PASID.</summary>
    /// <returns>
    /// Success; ESRCH where this device has no such binding. ETIMEDOUT or EIO where an invalidation did not complete:
    /// the binding is gone, and the PASID is never allocated again.
    /// </returns>
    public OpResult Unbind(Device device, Pasid pasid)
    {
        ArgumentNullException.ThrowIfNull(device);
        AtomicContext.Forbid(nameof(Unbind));
        OpResult result = Unbind((DeviceRecord)device, pasid, UnbindCause.Unbind);
        if (!result.IsOk)
        {
            _observer?.Refused(device, null, result);
        }

        return result;
    }

    /// <summary>Ends all bindings of a device.</summary>
    /// <returns>Success, or the first failed invalidation; all bindings are gone either way.</returns>
    public OpResult UnbindAll(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        AtomicContext.Forbid(nameof(UnbindAll));
        var record = (DeviceRecord)device;
        DomainRecord domain = record.Domain;
        OpResult result = OpResult.Ok;
        while (true)
        {
            Pasid[] bound;
            domain.Gate.Enter();
            try
            {
                bound = [.. domain.Contexts.Values.Where(c => c.Devices.Contains(record)).Select(c => c.Pasid)];
            }
            finally
            {
                domain.Gate.Exit();
            }

            foreach (Pasid pasid in bound)
            {
                OpResult one = Unbind(record, pasid, UnbindCause.DeviceRemoved);
                if (!one.IsOk && one.Errno != Errno.ESRCH && result.IsOk)
                {
                    result = one;
                }
            }

            // A device that stays may be bound again at any time; one that goes accepts nothing new, so this ends.
            if (bound.Length == 0 || !record.Removing)
            {
                return result;
            }
        }
    }

    private static OpResult CheckBind(DeviceRecord device, IAddressSpace process, BindFlags flags)
    {
        if (flags != BindFlags.None)
        {
            return OpResult.Refuse(Errno.EINVAL, $"flags 0x{(int)flags:x} are not known, must be 0");
        }

        if (device.Domain.IsNesting)
        {
            return OpResult.Refuse(Errno.EINVAL,
                $"domain {device.Domain.Name} is nested: a guest owns its PASID table");
        }

        if (device.Range.IsEmpty || device.Instance.Unit.PasidBits == 0)
        {
            return OpResult.Refuse(Errno.ENODEV, $"{device.Name} has no PASID capability");
        }

        if (device.Removing)
        {
            return BeingRemoved(device);
        }

        if (process.IsKernelThread)
        {
            return OpResult.Refuse(Errno.EINVAL,
                $"{process.Name} (pid {process.Pid}) is a kernel thread without user memory");
        }

        return process.IsAlive ? OpResult.Ok : Dead(process);
    }

    private static OpResult BeingRemoved(DeviceRecord device) =>
        OpResult.Refuse(Errno.ENODEV, $"{device.Name} is being removed or was");

    private static OpResult Dead(IAddressSpace process) =>
        OpResult.Refuse(Errno.ESRCH, $"process {process.Name} (pid {process.Pid}) has ended");

    // What a device can carry through its domain's table.
    private static PasidRange UsablePasids(DeviceRecord device) =>
        device.Range.Intersect(PasidRange.OfWidth(device.Domain.PasidBits));

    private OpResult<Pasid> BindChecked(DeviceRecord device, IAddressSpace addressSpace)
    {
        while (true)
        {
            // One object per address space, found or made in one step (B3): a second first bind finds the first one's.
            ProcessRecord process = _processes.GetOrAdd(
                addressSpace, static (space, core) => new ProcessRecord(core, space), this);
            if (!process.TryGet())
            {
                Unregister(process);
                continue;
            }

            bool accepted = false;
            bool abandoned = false;
            OpResult<Pasid> result = default;
            lock (process.Gate)
            {
                if (process.State != ProcessState.Dying)
                {
                    accepted = true;
                    result = process.ContextOf(device.Domain) is { } context
                        ? Join(context, device)
                        : Link(process, device);
                    if (result.IsOk)
                    {
                        _observer?.Bound(device, result.Value, addressSpace);
                    }

                    abandoned = AbandonIfIdle(process);
                }
            }

            if (abandoned)
            {
                process.Put();
            }

            process.Put();

            // The source makes it "ended" first and reports that then (C14): either its report finds our link, or we
            // find the process dead here.
            Interlocked.MemoryBarrier();
            if (!addressSpace.IsAlive)
            {
                ProcessEnded(addressSpace);
                return OpResult<Pasid>.Refuse(Dead(addressSpace));
            }

            if (accepted)
            {
                return result;
            }

            // An older object of the same address space was going away after its last unbind.
            Unregister(process);
        }
    }

    // A further device of a domain that the process is linked to. Process's gate held.
    private OpResult<Pasid> Join(LinkRecord context, DeviceRecord device)
    {
        if (!UsablePasids(device).Contains(context.Pasid.Value))
        {
            return Overflow(context.Lease, device);
        }

        DomainRecord domain = context.Domain;
        domain.Gate.Enter();
        try
        {
            if (Array.IndexOf(context.Devices, device) >= 0)
            {
                return OpResult<Pasid>.Refuse(Errno.EEXIST, $"{context.Process} is bound to {device.Name} already");
            }

            OpResult attached = CallAttach(context, device, first: false);
            return attached.IsOk ? OpResult<Pasid>.Ok(context.Pasid) : OpResult<Pasid>.Refuse(attached);
        }
        finally
        {
            domain.Gate.Exit();
        }
    }

    // The first device of a domain: takes or shares the PASID, makes the link. Process's gate held.
    private OpResult<Pasid> Link(ProcessRecord process, DeviceRecord device)
    {
        DomainRecord domain = device.Domain;
        PasidLease? lease = process.LeaseIn(domain.Space);
        if (lease is not null && !UsablePasids(device).Contains(lease.Pasid.Value))
        {
            return Overflow(lease, device);
        }

        // The driver's record comes before the PASID, as in 2017: it may block, and no PASID is held while it does.
        OpResult<object?> record = DriverRecord(process, domain.Instance);
        if (!record.Outcome.IsOk)
        {
            return OpResult<Pasid>.Refuse(record.Outcome);
        }

        bool isNew = lease is null;
        if (lease is null)
        {
            OpResult<int> owner = OwnerIndex(process.AddressSpace);
            if (!owner.IsOk)
            {
                return OpResult<Pasid>.Refuse(owner.Outcome);
            }

            OpResult<PasidLease> taken = domain.Space.Take(
                process, UsablePasids(device), owner.Value, holds: _heldUntilDeath ? 2 : 1);
            if (!taken.IsOk)
            {
                return OpResult<Pasid>.Refuse(taken.Outcome);
            }

            lease = taken.Value;
            lease.HeldByProcess = _heldUntilDeath;
            process.Leases.Add(lease);
        }
        else if (!lease.TryHold())
        {
            throw new InvalidOperationException($"{process}: PASID {lease.Pasid} is listed but not held.");
        }

        if (!process.TryGet())
        {
            throw new InvalidOperationException($"{process}: no reference while it is being bound.");
        }

        lease.Links++;
        var context = new LinkRecord(domain, lease, record.Value);
        process.Contexts = [.. process.Contexts, context];
        OpResult attached;
        domain.Gate.Enter();
        try
        {
            attached = CallAttach(context, device, first: true);
            if (attached.IsOk)
            {
                domain.Contexts[lease.Pasid.Value] = context;
            }
        }
        finally
        {
            domain.Gate.Exit();
        }

        if (attached.IsOk)
        {
            // Last of all: a lookup finds whole processes only (C6). No device has been given the PASID yet, so
            // none can have sent a page request with it.
            process.State = ProcessState.Published;
            domain.Space.Publish(lease);
            return OpResult<Pasid>.Ok(lease.Pasid);
        }

        // Nothing stays behind (C6): a PASID that was taken for this bind goes back whatever the lifetime rule.
        if (isNew && lease.HeldByProcess)
        {
            lease.HeldByProcess = false;
            lease.Drop();
        }

        Unlink(context);
        return OpResult<Pasid>.Refuse(attached);
    }

    private static OpResult<Pasid> Overflow(PasidLease lease, DeviceRecord device) => OpResult<Pasid>.Refuse(
        Errno.EOVERFLOW,
        $"{lease.Process} has PASID {lease.Pasid} in space {lease.Space.Name}, {device.Name} carries "
            + $"{UsablePasids(device)}");

    [SuppressMessage("Design", "CA1031",
        Justification = "A plug-in's exception becomes a refusal, is counted and reported.")]
    private OpResult<object?> DriverRecord(ProcessRecord process, IommuInstance instance)
    {
        foreach ((IommuInstance known, object? record) in process.DriverRecords)
        {
            if (ReferenceEquals(known, instance))
            {
                return OpResult<object?>.Ok(record);
            }
        }

        try
        {
            OpResult<object?> made = instance.Unit.AllocateProcess(process);
            if (made.Outcome.IsOk)
            {
                process.DriverRecords.Add((instance, made.Value));
            }

            return made;
        }
        catch (Exception e)
        {
            return OpResult<object?>.Refuse(Threw(instance, nameof(IIommuUnit.AllocateProcess), e));
        }
    }

    // Domain's gate held.
    private OpResult CallAttach(LinkRecord context, DeviceRecord device, bool first)
    {
        if (device.Removing)
        {
            return BeingRemoved(device);
        }

        OpResult attached = Guarded(
            device.Instance,
            nameof(IIommuUnit.Attach),
            (context, device, first),
            static (unit, made) => unit.Attach(made.context, made.device, made.first));
        if (attached.IsOk)
        {
            context.Devices = [.. context.Devices, device];
        }

        RetireIfInDoubt(context, attached);
        return attached;
    }

    // These two say that the hardware did not confirm: some cache may know the entry. Any other refusal of an attach
    // promises that nothing was changed.
    private static void RetireIfInDoubt(LinkRecord context, OpResult attached)
    {
        if (attached.Errno is Errno.ETIMEDOUT or Errno.EIO)
        {
            context.Lease.IsRetired = true;
        }
    }

    private OpResult Unbind(DeviceRecord device, Pasid pasid, UnbindCause cause)
    {
        // The record of this very device decides (B4), not the PASID alone.
        DomainRecord domain = device.Domain;
        ProcessRecord? process = null;
        domain.Gate.Enter();
        try
        {
            if (domain.Contexts.TryGetValue(pasid.Value, out LinkRecord? found)
                && Array.IndexOf(found.Devices, device) >= 0
                && found.Process.TryGet())
            {
                process = found.Process;
            }
        }
        finally
        {
            domain.Gate.Exit();
        }

        if (process is null)
        {
            return OpResult.Refuse(Errno.ESRCH, $"{device.Name} has no binding with PASID {pasid}");
        }

        OpResult result;
        bool abandoned;
        lock (process.Gate)
        {
            result = process.ContextOf(domain) is { } context && context.Pasid == pasid
                ? DetachDevice(context, device, cause)
                : OpResult.Refuse(Errno.ESRCH, $"{device.Name} has no binding with PASID {pasid} any more");
            abandoned = AbandonIfIdle(process);
        }

        if (abandoned)
        {
            process.Put();
        }

        process.Put();
        return result;
    }

    // Process's gate held.
    private OpResult DetachDevice(LinkRecord context, DeviceRecord device, UnbindCause cause)
    {
        DomainRecord domain = context.Domain;
        OpResult result;
        bool last;
        domain.Gate.Enter();
        try
        {
            if (Array.IndexOf(context.Devices, device) < 0)
            {
                return OpResult.Refuse(Errno.ESRCH,
                    $"{device.Name} has no binding with PASID {context.Pasid} any more");
            }

            last = context.Devices.Length == 1;
            result = Guarded(
                domain.Instance,
                nameof(IIommuUnit.Detach),
                (context, device, last),
                static (unit, made) => unit.Detach(made.context, made.device, made.last));
            context.Lease.IsRetired |= !result.IsOk;
            context.Devices = [.. context.Devices.Where(d => !ReferenceEquals(d, device))];
            if (last)
            {
                domain.Contexts.Remove(context.Pasid.Value);
            }
        }
        finally
        {
            domain.Gate.Exit();
        }

        _observer?.Unbound(device, context.Pasid, context.Process.AddressSpace, cause);
        if (last)
        {
            Unlink(context);
        }

        return result;
    }

    // Gives up a link whose devices are gone: the PASID's hold and the process's reference. Process's gate held.
    private static void Unlink(LinkRecord context)
    {
        ProcessRecord process = context.Process;
        PasidLease lease = context.Lease;
        process.Contexts = [.. process.Contexts.Where(c => !ReferenceEquals(c, context))];
        if (--lease.Links == 0)
        {
            lease.Space.Withdraw(lease);
            if (!lease.HeldByProcess)
            {
                process.Leases.Remove(lease);
            }
        }

        lease.Drop();
        process.Put();
    }

    // A process without a link and without a PASID is of no more use. Process's gate held; if true, the caller gives
    // back the reference that the registry had.
    private bool AbandonIfIdle(ProcessRecord process)
    {
        if (process.State == ProcessState.Dying || process.Contexts.Length != 0 || process.Leases.Count != 0)
        {
            return false;
        }

        process.State = ProcessState.Dying;
        Unregister(process);
        return true;
    }

    private void Unregister(ProcessRecord process) =>
        _processes.TryRemove(KeyValuePair.Create(process.AddressSpace, process));
}
