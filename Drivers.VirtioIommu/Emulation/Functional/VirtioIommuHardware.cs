// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Emulation.Functional;

/// <summary>A virtio-iommu on plain memory: virtio-mmio registers, feature negotiation, a queue consumer that runs
/// inside QueueNotify, the standard's requests, and one proposal dialect if asked for. Safe for concurrent
/// use.</summary>
/// <remarks>By itself it caches nothing: a forgotten invalidation shows in the log of requests, not in a translation,
/// and process page tables are not walked; a watcher does both. Interrupts are bits of InterruptStatus. Not
/// implemented: DOMAIN_RANGE, indirect descriptors, packed queues, notification suppression by used_event.</remarks>
internal sealed partial class VirtioIommuHardware : IIommuHardware
{
    private readonly HardwareOptions _options;
    private readonly IDeviceWatcher? _watcher;
    private readonly DeviceDomains _domains;
    private readonly DeviceRequests _requests;
    private readonly DeviceQueue[] _queues;
    private readonly Queue<ConsumedRequest> _log = new();
    private SpinGate _gate;
    private uint _deviceFeaturesSel;
    private uint _driverFeaturesSel;
    private uint _queueSel;
    private uint _status;
    private uint _interrupts;
    private bool _bypass;

    /// <exception cref="ArgumentException">An option is not known, or the PASID width is not 0 to 20.</exception>
    /// <param name="tables">Reads tables that are attached; null for a device that supports none.</param>
    public VirtioIommuHardware(IPhysicalMemory memory, HardwareSetup setup, ITableReader? tables = null)
        : this(memory, memory, setup, null, AttachedStructures.Of(tables))
    {
    }

    /// <summary>Makes a device after power-on that sees memory in its own way.</summary>
    /// <param name="watcher">What stands beside it; null for nothing.</param>
    /// <exception cref="ArgumentException">An option is not known, or the PASID width is not 0 to 20.</exception>
    /// <param name="arm">The structures of tables that are attached; null for a device that supports none.</param>
    public VirtioIommuHardware(
        IPhysicalMemory memory,
        IDeviceMemory seen,
        HardwareSetup setup,
        IDeviceWatcher? watcher,
        AttachedStructures? arm)
    {
        ArgumentNullException.ThrowIfNull(memory);
        _options = HardwareOptions.Read(setup);
        _domains = new DeviceDomains(_options, seen, arm, watcher);
        _requests = new DeviceRequests(_options, setup.PasidBits, setup.Coherent, _domains, arm, watcher);
        _bypass = _options.Bypass;
        Memory = memory;
        _watcher = watcher;
        IsCoherent = setup.Coherent;
        Registers = new RegisterFile(this);
        IMemoryReader? stored = ReferenceEquals(memory, seen) ? null : memory;
        _queues = [new DeviceQueue(seen, stored), new DeviceQueue(seen, stored)];
    }

    public IPhysicalMemory Memory { get; }
    public IRegisterFile Registers { get; }
    public bool IsCoherent { get; }

    /// <summary>How many consumed requests are remembered, the newest ones; 0 (the default) for none.</summary>
    public int LogCapacity { get; set; }

    /// <summary>Requests consumed so far, the ones that were not recognised included.</summary>
    public long Consumed { get; private set; }

    /// <summary>Faults that found no buffer in the event queue.</summary>
    public long DroppedEvents { get; private set; }

    public int DomainCount => _domains.Count;

    public ulong OfferedFeatures => FeatureBits.Version1 | FeatureBits.MapUnmap | FeatureBits.Probe
        | (_options.InputBits < 64 ? FeatureBits.InputRange : 0)
        | (_options.Dialect?.AttachFeature ?? 0)
        | (_options.Dialect is V09Dialect ? 0 : FeatureBits.Mmio | FeatureBits.BypassConfig);

    /// <summary>Whether the device is slow: it is told of requests and does not look at them before
    /// <see cref="Work"/>.</summary>
    public bool IsSlow { get; set; }

    /// <inheritdoc cref="DeviceRequests.FailLater"/>
    public void FailLater(int requestsBefore, RequestStatus status)
    {
        using Held held = Hold();
        _requests.FailLater(requestsBefore, status);
    }

    /// <summary>Carries out what waits in the request queue, however slow the device is.</summary>
    public void Work()
    {
        using Held held = Hold();
        ServeRequests();
    }

    public void Freeze(Action action)
    {
        using Held held = Hold();
        action();
    }

    /// <summary>A domain; for the watcher, while the device stands still.</summary>
    public DeviceDomain? FindDomain(uint id) => _domains.Find(id);

    /// <summary>The domain that an endpoint is in; for the watcher, while the device stands still.</summary>
    public DeviceDomain? FindDomainOf(uint endpoint) => _domains.FindOf(endpoint);

    public ConsumedRequest[] TakeLog()
    {
        using Held held = Hold();
        ConsumedRequest[] log = [.. _log];
        _log.Clear();
        return log;
    }

    public TranslationResult Translate(in DmaAccess access)
    {
        using Held held = Hold();
        return TranslateLocked(access);
    }

    public void Dispose()
    {
        // Nothing of the device lives outside of its own objects; the memory belongs to whoever made it.
    }

    private Held Hold()
    {
        _gate.Enter();
        return new Held(this);
    }

    private TranslationResult TranslateLocked(in DmaAccess access)
    {
        if (_domains.FindOf(access.Requester.Value) is not { } domain)
        {
            return _bypass && access.Pasid is null
                ? new TranslationResult(TranslationStatus.Bypassed, access.Address, 0, 0, null)
                : Fault(FaultReason.Domain, access, "the endpoint is in no domain");
        }

        if (domain.Table is not null)
        {
            WalkResult walk = _watcher?.Walk(domain, access) ?? WalkResult.Of(domain.View!.Walk(access));
            return walk.Status == TranslationStatus.Faulted
                ? Fault(walk.IsMapping ? FaultReason.Mapping : FaultReason.Domain, access, walk.Reason!)
                : new TranslationResult(
                    walk.Status, walk.Status == TranslationStatus.Bypassed ? access.Address : walk.Address,
                    walk.PageTableRoot, 0, null);
        }

        if (access.Pasid is not null)
        {
            return Fault(FaultReason.Domain, access, "a domain of mappings has no PASIDs");
        }

        if (domain.Bypass)
        {
            return new TranslationResult(TranslationStatus.Bypassed, access.Address, 0, 0, null);
        }

        uint need = access.IsWrite ? MapRequest.FlagWrite : MapRequest.FlagRead;
        DeviceMapping? found = _watcher is null ? Find(domain, access.Address) : _watcher.Find(domain, access.Address);
        return found is { } mapping && (mapping.Flags & need) != 0
            ? new TranslationResult(
                TranslationStatus.Translated, mapping.Physical + (access.Address - mapping.Start), 0, 0, null)
            : Fault(FaultReason.Mapping, access, "nothing is mapped there for this kind of access");
    }

    public static DeviceMapping? Find(DeviceDomain domain, ulong address)
    {
        foreach (DeviceMapping mapping in domain.Mappings.Values)
        {
            if (address >= mapping.Start && address <= mapping.Last)
            {
                return mapping;
            }
        }

        return null;
    }

    private TranslationResult Fault(FaultReason reason, in DmaAccess access, string why)
    {
        Span<ulong> words = stackalloc ulong[3];
        words.Clear();
        words.Set(FaultEvent.Reason, (ulong)reason);
        words.Set(
            FaultEvent.Flags, FaultEvent.FlagAddress | (access.IsWrite ? FaultEvent.FlagWrite : FaultEvent.FlagRead));
        words.Set(FaultEvent.Endpoint, access.Requester.Value);
        words.Set(FaultEvent.Address, access.Address);
        if (_options.Dialect is V09Dialect && _requests.Has(FeatureBits.ProposalBAttachTable))
        {
            words.Set(FaultEvent.Pasid, access.Pasid?.Value ?? 0);
        }

        PostEvent(words);
        return new TranslationResult(TranslationStatus.Faulted, 0, 0, (int)reason, Text(
            $"virtio-iommu {reason} fault (reason {(int)reason}): {why}"));
    }

    private readonly ref struct Held(VirtioIommuHardware device)
    {
        public void Dispose() => device._gate.Exit();
    }
}
