// SPDX-License-Identifier: Apache-2.0
using System.Collections.ObjectModel;

namespace PasidFramework.Drivers.VirtioIommu.Emulation.Caching;

/// <summary>A virtio-iommu that is as strict as one may be: it reads and writes memory only as a device does, keeps
/// level 1 descriptors, context descriptors and translations until a request names them, walks Arm stage 1 page tables,
/// and writes down what a driver does that no status tells.</summary>
/// <remarks>
/// <para>The requests, registers and rings are those of <see cref="VirtioIommuHardware"/>; this class watches it. An
/// invalidation acts when its used element is written: what the driver does before that meets the old entries.</para>
/// <para>Safe for concurrent use: everything happens under the device's lock.</para>
/// </remarks>
internal sealed class VirtioIommuModel : IIommuModel, IDeviceWatcher
{
    private readonly VirtioIommuHardware _device;
    private readonly ModelCaches _caches;
    private readonly RingWatch _rings;
    private readonly ViolationLog _log;
    private readonly AttachedTables _tables;
    private bool _settles;
    private ulong? _settled;

    /// <param name="tables">Reads tables that are attached; null for a model that supports none.</param>
    public VirtioIommuModel(ModelMemory memory, HardwareSetup setup, ITableReader? tables = null)
    {
        AttachedStructures? arm = AttachedStructures.Of(tables);
        ModelMemory = memory;
        _log = new ViolationLog(memory);
        _tables = new AttachedTables(memory, _log, arm);
        _caches = new ModelCaches(memory, _tables, _log, arm);
        _rings = new RingWatch(memory, _log, OnShown);
        _device = new VirtioIommuHardware(memory, memory.Device, setup, this, arm);
        memory.Changed += OnMemory;
    }

    public ModelMemory ModelMemory { get; }

    IModelMemory IIommuModel.ModelMemory => ModelMemory;

    public IPhysicalMemory Memory => ModelMemory;
    public IRegisterFile Registers => _device.Registers;
    public bool IsCoherent => _device.IsCoherent;

    /// <summary>Whether everything is forgotten before every access, as hardware may; for tests.</summary>
    internal bool KeepsNothing { get; set; }

    internal VirtioIommuHardware Device => _device;
    public IReadOnlyList<ProtocolViolation> Violations => _log.All();

    public IReadOnlyList<CachedItem> Cached
    {
        get
        {
            IReadOnlyList<CachedItem> all = [];
            _device.Freeze(() => all = _caches.List());
            return all;
        }
    }

    public void DropCaches() => _device.Freeze(_caches.DropAll);

    /// <remarks>The parameters of the attach request, by the names of proposal B.</remarks>
    public IReadOnlyDictionary<string, ulong> TableRoots(RequesterId requester)
    {
        DeviceTable? attached = null;
        _device.Freeze(() => attached = _device.FindDomainOf(requester.Value)?.Table);
        return attached is not { } table ? ReadOnlyDictionary<string, ulong>.Empty : new Dictionary<string, ulong>
        {
            ["s1contextptr"] = table.S1ContextPtr,
            ["s1fmt"] = (ulong)table.S1Fmt,
            ["s1cdmax"] = (ulong)table.S1CdMax,
            ["s1dss"] = (ulong)table.S1Dss,
        };
    }

    public TranslationResult Translate(in DmaAccess access)
    {
        if (KeepsNothing)
        {
            DropCaches();
        }

        return _device.Translate(access);
    }

    public void Dispose()
    {
        ModelMemory.Changed -= OnMemory;
        _device.Dispose();
    }

    /// <summary>Something that is kept and is not what the driver has stored; null for nothing. Between two calls of a
    /// correct driver there is none.</summary>
    internal string? FindStale()
    {
        string? found = null;
        _device.Freeze(() => found = _caches.FindStale());
        return found;
    }

    /// <summary>The domain that an endpoint is in, and whether a PASID of it has a valid descriptor in
    /// memory.</summary>
    internal (uint? Domain, bool HasEntry) Find(uint endpoint, uint pasid)
    {
        (uint?, bool) found = (null, false);
        _device.Freeze(() =>
        {
            if (_device.FindDomainOf(endpoint) is { } domain)
            {
                found = (domain.Id, domain.Table is { } table && _tables.HasDescriptor(table, pasid));
            }
        });
        return found;
    }

    WalkResult IDeviceWatcher.Walk(DeviceDomain domain, in DmaAccess access) => _caches.Walk(domain, access);

    DeviceMapping? IDeviceWatcher.Find(DeviceDomain domain, ulong address) => _caches.Find(domain, address);

    void IDeviceWatcher.ReportViolation(string rule, InvariantText message) => _log.Report(rule, Text(message));

    void IDeviceWatcher.QueueReady(int index, DeviceQueue queue) => _rings.Enabled(index, queue);

    void IDeviceWatcher.Doorbell(int index, DeviceQueue queue) => _rings.Doorbell(index);

    void IDeviceWatcher.Returned(int index, int head) => _rings.Returned(index, head);

    void IDeviceWatcher.Completed()
    {
        if (_settles)
        {
            _settles = false;
            ModelMemory.Settle();
        }
        else if (_settled is { } address)
        {
            ModelMemory.Settle(address, AttachedStructures.DescriptorBytes);
        }

        _settled = null;
    }

    void IDeviceWatcher.Created(DeviceDomain domain)
    {
        // No walk that is under way can have to do with a table that the device did not know.
        _tables.Created(domain);
        _settles |= domain.Table is not null;
    }

    void IDeviceWatcher.Left(uint endpoint, DeviceDomain domain)
    {
        _caches.Left(endpoint, domain);
        if (domain.Endpoints == 0)
        {
            _tables.Ended(domain.Id);
        }
    }

    void IDeviceWatcher.Unmapped(DeviceDomain domain, ulong first, ulong last) => _caches.Unmapped(domain, first, last);

    void IDeviceWatcher.Invalidated(DeviceDomain domain, in DeviceInvalidation what)
    {
        _caches.Invalidate(domain, what);
        if (what.Configuration && what.Scope == InvalidationScope.Domain)
        {
            _settles = true;
        }
        else if (what.Configuration && domain.Table is { } table)
        {
            // Only walks to the descriptor that is named are sure to have ended.
            _settled = _tables.FindDescriptor(table, what.Pasid);
        }
    }

    void IDeviceWatcher.Reset()
    {
        _caches.Reset();
        _tables.Reset();
        _rings.Reset();
        _settles = false;
        _settled = null;
    }

    private void OnMemory(MemoryEvent change) => _device.Freeze(() =>
    {
        _rings.Seen(change);
        MemoryEventKind shows = ModelMemory.IsCoherent ? MemoryEventKind.Store : MemoryEventKind.Flush;
        if (change.Kind == shows && _tables.LinksLeaf(change))
        {
            // What was stored to the leaf before cannot be met in parts: no walk came there.
            ModelMemory.Settle();
        }
    });

    // A device may carry a request out as soon as it can see it: the entry that an INVALIDATE of configuration names
    // must be sure to be seen by then, or the device could keep the old one again.
    private ulong? OnShown(int queue, ulong address, int bytes)
    {
        if (queue != QueueIndex.Request || bytes < ProposalBInvalidate.DriverBytes
            || !ModelMemory.IsBacked(address, bytes))
        {
            return null;
        }

        Span<ulong> words = stackalloc ulong[2];
        words[0] = ModelMemory.ReadQword(address & ~7UL);
        words[1] = ModelMemory.ReadQword((address & ~7UL) + 8);
        if (words.Get(RequestHead.Type) != (ulong)RequestType.Invalidate
            || _device.FindDomain((uint)words.Get(ProposalBInvalidate.Domain)) is not { Table: { } table } domain)
        {
            return null;
        }

        uint pasid = (uint)words.Get(ProposalBInvalidate.Pasid);
        if (!_tables.IsSettled(table, pasid))
        {
            _log.Report("virtio-table-order",
                $"an INVALIDATE of domain {domain.Id} is offered before the entry that it names is sure to be seen");
        }

        return _tables.FindDescriptor(table, pasid);
    }
}
