using System.Globalization;
using Microsoft.Extensions.Logging;
using PasidFramework.Drivers.IntelVtd.Model;
using PasidFramework.Drivers.IntelVtd.Tables;
using PasidFramework.Hardware;
using PasidFramework.ModelHarness;
using PasidFramework.Models;
using PasidFramework.Tables;

namespace PasidFramework.Drivers.IntelVtd.Tests;

/// <summary>
/// Looks where a vendor-neutral scenario cannot: at warnings of the driver, at entries that are ill-formed between two
/// stores, at what is not visible to the walker after a call, and at quiet entries that stay.
/// </summary>
internal sealed class ScenarioWatch(ScenarioSetup setup) : IPasidDriver, IIommuModelFactory, ILogger
{
    private static readonly uint[] s_pasids = [0, 62, 63, 64, 65, 0x1FFF, 0x12345];

    private readonly List<string> _warnings = [];
    private readonly RequesterId[] _requesters = [.. setup.Requesters, new RequesterId(0x5500)];
    private bool _probing;

    public IIommuHardware CreateHardware(IPhysicalMemory memory, HardwareSetup hardware) =>
        setup.Driver.CreateHardware(memory, hardware);

    public OpResult<IIommuUnit> CreateUnit(UnitSetup unit) => setup.Driver.CreateUnit(unit with { Logger = this });

    public IIommuModel Create(ModelMemory memory, HardwareSetup hardware)
    {
        var model = (VtdModel)setup.Model.Create(memory, hardware);
        if (memory.Order == StoreOrder.Weak)
        {
            memory.Changed += change => Torn(model, change);
        }

        return model;
    }

    /// <summary>What is wrong after a call; null for nothing.</summary>
    public string? Check(IIommuModel model)
    {
        ModelMemory memory = model.ModelMemory;
        if (_warnings.Count > 0)
        {
            return $"the driver warned: {_warnings[0]}";
        }

        if (((VtdModel)model).IllFormed is { } entry)
        {
            return $"ill-formed: {entry}";
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

                TranslationStatus now = model.Translate(access).Status;
                if (now == TranslationStatus.AbortedQuietly)
                {
                    return Text($"{requester} PASID 0x{pasid:x}: a quiet entry stays cached");
                }
            }
        }

        return null;
    }

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (IsEnabled(logLevel))
        {
            _warnings.Add(formatter(state, exception));
        }
    }

    private static ITableView Open(IMemoryReader memory, ulong rtaddr) => Rig.Ok(new VtdTableReader().Open(
        memory, new Dictionary<string, ulong> { ["RTADDR"] = rtaddr }));

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    // Every set of stores that may have arrived, where one can be told from another: not in the queue.
    private void Torn(VtdModel model, MemoryEvent change)
    {
        ulong queue = model.Registers.Read64(0x90) & ~0xFFFUL;
        bool isQueue = change.Address >= queue && change.Address < queue + 8192;
        if (_probing || isQueue || change.Kind is not (MemoryEventKind.Store or MemoryEventKind.Flush))
        {
            return;
        }

        _probing = true;
        model.ModelMemory.ForEachVisible(() =>
        {
            foreach (RequesterId requester in _requesters)
            {
                model.Translate(new DmaAccess(requester, new Pasid(62), 0x10000, false));
                model.Translate(new DmaAccess(requester, new Pasid(64), 0x10000, false));
            }
        });
        _probing = false;
    }
}
