// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Options;

namespace PasidFramework.Engine;

/// <summary>
/// The binding façade: processes, devices and PASIDs of one system. A bind walks from here to the space (PASID), the
/// context (link), the driver (entry and commands), and straight back.
/// </summary>
/// <remarks>
/// <para><b>Locks, outermost first:</b> the topology lock (adding and removing units, domains, devices), a process's
/// gate (its bindings), a domain's gate (the driver's calls for that domain). Allocators and lookups take none of them.
/// No lock is system-wide on the way of a bind.</para>
/// <para>Semantics: RFCv2 "iommu: Keep track of processes and PASIDs" (2017) without its defects; refusals as in
/// C16.</para>
/// </remarks>
public sealed partial class IommuCore : IDisposable
{
    private readonly Lock _topology = new();
    private readonly List<IommuInstance> _instances = [];
    private readonly IPasidOwnership _ownership;
    private readonly ICoreObserver? _observer;
    private readonly Bindings _bindings;

    /// <summary>Starts an empty system.</summary>
    /// <param name="options">Validated options.</param>
    /// <param name="allocators">Additional allocation policies by name (plug-ins); the built-in ones are always
    /// there.</param>
    /// <param name="observer">Notified of everything; may be null.</param>
    /// <param name="time">The clock; the system's by default.</param>
    /// <exception cref="OptionsValidationException">The options are not valid.</exception>
    public IommuCore(
        IOptions<PasidOptions> options,
        IReadOnlyDictionary<string, IPasidAllocatorFactory>? allocators = null,
        ICoreObserver? observer = null,
        TimeProvider? time = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        PasidOptions value = options.Value;
        ValidateOptionsResult valid = new PasidOptionsValidator(allocators?.Keys ?? []).Validate(null, value);
        if (valid.Failed)
        {
            throw new OptionsValidationException(PasidOptions.SectionName, typeof(PasidOptions), valid.Failures);
        }

        _observer = observer;
        Calls = new DriverCalls(observer);
        _bindings = new Bindings(this, observer, value.Lifetime == PasidOptions.LifetimeProcessDeath);
        var factory = new SpaceFactory(value, allocators, observer, time ?? TimeProvider.System);
        _ownership = value.Ownership == PasidOptions.OwnershipVendor
            ? new VendorOwnership(factory)
            : new CoreOwnership(factory);
    }

    /// <summary>The units, in the order in which they were added.</summary>
    public IReadOnlyList<IommuInstance> Instances
    {
        get
        {
            lock (_topology)
            {
                return [.. _instances];
            }
        }
    }

    /// <summary>Processes that the core tracks now.</summary>
    public int ProcessCount => _bindings.ProcessCount;

    /// <summary>Processes whose last reference is gone and whose drivers' records wait for a grace period.</summary>
    public int PendingReclaims => Grace.Pending;

    /// <summary>
    /// Exceptions that drivers threw from callbacks so far. Each became a refusal with EIO where there is a caller to
    /// refuse, and was reported to the observer.
    /// </summary>
    public int DriverFailures => Calls.Failures;
    internal DriverCalls Calls { get; }

    internal GracePeriod Grace { get; } = new();

    /// <summary>
    /// Opens a section during which no driver record of a process that <see cref="PasidSpace.Peek"/> returned is freed.
    /// It never blocks; leave it soon.
    /// </summary>
    public ReadSection EnterReadSection() => new(Grace.Enter());

    /// <summary>Adds a unit that a driver started; the core disposes it.</summary>
    /// <param name="driverName">Name of the driver, such as <c>intel-vtd</c>.</param>
    public IommuInstance AddInstance(string driverName, IIommuUnit unit)
    {
        ArgumentException.ThrowIfNullOrEmpty(driverName);
        ArgumentNullException.ThrowIfNull(unit);
        var instance = new IommuInstance(driverName, unit);
        lock (_topology)
        {
            _instances.Add(instance);
        }

        return instance;
    }

    /// <summary>Makes a domain: devices that share one PASID table.</summary>
    /// <param name="instance">The unit.</param>
    /// <param name="name">Name for messages.</param>
    /// <param name="pasidBits">Width of the table in bits, 1 to 20; cut to what the unit supports.</param>
    /// <param name="nesting">Whether a guest owns its tables; then it refuses bindings.</param>
    /// <returns>The domain; EBUSY where a reserved PASID is live in the space already; EINVAL where the options do not
    /// fit the domain's PASIDs; or the driver's refusal.</returns>
    public OpResult<Domain> CreateDomain(IommuInstance instance, string name, int pasidBits, bool nesting = false)
    {
        ArgumentNullException.ThrowIfNull(instance);
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentOutOfRangeException.ThrowIfLessThan(pasidBits, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(pasidBits, Pasid.MaxBits);
        AtomicContext.Forbid(nameof(CreateDomain));
        IIommuUnit unit = instance.Unit;
        int bits = Math.Min(pasidBits, unit.PasidBits);
        lock (_topology)
        {
            // A unit without PASIDs answers AddDomain itself: it knows why.
            OpResult<PasidSpace> found = _ownership.SpaceFor(instance, name, Math.Max(1, bits));
            if (!found.IsOk)
            {
                return OpResult<Domain>.Refuse(found.Outcome);
            }

            PasidSpace space = found.Value;
            foreach (Pasid reserved in unit.ReservedPasids)
            {
                OpResult kept = space.Reserve(reserved);
                if (!kept.IsOk)
                {
                    return OpResult<Domain>.Refuse(kept);
                }
            }

            var domain = new DomainRecord(instance, ++instance.LastDomainId, name, Math.Max(1, bits), nesting, space);
            OpResult added = unit.AddDomain(domain);
            if (!added.IsOk)
            {
                return OpResult<Domain>.Refuse(added);
            }

            instance.DomainList.Add(domain);
            return OpResult<Domain>.Ok(domain);
        }
    }

    /// <summary>Puts a device into a domain.</summary>
    /// <param name="name">Name for messages.</param>
    /// <param name="requester">The ID by which the IOMMU knows it.</param>
    /// <param name="range">The PASIDs it can carry, both ends included; empty for a device without PASIDs.</param>
    /// <param name="features">What else it can do.</param>
    /// <returns>The device; EEXIST where the unit has the requester already; or the driver's refusal.</returns>
    public OpResult<Device> AddDevice(
        Domain domain,
        string name,
        RequesterId requester,
        PasidRange range,
        DeviceFeatures features = DeviceFeatures.None)
    {
        ArgumentNullException.ThrowIfNull(domain);
        ArgumentException.ThrowIfNullOrEmpty(name);
        AtomicContext.Forbid(nameof(AddDevice));
        var home = (DomainRecord)domain;
        lock (_topology)
        {
            foreach (DomainRecord other in home.Instance.DomainList)
            {
                if (other.DeviceList.Find(d => d.Requester == requester) is { } taken)
                {
                    return OpResult<Device>.Refuse(
                        Errno.EEXIST, $"{home.Instance.Name}: requester {requester} is device {taken.Name} already");
                }
            }

            var device = new DeviceRecord(name, requester, range, features, home);
            OpResult added = Calls.AddDevice(device);
            if (!added.IsOk)
            {
                return OpResult<Device>.Refuse(added);
            }

            home.DeviceList.Add(device);
            return OpResult<Device>.Ok(device);
        }
    }

    /// <summary>
    /// Ends all bindings of a device and takes it away. Returns after its exit handlers have returned and the observer
    /// was notified of every unbind; a handler may remove its own device, and two handlers each other's.
    /// </summary>
    /// <returns>Success; ENODEV where it was removed before; or the first failed invalidation, with the device
    /// gone.</returns>
    public OpResult RemoveDevice(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        AtomicContext.Forbid(nameof(RemoveDevice));
        var record = (DeviceRecord)device;
        lock (_topology)
        {
            if (record.Removing)
            {
                return OpResult.Refuse(Errno.ENODEV, $"{device.Name} was removed before");
            }

            // A bind checks this inside the domain's gate: later ones are refused, earlier ones are found below.
            record.Removing = true;
        }

        OpResult result = _bindings.UnbindAll(record);
        ExitHandlers.WaitFor(record);
        SpinWait wait = default;
        while (Volatile.Read(ref record.Unnotified) != 0)
        {
            wait.SpinOnce();
        }

        lock (_topology)
        {
            DomainRecord domain = record.Domain;
            OpResult removed = Calls.RemoveDevice(record);

            // Gone for the core whatever the driver did, so that the domain can go too.
            domain.DeviceList.Remove(record);
            return result.IsOk ? removed : result;
        }
    }

    /// <summary>Takes an empty domain away.</summary>
    /// <returns>Success; EBUSY while devices are in it.</returns>
    public OpResult RemoveDomain(Domain domain)
    {
        ArgumentNullException.ThrowIfNull(domain);
        AtomicContext.Forbid(nameof(RemoveDomain));
        var record = (DomainRecord)domain;
        lock (_topology)
        {
            if (record.DeviceList.Count != 0)
            {
                return OpResult.Refuse(
                    Errno.EBUSY, $"domain {domain.Name} has {record.DeviceList.Count} devices, must have none");
            }

            if (record.Instance.DomainList.Remove(record))
            {
                record.Instance.Unit.RemoveDomain(domain);
            }

            return OpResult.Ok;
        }
    }

    /// <summary>
    /// Ends every binding, removes every device and domain, and disposes the units; what throws does not keep the rest
    /// from being done.
    /// </summary>
    /// <exception cref="AggregateException">Drivers or device handlers threw; everything else was done.</exception>
    public void Dispose()
    {
        IommuInstance[] instances;
        lock (_topology)
        {
            instances = [.. _instances];
            _instances.Clear();
        }

        var thrown = new List<Exception>();
        foreach (IommuInstance instance in instances)
        {
            foreach (DomainRecord domain in instance.DomainList.ToArray())
            {
                foreach (DeviceRecord device in domain.DeviceList.ToArray())
                {
                    Attempt(() => RemoveDevice(device), thrown);
                }

                Attempt(() => RemoveDomain(domain), thrown);
            }
        }

        // What keeps its PASID until its process dies has no process to wait for any more.
        foreach (ProcessRecord process in _bindings.TakeAll())
        {
            Attempt(() => _bindings.Teardown(process), thrown);
        }

        foreach (IommuInstance instance in instances)
        {
            Attempt(instance.Unit.Dispose, thrown);
        }

        if (thrown.Count > 0)
        {
            throw new AggregateException("Drivers or device handlers threw while the system was being taken down.",
                thrown);
        }
    }

    [SuppressMessage("Design", "CA1031", Justification = "Collected and rethrown when everything has been tried.")]
    private static void Attempt(Action action, List<Exception> thrown)
    {
        try
        {
            action();
        }
        catch (Exception e)
        {
            thrown.Add(e);
        }
    }

    /// <summary>An open read section; dispose it once to leave.</summary>
    public readonly struct ReadSection : IDisposable
    {
        private readonly GracePeriod.ReadSection _section;
        internal ReadSection(GracePeriod.ReadSection section) => _section = section;

        /// <summary>Leaves the section.</summary>
        public void Dispose() => _section.Leave();
    }
}
