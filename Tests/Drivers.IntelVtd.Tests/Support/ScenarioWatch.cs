// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging;

namespace PasidFramework.Drivers.IntelVtd.Tests;

/// <summary>
/// Checks where a vendor-neutral scenario cannot: at warnings of the driver, at entries that are ill-formed between two
/// stores, at what is not visible to the walker after a call, and at quiet entries that stay.
/// </summary>
internal sealed class ScenarioWatch(ScenarioSetup setup) : IPasidDriver, IIommuModelFactory, ILogger
{
    private static readonly uint[] s_pasids = [0, 62, 63, 64, 65, 0x1FFF, 0x12345];
    private readonly List<string> _warnings = [];
    private readonly RequesterId[] _requesters = [.. setup.Requesters, new RequesterId(0x5500)];
    private string? _illFormed;
    private bool _probing;

    public IIommuHardware CreateHardware(IPhysicalMemory memory, HardwareSetup hardware) =>
        setup.Driver.CreateHardware(memory, hardware);

    public OpResult<IIommuUnit> CreateUnit(UnitSetup unit) => Watched(
        setup.Driver.CreateUnit(unit with { Logger = this }));

    public IIommuModel Create(HardwareSetup hardware, StoreOrder order = StoreOrder.Immediate)
    {
        var model = (VtdModel)setup.Model.Create(hardware, order);
        if (order == StoreOrder.Weak)
        {
            model.ModelMemory.Changed += change => Torn(model, change);
        }

        return model;
    }

    /// <summary>What is wrong after a call; null for nothing.</summary>
    public string? Check(IIommuModel model)
    {
        IModelMemory memory = model.ModelMemory;
        if (_warnings.Count > 0)
        {
            return $"the driver warned: {_warnings[0]}";
        }

        if (_illFormed is not null)
        {
            return $"ill-formed: {_illFormed}";
        }

        ulong rtaddr = model.Registers.Read64(0x20);
        if (!memory.IsBacked(rtaddr & ~0xFFFUL, 4096))
        {
            return null;
        }

        ITableView stored = Open(memory, rtaddr);
        ITableView seen = Open(memory.Device, rtaddr);
        foreach (RequesterId requester in _requesters)
        {
            foreach (uint pasid in s_pasids)
            {
                var access = new DmaAccess(requester, new Pasid(pasid), 0x10000, false);
                TranslationResult want = stored.Walk(access).Result;
                TranslationResult have = seen.Walk(access).Result;
                if (want != have)
                {
                    return Text($"{requester} PASID 0x{pasid:x}: the walker sees {have}, stored is {want}");
                }

                if (want.Status == TranslationStatus.AbortedQuietly)
                {
                    return Text($"{requester} PASID 0x{pasid:x}: a quiet entry stays");
                }

                TranslationResult now = model.Translate(access);
                if (now.Status == TranslationStatus.AbortedQuietly)
                {
                    return Text($"{requester} PASID 0x{pasid:x}: a quiet entry stays cached");
                }

                if (now.Status != want.Status || now.Address != want.Address || Stage(now) != Stage(want))
                {
                    return Text($"{requester} PASID 0x{pasid:x}: cached is {now}, stored is {want}");
                }
            }
        }

        return null;
    }

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

    public void Log<TState>(
        LogLevel logLevel,
        EventId eventId,
        TState state,
        Exception? exception,
        Func<TState, Exception?, string> formatter)
    {
        if (IsEnabled(logLevel))
        {
            _warnings.Add(formatter(state, exception));
        }
    }

    private static ITableView Open(IMemoryReader memory, ulong rtaddr) => Fixture.Ok(new VtdTableReader().Open(
        memory, new Dictionary<string, ulong> { ["RTADDR"] = rtaddr }));

    // What a fault says of the device, of the PASID, or of the page.
    private static int Stage(TranslationResult result) => result.FaultCode >> 4 == 5 ? 5 : result.FaultCode;

    private OpResult<IIommuUnit> Watched(OpResult<IIommuUnit> unit) =>
        unit.IsOk ? OpResult<IIommuUnit>.Ok(new WatchedUnit(unit.Value, _warnings)) : unit;

    // Every set of stores that may have arrived, where they can be distinguished: not in the queue. Read past the
    // caches, which would hide it.
    private void Torn(VtdModel model, MemoryEvent change)
    {
        ulong queue = model.Registers.Read64(0x90) & ~0xFFFUL;
        bool isQueue = change.Address >= queue && change.Address < queue + 8192;
        if (_probing || isQueue || (model.Registers.Read32(0x1C) >> 31) == 0
            || change.Kind is not (MemoryEventKind.Store or MemoryEventKind.Flush))
        {
            return;
        }

        _probing = true;
        ITableView view = Open(model.ModelMemory.Device, model.Registers.Read64(0x20));
        model.ModelMemory.ForEachVisible(() =>
        {
            foreach (RequesterId requester in _requesters)
            {
                foreach (uint pasid in new uint[] { 62, 63, 64, 0x12345 })
                {
                    var access = new DmaAccess(requester, new Pasid(pasid), 0x10000, false);
                    TranslationResult seen = view.Walk(access).Result;
                    if (seen.FaultCode is not (0 or 0x39 or 0x41 or 0x51 or 0x59))
                    {
                        _illFormed ??= Text($"{requester} PASID 0x{pasid:x}: {seen.Reason}");
                    }
                }
            }
        });
        _probing = false;
    }

    /// <summary>Notes what the core keeps to itself: a driver's call that failed.</summary>
    private sealed class WatchedUnit(IIommuUnit unit, List<string> failures) : IIommuUnit
    {
        public string Name => unit.Name;
        public int PasidBits => unit.PasidBits;
        public IReadOnlyList<Pasid> ReservedPasids => unit.ReservedPasids;
        public PasidScope VendorScope => unit.VendorScope;
        public UnitStatistics Statistics => unit.Statistics;
        public OpResult AddDomain(Domain domain) => Note(unit.AddDomain(domain));
        public void RemoveDomain(Domain domain) => unit.RemoveDomain(domain);
        public OpResult AddDevice(Device device) => Note(unit.AddDevice(device));
        public void RemoveDevice(Device device) => unit.RemoveDevice(device);

        public OpResult Attach(IommuContext context, Device device, bool first) =>
            Note(unit.Attach(context, device, first));

        public OpResult Detach(IommuContext context, Device device, bool last) =>
            Note(unit.Detach(context, device, last));

        public OpResult Exit(IommuContext context) => Note(unit.Exit(context));

        public OpResult Invalidate(IommuContext context, IovaRange range) => Note(unit.Invalidate(context, range));

        public void Dispose() => unit.Dispose();

        private OpResult Note(OpResult result)
        {
            if (!result.IsOk)
            {
                failures.Add(result.ToString());
            }

            return result;
        }
    }
}
