// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Tests.Support;

/// <summary>
/// Passes everything on to a unit and remembers what it refused, also where the core has nobody to tell it to (an
/// exit),
/// and who should be attached and bound.
/// </summary>
internal sealed class WatchedUnit(IIommuUnit inner) : IIommuUnit
{
    private readonly HashSet<uint> _removed = [];
    private readonly HashSet<(Domain Domain, uint Endpoint, uint Pasid)> _ended = [];
    private string? _refusal;
    public string Name => inner.Name;
    public int PasidBits => inner.PasidBits;
    public IReadOnlyList<Pasid> ReservedPasids => inner.ReservedPasids;
    public PasidScope VendorScope => inner.VendorScope;
    public UnitStatistics Statistics => inner.Statistics;
    public IPasidAllocator? CreateAllocator(PasidRange range) => inner.CreateAllocator(range);
    public OpResult AddDomain(Domain domain) => Note(inner.AddDomain(domain));
    public void RemoveDomain(Domain domain) => inner.RemoveDomain(domain);

    public OpResult AddDevice(Device device)
    {
        OpResult added = Note(inner.AddDevice(device));
        _removed.Remove(device.Requester.Value);
        _ended.RemoveWhere(ended => ended.Endpoint == device.Requester.Value);
        return added;
    }

    public void RemoveDevice(Device device)
    {
        inner.RemoveDevice(device);
        _removed.Add(device.Requester.Value);
    }

    public OpResult<object?> AllocateProcess(IommuProcess process) => inner.AllocateProcess(process);
    public void FreeProcess(IommuProcess process, object? driverProcess) => inner.FreeProcess(process, driverProcess);

    public OpResult Attach(IommuContext context, Device device, bool first)
    {
        OpResult attached = Note(inner.Attach(context, device, first));
        _ended.RemoveWhere(ended => ended.Domain == context.Domain && ended.Pasid == context.Pasid.Value);
        return attached;
    }

    public OpResult Detach(IommuContext context, Device device, bool last)
    {
        OpResult detached = Note(inner.Detach(context, device, last));
        if (last)
        {
            _ended.Add((context.Domain, device.Requester.Value, context.Pasid.Value));
        }

        return detached;
    }

    public OpResult Exit(IommuContext context) => Note(inner.Exit(context));

    public OpResult Invalidate(IommuContext context, IovaRange range) => Note(inner.Invalidate(context, range));

    public void Dispose()
    {
        inner.Dispose();
        _removed.Clear();
        _ended.Clear();
    }

    /// <summary>What is not as the core believes it to be; null for nothing.</summary>
    public string? Find(VirtioIommuModel model)
    {
        if (_refusal is not null)
        {
            return "refused: " + _refusal;
        }

        foreach (ConsumedRequest request in model.Device.TakeLog())
        {
            if (request.Status != 0)
            {
                return $"refused: request type {request.Bytes[0]} was answered with {request.Status}";
            }
        }

        foreach (uint endpoint in _removed)
        {
            if (model.Find(endpoint, 0).Domain is { } domain)
            {
                return $"left behind: the removed endpoint 0x{endpoint:x} is in domain {domain}";
            }
        }

        foreach ((_, uint endpoint, uint pasid) in _ended)
        {
            if (model.Find(endpoint, pasid).HasEntry)
            {
                return $"left behind: PASID 0x{pasid:x} of endpoint 0x{endpoint:x} has an entry";
            }
        }

        return null;
    }

    private OpResult Note(OpResult result)
    {
        _refusal ??= result.IsOk ? null : result.ToString();
        return result;
    }
}

/// <summary>Models that remember every request.</summary>
/// <param name="cold">Whether they keep nothing, as hardware may.</param>
internal sealed class LoggedModelFactory(bool cold) : IIommuModelFactory
{
    public IIommuModel Create(HardwareSetup setup, StoreOrder order = StoreOrder.Immediate)
    {
        var factory = new VirtioIommuModelFactory { ArmSmmuV3Reader = new ArmSmmu.Reader.SmmuTableReader() };
        var model = (VirtioIommuModel)factory.Create(setup, order);
        model.Device.LogCapacity = 1024;
        model.KeepsNothing = cold;
        return model;
    }
}
