// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Options;
using PasidFramework.Engine;
using PasidFramework.Hardware;

namespace PasidFramework.Comparison.Replay;

/// <summary>One run: a workload through the core and the drivers under one policy, on memory of its own.</summary>
internal sealed class PolicyReplay : ICoreObserver, IDisposable
{
    private readonly Scenario _scenario;
    private readonly Workload _workload;
    private readonly IReplaySink _sink;
    private readonly TraceClock _clock = new();
    private readonly SystemMemory _memory = new();
    private readonly List<IIommuHardware> _hardware = [];
    private readonly List<Unit> _units = [];
    private readonly List<Domain> _domains = [];
    private readonly Device[] _devices;
    private readonly string[] _drivers;
    private readonly IommuCore _core;
    private readonly int[] _unitOf;
    private readonly List<ReplayEvent> _happened = [];
    private readonly long[] _commands;
    private readonly long[] _tableBytes;
    private int _happenedCount;
    private ReplayOperation _operation;
    private string _cause = string.Empty;
    private long _calls;
    private bool _isDisposed;

    public PolicyReplay(
        Scenario scenario,
        Workload workload,
        IOptions<PasidOptions> options,
        IReadOnlyDictionary<string, IPasidAllocatorFactory> allocators,
        IReplaySink sink)
    {
        _scenario = scenario;
        _workload = workload;
        _sink = sink;
        _drivers = [.. scenario.Instances.Select(i => i.Driver).Distinct().Order(StringComparer.Ordinal)];
        _devices = new Device[scenario.Devices.Count];
        _unitOf = new int[scenario.Devices.Count];
        _commands = new long[_drivers.Length];
        _tableBytes = new long[_drivers.Length];
        _clock.MoveTo(workload.FirstNanoseconds);
        _core = new IommuCore(options, allocators, this, _clock);
    }

    /// <summary>Names of the scenario's drivers in ordinal order.</summary>
    public IReadOnlyList<string> Drivers => _drivers;

    /// <summary>Starts the units and makes domains and devices.</summary>
    /// <returns>What a driver or the core refused, as an error of the scenario; null for success.</returns>
    public InputError? SetUp(IReadOnlyDictionary<string, IPasidDriver> drivers)
    {
        Enter(ReplayOperation.Setup, string.Empty);
        var instances = new Dictionary<string, IommuInstance>(StringComparer.Ordinal);
        foreach (ScenarioInstance instance in _scenario.Instances)
        {
            OpResult<IIommuUnit> unit = Start(instance, drivers[instance.Driver]);
            if (!unit.IsOk)
            {
                return Refused(instance.Line, $"instance {instance.Name}, driver {instance.Driver}", unit.Outcome);
            }

            instances[instance.Name] = _core.AddInstance(instance.Driver, unit.Value);
            _units.Add(new Unit(unit.Value, Array.IndexOf(_drivers, instance.Driver)));
        }

        InputError? error = AddDevices(instances);
        if (error is not null)
        {
            return error;
        }

        _ = Add(ReplayEventKind.Setup);
        Leave();
        return null;
    }

    /// <summary>Carries out the steps, then ends the run while all tables still stand.</summary>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public void Run(Action<long>? stepsDone, CancellationToken cancellation)
    {
        Workload.Reader steps = _workload.Open();
        for (long i = 0; steps.TryRead(out WorkloadStep step); i++)
        {
            if ((i & 0xFF) == 0)
            {
                cancellation.ThrowIfCancellationRequested();
                stepsDone?.Invoke(i);
            }

            _clock.MoveTo(step.Nanoseconds);
            switch (step.Kind)
            {
                case StepKind.Bind:
                    Bind(step);
                    break;
                case StepKind.Unbind:
                    Unbind(step.Process, step.Bind, "hold");
                    break;
                case StepKind.End:
                    End(step.Process);
                    break;
                default:
                    Skip(step);
                    break;
            }
        }

        stepsDone?.Invoke(_workload.Steps);
        _clock.MoveTo(_workload.LastNanoseconds);
        Enter(ReplayOperation.End, string.Empty);
        _ = Add(ReplayEventKind.End);
        Leave();
    }

    /// <summary>Removes everything and counts what was not given back.</summary>
    /// <exception cref="InvalidOperationException">PASIDs, driver records or memory leaked: a defect of core or
    /// driver.</exception>
    public void TearDown()
    {
        foreach (Device device in _devices)
        {
            Require(_core.RemoveDevice(device), $"device {device.Name}");
        }

        foreach (Domain domain in _domains)
        {
            int live = domain.Space.LiveCount - domain.Space.RetiredCount;
            if (live != 0)
            {
                throw new InvalidOperationException(Text(
                    $"space {domain.Space.Name}: {live} PASIDs were not given back"));
            }

            Require(_core.RemoveDomain(domain), $"domain {domain}");
        }

        if (_core.ProcessCount != 0 || _core.PendingReclaims != 0)
        {
            throw new InvalidOperationException(Text(
                $"{_core.ProcessCount} processes and {_core.PendingReclaims} driver records were not given back"));
        }

        Dispose();
        if (_memory.AllocatedBytes != 0)
        {
            throw new InvalidOperationException(Text(
                $"{_memory.AllocatedBytes} bytes of page memory were not given back"));
        }
    }

    public void Dispose()
    {
        if (_isDisposed)
        {
            return;
        }

        _isDisposed = true;
        _core.Dispose();
        foreach (IIommuHardware hardware in _hardware)
        {
            hardware.Dispose();
        }
    }

    void ICoreObserver.Allocated(PasidSpace space, Pasid pasid, IAddressSpace process) =>
        Add(ReplayEventKind.Allocate, process, null, space, pasid);

    void ICoreObserver.Freed(PasidSpace space, Pasid pasid, IAddressSpace process) =>
        Add(ReplayEventKind.Free, process, null, space, pasid);

    void ICoreObserver.Bound(Device device, Pasid pasid, IAddressSpace process) =>
        Add(ReplayEventKind.Bind, process, device, device.Domain.Space, pasid);

    void ICoreObserver.Unbound(Device device, Pasid pasid, IAddressSpace process, UnbindCause cause) =>
        Add(ReplayEventKind.Unbind, process, device, device.Domain.Space, pasid, _cause);

    void ICoreObserver.Exited(IAddressSpace process) =>
        Add(ReplayEventKind.Exit, process, null, null, null, _cause);

    void ICoreObserver.Refused(Device device, IAddressSpace? process, OpResult refusal)
    {
        ReplayEvent refused = Add(ReplayEventKind.Refuse, process, device, device.Domain.Space, null);
        refused.Errno = refusal.Errno;
        refused.Reason = refusal.Reason;
    }

    private static void Require(OpResult result, string what)
    {
        if (!result.IsOk)
        {
            throw new InvalidOperationException($"{what} could not be removed: {result}");
        }
    }

    private static string CauseOf(LifeEnd end) => end switch
    {
        LifeEnd.Exit => "exit",
        LifeEnd.Exec => "exec",
        LifeEnd.TraceEnd => "trace-end",
        _ => "lost",
    };

    private InputError Refused(int line, string what, OpResult refusal) => new(
        _scenario.File, line, $"{what} was refused: {refusal}; expected settings that the driver accepts");

    private OpResult<IIommuUnit> Start(ScenarioInstance instance, IPasidDriver driver)
    {
        IIommuHardware hardware;
        try
        {
            hardware = driver.CreateHardware(_memory, new HardwareSetup
            {
                PasidBits = instance.PasidBits,
                Coherent = instance.IsCoherent,
                Options = instance.HardwareOptions,
            });
        }
        catch (ArgumentException e)
        {
            // Hardware has no result to refuse a setting with; the setting is the user's all the same.
            return OpResult<IIommuUnit>.Refuse(Errno.EINVAL, e.Message);
        }

        _hardware.Add(hardware);
        return driver.CreateUnit(new UnitSetup
        {
            Name = instance.Name,
            Hardware = hardware,
            PasidBits = instance.PasidBits,
            Options = instance.Options,
            Time = _clock,
        });
    }

    private InputError? AddDevices(Dictionary<string, IommuInstance> instances)
    {
        var domains = new Dictionary<(string Instance, string Domain), Domain>();
        for (int i = 0; i < _scenario.Devices.Count; i++)
        {
            ScenarioDevice device = _scenario.Devices[i];
            if (!domains.TryGetValue((device.Instance, device.Domain), out Domain? domain))
            {
                // A table that the widest device of the domain can use to its end.
                uint last = _scenario.Devices
                    .Where(d => d.Instance == device.Instance && d.Domain == device.Domain).Max(d => d.Range.Last);
                int bits = Math.Max(1, 32 - System.Numerics.BitOperations.LeadingZeroCount(last));
                OpResult<Domain> made = _core.CreateDomain(instances[device.Instance], device.Domain, bits);
                if (!made.IsOk)
                {
                    return Refused(device.Line, $"domain {device.Instance}/{device.Domain}", made.Outcome);
                }

                domain = made.Value;
                domains[(device.Instance, device.Domain)] = domain;
                _domains.Add(domain);
            }

            OpResult<Device> added = _core.AddDevice(
                domain, device.Name, device.Requester, device.Range, device.Features);
            if (!added.IsOk)
            {
                return Refused(device.Line, $"device {device.Name}", added.Outcome);
            }

            _devices[i] = added.Value;
            _unitOf[i] = FindInstance(device.Instance);
        }

        return null;
    }

    private int FindInstance(string name)
    {
        int index = 0;
        while (_scenario.Instances[index].Name != name)
        {
            index++;
        }

        return index;
    }

    private void Bind(in WorkloadStep step)
    {
        SimulatedAddressSpace process = step.Process;
        GivePageTable(process);
        Enter(ReplayOperation.Bind, string.Empty);
        OpResult<Pasid> bound = _core.Bind(_devices[step.Device], process);
        Leave(_unitOf[step.Device]);
        if (bound.IsOk)
        {
            process.Bindings.Add(new SimulatedAddressSpace.Binding(step.Bind, step.Device, bound.Value));
        }
    }

    private void Unbind(SimulatedAddressSpace process, int bind, string cause)
    {
        int at = process.Bindings.FindIndex(b => b.Bind == bind);
        if (at < 0)
        {
            return;
        }

        SimulatedAddressSpace.Binding binding = process.Bindings[at];
        process.Bindings.RemoveAt(at);
        Enter(ReplayOperation.Unbind, cause);

        // A failed invalidation is a result of the run: the core has reported it and keeps the PASID.
        _ = _core.Unbind(_devices[binding.Device], binding.Pasid);
        Leave(_unitOf[binding.Device]);
    }

    private void End(SimulatedAddressSpace process)
    {
        if (process.PageTableRoot == 0)
        {
            return;
        }

        while (_scenario.ExitBehaviour == ExitBehaviour.UnbindFirst && process.Bindings is [{ } binding, ..])
        {
            Unbind(process, binding.Bind, "unbind-first");
        }

        process.End();
        Enter(ReplayOperation.Exit, CauseOf(process.Ended));
        _core.ProcessEnded(process);
        Leave();
        _memory.FreePages(process.PageTableRoot, SimulatedAddressSpace.PageTableBytes);
        process.Bindings.Clear();
        _sink.Ended(process);
    }

    private void Skip(in WorkloadStep step)
    {
        Enter(ReplayOperation.Bind, string.Empty);
        Device device = _devices[step.Device];
        ReplayEvent skipped = Add(ReplayEventKind.Skip, step.Process, device);
        skipped.Reason = "the process ended before the bind was due";
        Leave(_unitOf[step.Device]);
    }

    private void GivePageTable(SimulatedAddressSpace process)
    {
        if (process.PageTableRoot != 0)
        {
            return;
        }

        OpResult<ulong> root = _memory.AllocatePages(SimulatedAddressSpace.PageTableBytes);
        if (!root.IsOk)
        {
            throw new InvalidOperationException($"no memory for a page table: {root.Reason}");
        }

        process.PageTableRoot = root.Value;
    }

    private void Enter(ReplayOperation operation, string cause)
    {
        _operation = operation;
        _cause = cause;
    }

    // Hands on what happened in a call; its last event carries what the drivers did in it. Nothing is sent between two
    // calls, and a bind or unbind concerns one unit, so that only what may have changed is read.
    private void Leave(int only = -1)
    {
        Array.Clear(_commands);
        bool any = false;
        for (int i = only < 0 ? 0 : only; i < (only < 0 ? _units.Count : only + 1); i++)
        {
            Unit unit = _units[i];
            UnitStatistics now = unit.Iommu.Statistics;
            any |= now.Commands != unit.Last.Commands;
            _commands[unit.Driver] += now.Commands - unit.Last.Commands;
            _tableBytes[unit.Driver] += now.PasidTableBytes - unit.Last.PasidTableBytes;
            unit.Last = now;
        }

        if (_happenedCount > 0)
        {
            _happened[_happenedCount - 1].Commands = _commands;
            _happened[_happenedCount - 1].TableBytes = _tableBytes;
        }
        else if (any)
        {
            throw new InvalidOperationException($"A call of kind {_operation} sent commands and reported nothing.");
        }

        for (int i = 0; i < _happenedCount; i++)
        {
            _sink.Add(_happened[i]);
        }

        _happenedCount = 0;
        _calls++;
    }

    // What the core reports after the last call belongs to the removal, which is not measured and not handed on.
    private ReplayEvent Add(
        ReplayEventKind kind,
        IAddressSpace? process = null,
        Device? device = null,
        PasidSpace? space = null,
        Pasid? pasid = null,
        string? cause = null)
    {
        if (_happenedCount == _happened.Count)
        {
            _happened.Add(new ReplayEvent());
        }

        ReplayEvent happened = _happened[_happenedCount];
        _happenedCount += _isDisposed ? 0 : 1;
        happened.Kind = kind;
        happened.Operation = _operation;
        happened.Call = _calls;
        happened.Nanoseconds = _clock.Nanoseconds;
        happened.Space = space?.Name;
        happened.Pasid = pasid;
        happened.Process = process as SimulatedAddressSpace;
        happened.Tenant = process?.Tenant;
        happened.Device = device?.Name;
        happened.Driver = device?.Instance.DriverName;
        happened.Errno = Errno.None;
        happened.Reason = null;
        happened.Cause = cause;
        happened.Commands = null;
        happened.TableBytes = null;
        return happened;
    }

    private sealed class Unit(IIommuUnit unit, int driver)
    {
        public IIommuUnit Iommu { get; } = unit;
        public int Driver { get; } = driver;

        /// <summary>What was read last.</summary>
        public UnitStatistics Last { get; set; }
    }
}
