using Microsoft.Extensions.Options;
using PasidFramework.Allocation;
using PasidFramework.Drivers;
using PasidFramework.Options;
using PasidFramework.Processes;
using PasidFramework.Spaces;

namespace PasidFramework;

/// <summary>Flags of a bind; none is defined yet, an unknown one is EINVAL.</summary>
[Flags]
public enum BindFlags
{
    /// <summary>None.</summary>
    None = 0,
}

/// <summary>Why a binding ended.</summary>
public enum UnbindCause
{
    /// <summary>The device's driver asked for it.</summary>
    Unbind,

    /// <summary>The process died or executed another program.</summary>
    Exit,

    /// <summary>The device was removed.</summary>
    DeviceRemoved,
}

/// <summary>
/// Told of everything that happens to numbers and bindings, in the order in which it happens. Called outside of the
/// domain's gate; keep it short. Every member has an empty default.
/// </summary>
public interface ICoreObserver
{
    /// <summary>A number was taken for a process.</summary>
    void Allocated(PasidSpace space, Pasid pasid, IAddressSpace process)
    {
    }

    /// <summary>A number went back to its space's allocator.</summary>
    void Freed(PasidSpace space, Pasid pasid, IAddressSpace process)
    {
    }

    /// <summary>A process was bound to a device.</summary>
    void Bound(Device device, Pasid pasid, IAddressSpace process)
    {
    }

    /// <summary>A binding ended.</summary>
    void Unbound(Device device, Pasid pasid, IAddressSpace process, UnbindCause cause)
    {
    }

    /// <summary>A bound process died; its bindings are torn down next.</summary>
    void Exited(IAddressSpace process)
    {
    }

    /// <summary>A bind or unbind was refused.</summary>
    /// <param name="device">The device.</param>
    /// <param name="process">The process of a bind; null for an unbind of an unknown number.</param>
    /// <param name="refusal">Error and reason.</param>
    void Refused(Device device, IAddressSpace? process, OpResult refusal)
    {
    }
}

/// <summary>
/// The binding façade: processes, devices and numbers of one system. A bind walks from here to the space (number), the
/// context (link), the driver (entry and commands), and straight back.
/// </summary>
public sealed class IommuCore : IDisposable
{
    /// <summary>Starts an empty system.</summary>
    /// <param name="options">Validated options.</param>
    /// <param name="allocators">Additional allocation policies by name (plug-ins); the built-in ones are always there.</param>
    /// <param name="observer">Told of everything; may be null.</param>
    /// <param name="time">The clock; the system's by default.</param>
    public IommuCore(
        IOptions<PasidOptions> options,
        IReadOnlyDictionary<string, IPasidAllocatorFactory>? allocators = null,
        ICoreObserver? observer = null,
        TimeProvider? time = null) => throw new NotImplementedException();

    /// <summary>Adds a unit that a driver started.</summary>
    public IommuInstance AddInstance(string driverName, IIommuUnit unit) => throw new NotImplementedException();

    /// <summary>Makes a domain: devices that share one PASID table.</summary>
    /// <param name="instance">The unit.</param>
    /// <param name="name">Name for messages.</param>
    /// <param name="pasidBits">Width of the table in bits, 1 to 20; cut to what the unit supports.</param>
    /// <param name="nesting">Whether a guest owns its tables; then it refuses bindings.</param>
    public OpResult<Domain> CreateDomain(IommuInstance instance, string name, int pasidBits, bool nesting = false) => throw new NotImplementedException();

    /// <summary>Puts a device into a domain.</summary>
    public OpResult<Device> AddDevice(
        Domain domain, string name, RequesterId requester, PasidRange range, DeviceFeatures features = DeviceFeatures.None) => throw new NotImplementedException();

    /// <summary>Ends all bindings of a device and takes it away.</summary>
    public OpResult RemoveDevice(Device device) => throw new NotImplementedException();

    /// <summary>Takes an empty domain away; EBUSY while devices are in it.</summary>
    public OpResult RemoveDomain(Domain domain) => throw new NotImplementedException();

    /// <summary>Binds a process to a device.</summary>
    /// <returns>The process's number on that device, or a refusal (C16).</returns>
    public OpResult<Pasid> Bind(Device device, IAddressSpace process, BindFlags flags = BindFlags.None) => throw new NotImplementedException();

    /// <summary>Ends one binding. The caller has stopped the device's work with this number.</summary>
    /// <returns>Success; ESRCH where this device has no such binding.</returns>
    public OpResult Unbind(Device device, Pasid pasid) => throw new NotImplementedException();

    /// <summary>Ends all bindings of a device.</summary>
    public OpResult UnbindAll(Device device) => throw new NotImplementedException();

    /// <summary>An address space ended: ends all its bindings.</summary>
    public void ProcessEnded(IAddressSpace process) => throw new NotImplementedException();

    /// <summary>Mappings of [start, end) of a process changed: tells every unit.</summary>
    public OpResult Invalidate(IAddressSpace process, ulong start, ulong end) => throw new NotImplementedException();

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
