// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Engine;

/// <summary>Bind and unbind, and what they share with the end of a process.</summary>
internal sealed partial class Bindings(IommuCore core, ICoreObserver? observer, bool heldUntilDeath)
{
    private readonly ProcessRegistry _processes = new();
    private readonly Tenants _tenants = new();

    /// <summary>Processes that are tracked now.</summary>
    public int ProcessCount => _processes.Count;

    public OpResult<Pasid> Bind(DeviceRecord device, IAddressSpace addressSpace)
    {
        while (true)
        {
            ProcessRecord process = ProcessPool.Rent();
            process.Begin(core, addressSpace);
            ProcessRecord? other = _processes.GetOrEnter(process);
            if (other is not null)
            {
                process.Put();
                process = other;
                EnterOrPut(process);
            }

            bool isAbandoned;
            bool isAccepted = false;
            OpResult<Pasid> result = default;
            try
            {
                // One that is dying is not listed any more: the address space has ended, or its last binding had.
                if (process.State != ProcessState.Dying)
                {
                    isAccepted = true;
                    result = BindInGate(process, device);
                }
            }
            finally
            {
                isAbandoned = AbandonIfIdle(process);
                process.Gate.Exit();
                if (isAbandoned)
                {
                    process.Put();
                }

                if (other is not null)
                {
                    process.Put();
                }
            }

            if (isAccepted)
            {
                return result;
            }
        }
    }

    public OpResult Unbind(DeviceRecord device, Pasid pasid, UnbindCause cause)
    {
        DomainRecord domain = device.Domain;
        while (domain.Links[pasid] is { } link)
        {
            ProcessRecord process = link.Process;
            bool isAbandoned = false;
            OpResult result;
            process.Gate.Enter();
            try
            {
                // Neither link nor process were held until here: they may be another one's by now.
                if (!ReferenceEquals(link.Domain, domain) || link.Pasid != pasid)
                {
                    continue;
                }

                // The record of this very device decides (B4), not the PASID alone.
                if (!link.Has(device))
                {
                    break;
                }

                result = Detach(link, device, cause);
                isAbandoned = AbandonIfIdle(process);
            }
            finally
            {
                process.Gate.Exit();
            }

            if (isAbandoned)
            {
                process.Put();
            }

            return result;
        }

        return OpResult.Refuse(Errno.ESRCH, $"{device.Name} has no binding with PASID {pasid}");
    }

    /// <summary>Ends all bindings of a device.</summary>
    public OpResult UnbindAll(DeviceRecord device)
    {
        DomainRecord domain = device.Domain;
        OpResult result = OpResult.Ok;
        while (true)
        {
            List<Pasid> bound;
            domain.Gate.Enter();
            try
            {
                bound = domain.Links.Of(device);
            }
            finally
            {
                domain.Gate.Exit();
            }

            foreach (Pasid pasid in bound)
            {
                OpResult one = Unbind(device, pasid, UnbindCause.DeviceRemoved);
                if (!one.IsOk && one.Errno != Errno.ESRCH && result.IsOk)
                {
                    result = one;
                }
            }

            // A device that stays may be bound again at any time; one that goes accepts nothing new, so this ends.
            if (bound.Count == 0 || !device.Removing)
            {
                return result;
            }
        }
    }

    public static OpResult BeingRemoved(DeviceRecord device) =>
        OpResult.Refuse(Errno.ENODEV, $"{device.Name} is being removed or was");

    public static OpResult Dead(IAddressSpace process) =>
        OpResult.Refuse(Errno.ESRCH, $"process {process.Name} (pid {process.Pid}) has ended");

    private static void EnterOrPut(ProcessRecord process)
    {
        try
        {
            process.Gate.Enter();
        }
        catch (InvalidOperationException)
        {
            process.Put();
            throw;
        }
    }

    // Process's gate held from here on.
    private OpResult<Pasid> BindInGate(ProcessRecord process, DeviceRecord device)
    {
        // The source makes it "ended" first and reports that then (C14). The record is listed: either we find the
        // process dead here, or its report finds the record, waits for the gate and ends the binding.
        if (!process.AddressSpace.IsAlive)
        {
            return OpResult<Pasid>.Refuse(Dead(process.AddressSpace));
        }

        OpResult<Pasid> result = process.LinkTo(device.Domain) is { } link
            ? Join(link, device)
            : Link(process, device);
        if (result.IsOk)
        {
            observer?.Bound(device, result.Value, process.AddressSpace);
        }

        return result;
    }

    // A further device of a domain that the process is linked to.
    private OpResult<Pasid> Join(LinkRecord link, DeviceRecord device)
    {
        if (!device.UsablePasids.Contains(link.Pasid.Value))
        {
            return Overflow(link.Process, link.Pasid, device);
        }

        if (link.Has(device))
        {
            return OpResult<Pasid>.Refuse(Errno.EEXIST, $"{link.Process} is bound to {device.Name} already");
        }

        OpResult attached = Attach(link, device, first: false);
        return attached.IsOk ? OpResult<Pasid>.Ok(link.Pasid) : OpResult<Pasid>.Refuse(attached);
    }

    // The first device of a domain: takes or shares the PASID, makes the link.
    private OpResult<Pasid> Link(ProcessRecord process, DeviceRecord device)
    {
        DomainRecord domain = device.Domain;
        PasidSpace space = domain.Space;
        int lease = process.LeaseIn(space);
        if (lease >= 0 && !device.UsablePasids.Contains(process.LeaseAt(lease).Pasid.Value))
        {
            return Overflow(process, process.LeaseAt(lease).Pasid, device);
        }

        // The driver's record comes before the PASID, as in 2017: it may block, and no PASID is held while it does.
        IommuInstance instance = domain.Instance;
        if (!process.TryGetDriverRecord(instance, out object? record))
        {
            OpResult<object?> made = core.Calls.AllocateProcess(instance, process);
            if (!made.Outcome.IsOk)
            {
                return OpResult<Pasid>.Refuse(made.Outcome);
            }

            record = made.Value;
            process.AddDriverRecord(instance, record);
        }

        bool isNew = lease < 0;
        if (isNew)
        {
            OpResult<int> owner = _tenants.IndexOf(process.AddressSpace.Tenant);
            OpResult<Pasid> taken = owner.IsOk
                ? space.Take(process.AddressSpace, device.UsablePasids, owner.Value)
                : OpResult<Pasid>.Refuse(owner.Outcome);
            if (!taken.IsOk)
            {
                return taken;
            }

            lease = process.AddLease(space, taken.Value, heldUntilDeath);
        }

        LinkRecord link = process.AddLink(domain, lease, record);
        Pasid pasid = link.Pasid;
        OpResult attached = Attach(link, device, first: true);
        if (!attached.IsOk)
        {
            // Nothing stays behind (C6): a PASID that was taken for this bind goes back whatever the lifetime rule.
            process.LeaseAt(lease).HeldByProcess &= !isNew;
            process.RemoveLink(link);
            return OpResult<Pasid>.Refuse(attached);
        }

        // Last of all: a lookup finds whole processes only (C6). No device has been given the PASID yet, so none can
        // have sent a page request with it.
        process.State = ProcessState.Published;
        space.Publish(pasid, process);
        return OpResult<Pasid>.Ok(pasid);
    }

    private static OpResult<Pasid> Overflow(ProcessRecord process, Pasid pasid, DeviceRecord device) =>
        OpResult<Pasid>.Refuse(Errno.EOVERFLOW,
            $"{process} has PASID {pasid} in space {device.Domain.Space.Name}, {device.Name} carries "
                + $"{device.UsablePasids}");

    private OpResult Attach(LinkRecord link, DeviceRecord device, bool first)
    {
        DomainRecord domain = link.Domain;
        domain.Gate.Enter();
        try
        {
            // Checked under the gate: a removal that began before finds the link, one that begins later is found here.
            OpResult attached = device.Removing ? BeingRemoved(device) : core.Calls.Attach(link, device, first);
            if (attached.IsOk)
            {
                link.Add(device);
                if (first)
                {
                    domain.Links.Add(link.Pasid, link);
                }
            }
            else if (attached.Errno is Errno.ETIMEDOUT or Errno.EIO)
            {
                // These two say that the hardware did not confirm: some cache may know the entry. Any other refusal of
                // an attach promises that nothing was changed.
                link.Process.LeaseAt(link.Lease).IsRetired = true;
            }

            return attached;
        }
        finally
        {
            domain.Gate.Exit();
        }
    }

    private OpResult Detach(LinkRecord link, DeviceRecord device, UnbindCause cause)
    {
        ProcessRecord process = link.Process;
        DomainRecord domain = link.Domain;
        Pasid pasid = link.Pasid;
        bool last = link.DeviceCount == 1;
        ref PasidLease lease = ref process.LeaseAt(link.Lease);
        if (last && lease.Links == 1)
        {
            // Before the gate below, which is the full fence that PasidSpace.Return asks for.
            lease.Space!.Withdraw(pasid);
        }

        OpResult result;
        domain.Gate.Enter();
        try
        {
            result = core.Calls.Detach(link, device, last);
            lease.IsRetired |= !result.IsOk;
            link.Remove(device);
            if (last)
            {
                domain.Links.Remove(pasid);
            }

            if (observer is not null)
            {
                Interlocked.Increment(ref device.Unnotified);
            }
        }
        finally
        {
            domain.Gate.Exit();
        }

        if (observer is not null)
        {
            try
            {
                observer.Unbound(device, pasid, process.AddressSpace, cause);
            }
            finally
            {
                Interlocked.Decrement(ref device.Unnotified);
            }
        }

        if (last)
        {
            process.RemoveLink(link);
        }

        return result;
    }

    // A process without a link and without a PASID is of no more use. If true, the caller gives back the core's
    // reference.
    private bool AbandonIfIdle(ProcessRecord process)
    {
        if (process.State == ProcessState.Dying || process.LinkCount != 0 || process.LeaseCount != 0)
        {
            return false;
        }

        process.State = ProcessState.Dying;
        _processes.Remove(process);
        return true;
    }
}
