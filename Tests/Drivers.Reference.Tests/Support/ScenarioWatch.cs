// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging;

namespace PasidFramework.Drivers.Reference.Tests;

/// <summary>
/// Checks where a vendor-neutral scenario cannot: at warnings of the driver, at entries that are ill-formed between two
/// stores, and at what is not visible to the walker after a call. It also breaks a command where one is named.
/// </summary>
internal sealed class ScenarioWatch(ScenarioSetup setup, CommandMutation? mutation)
    : IPasidDriver, IIommuModelFactory, ILogger
{
    private static readonly uint[] s_pasids = [0, 62, 63, 64, 65, 0x1FF, 0x12345];
    private readonly MutantModelFactory _models = new(setup.Model, mutation);
    private readonly List<string> _warnings = [];
    private readonly RequesterId[] _requesters = [.. setup.Requesters, new RequesterId(0x355)];
    private readonly HashSet<(ulong Address, ulong Word0, ulong Word1)> _seen = [];
    private readonly Dictionary<ulong, (ulong Word0, ulong Word1)> _entries = [];
    private string? _illFormed;
    private bool _probing;

    /// <summary>The registers that the driver had.</summary>
    public MutantRegisters Registers => _models.Registers;

    public IIommuHardware CreateHardware(IPhysicalMemory memory, HardwareSetup hardware) =>
        setup.Driver.CreateHardware(memory, hardware);

    public OpResult<IIommuUnit> CreateUnit(UnitSetup unit)
    {
        OpResult<IIommuUnit> made = setup.Driver.CreateUnit(unit with { Logger = this });
        return made.IsOk ? OpResult<IIommuUnit>.Ok(new WatchedUnit(made.Value, _models.Registers)) : made;
    }

    public IIommuModel Create(HardwareSetup hardware, StoreOrder order = StoreOrder.Immediate)
    {
        IIommuModel model = _models.Create(hardware, order);
        model.ModelMemory.Changed += change => Torn(model, change);
        return model;
    }

    /// <summary>What is wrong after a call; null for nothing.</summary>
    public string? Check(IIommuModel model)
    {
        if (_warnings.Count > 0)
        {
            return $"the driver warned: {_warnings[0]}";
        }

        if (_illFormed is not null)
        {
            return $"ill-formed: {_illFormed}";
        }

        if (Registers.LeavesRunning)
        {
            return "a command is running when the call has returned";
        }

        if (!IsOn(model))
        {
            return null;
        }

        // D2: what a walker may have seen of an entry while it was valid is what it was or what it is.
        Dictionary<ulong, (ulong, ulong)> before = new(_entries);
        foreach (ulong at in _seen.Select(s => s.Address).Distinct())
        {
            _entries[at] = (model.ModelMemory.ReadQword(at), model.ModelMemory.ReadQword(at + 8));
        }

        foreach ((ulong at, ulong word0, ulong word1) in _seen)
        {
            if ((word0, word1) != _entries[at]
                && (!before.TryGetValue(at, out (ulong, ulong) old) || (word0, word1) != old))
            {
                return Text($"torn entry at 0x{at:x}: 0x{word0:x} 0x{word1:x}");
            }
        }

        _seen.Clear();
        ITableView stored = Open(model, model.ModelMemory);
        ITableView seen = Open(model, model.ModelMemory.Device);
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
                if (now.Status != want.Status || now.Address != want.Address || now.FaultCode != want.FaultCode)
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

    private static bool IsOn(IIommuModel model) =>
        model.Registers.Read64(Formats.Registers.CONTROL).Has(Control.ENABLED);

    private static ITableView Open(IIommuModel model, IMemoryReader memory)
    {
        OpResult<ITableView> view = new ReferenceTableReader().Open(memory, new Dictionary<string, ulong>
        {
            ["DEVICE_TABLE"] = model.Registers.Read64(Formats.Registers.DEVICE_TABLE),
        });
        Assert.True(view.IsOk, view.ToString());
        return view.Value;
    }

    // Every set of stores that may have arrived, read past the caches, which would hide it.
    private void Torn(IIommuModel model, MemoryEvent change)
    {
        if (_probing || !IsOn(model) || change.Kind is not (MemoryEventKind.Store or MemoryEventKind.Flush))
        {
            return;
        }

        _probing = true;
        ITableView view = Open(model, model.ModelMemory.Device);
        model.ModelMemory.ForEachVisible(() =>
        {
            foreach (RequesterId requester in _requesters)
            {
                foreach (uint pasid in s_pasids)
                {
                    var access = new DmaAccess(requester, new Pasid(pasid), 0x10000, false);
                    TableWalk walk = view.Walk(access);
                    TranslationResult seen = walk.Result;
                    TableStep? entry = walk.Steps.FirstOrDefault(step => step.Structure == PasidEntry.Layout.Id);
                    if (entry is { Words.Count: 2 }
                        && entry.Words[0].Has(PasidEntry.V) && !entry.Words[0].Has(PasidEntry.Q))
                    {
                        _seen.Add((entry.Address, entry.Words[0], entry.Words[1]));
                    }

                    if ((FaultCode)seen.FaultCode is FaultCode.DeviceIllFormed or FaultCode.DirectoryIllFormed
                        or FaultCode.EntryIllFormed or FaultCode.PageIllFormed)
                    {
                        _illFormed ??= Text($"{requester} PASID 0x{pasid:x}: {seen.Reason}");
                    }
                }
            }
        });
        _probing = false;
    }

    /// <summary>Marks where an operation of the contract ends.</summary>
    private sealed class WatchedUnit(IIommuUnit unit, MutantRegisters registers) : IIommuUnit
    {
        public string Name => unit.Name;
        public int PasidBits => unit.PasidBits;
        public IReadOnlyList<Pasid> ReservedPasids => unit.ReservedPasids;
        public PasidScope VendorScope => unit.VendorScope;
        public UnitStatistics Statistics => unit.Statistics;
        public IPasidAllocator? CreateAllocator(PasidRange range) => unit.CreateAllocator(range);
        public OpResult AddDomain(Domain domain) => Ended(unit.AddDomain(domain));

        public void RemoveDomain(Domain domain)
        {
            unit.RemoveDomain(domain);
            registers.EndOperation();
        }

        public OpResult AddDevice(Device device) => Ended(unit.AddDevice(device));

        public void RemoveDevice(Device device)
        {
            unit.RemoveDevice(device);
            registers.EndOperation();
        }

        public OpResult<object?> AllocateProcess(IommuProcess process) => unit.AllocateProcess(process);

        public void FreeProcess(IommuProcess process, object? driverProcess) =>
            unit.FreeProcess(process, driverProcess);

        public OpResult Attach(IommuContext context, Device device, bool first) =>
            Ended(unit.Attach(context, device, first));

        public OpResult Detach(IommuContext context, Device device, bool last) =>
            Ended(unit.Detach(context, device, last));

        public OpResult Exit(IommuContext context) => Ended(unit.Exit(context));

        public OpResult Invalidate(IommuContext context, IovaRange range) => Ended(unit.Invalidate(context, range));

        public void Dispose() => unit.Dispose();

        private OpResult Ended(OpResult result)
        {
            registers.EndOperation();
            return result;
        }
    }
}
