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
    private readonly List<(IIommuUnit Unit, int Driver)> _units = [];
    private readonly List<Domain> _domains = [];
    private readonly Device[] _devices;
    private readonly string[] _drivers;
    private readonly IommuCore _core;
    private readonly SimulatedAddressSpace?[] _processes;
    private readonly Pasid?[] _bound;
    private readonly List<int>?[] _bindsOf;
    private readonly Dictionary<int, int> _deviceOf = [];
    private readonly List<ReplayEvent> _happened = [];
    private readonly long[] _commandsBefore;
    private ReplayOperation _operation;
    private string _cause = string.Empty;
    private int _calls;
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
        _processes = new SimulatedAddressSpace?[workload.Timeline.Lives.Count];
        _bindsOf = new List<int>?[workload.Timeline.Lives.Count];
        _bound = new Pasid?[workload.Binds];
        _commandsBefore = new long[_drivers.Length];
        _clock.MoveTo(workload.Timeline.Trace.FirstNanoseconds);
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
            _units.Add((unit.Value, Array.IndexOf(_drivers, instance.Driver)));
        }

        InputError? error = AddDevices(instances);
        if (error is not null)
        {
            return error;
        }

        Add(new ReplayEvent
        {
            Kind = ReplayEventKind.Setup,
            Operation = _operation,
            Call = _calls,
            Nanoseconds = _clock.Nanoseconds,
        });
        Leave();
        return null;
    }

    /// <summary>UsablePasids out the steps, then ends the run while all tables still stand.</summary>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public void Run(Action<int>? stepsDone, CancellationToken cancellation)
    {
        for (int i = 0; i < _workload.Steps.Count; i++)
        {
            if ((i & 0xFF) == 0)
            {
                cancellation.ThrowIfCancellationRequested();
                stepsDone?.Invoke(i);
            }

            WorkloadStep step = _workload.Steps[i];
            _clock.MoveTo(step.Nanoseconds);
            switch (step.Kind)
            {
                case StepKind.Bind:
                    Bind(step);
                    break;
                case StepKind.Unbind:
                    Unbind(step.Life, step.Bind, "hold");
                    break;
                case StepKind.End:
                    End(step.Life);
                    break;
                default:
                    Skip(step);
                    break;
            }
        }

        stepsDone?.Invoke(_workload.Steps.Count);
        _clock.MoveTo(_workload.Timeline.Trace.LastNanoseconds);
        Enter(ReplayOperation.End, string.Empty);
        Add(new ReplayEvent
        {
            Kind = ReplayEventKind.End,
            Operation = _operation,
            Call = _calls,
            Nanoseconds = _clock.Nanoseconds,
        });
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
        Add(Event(ReplayEventKind.Allocate, process, null, space, pasid));

    void ICoreObserver.Freed(PasidSpace space, Pasid pasid, IAddressSpace process) =>
        Add(Event(ReplayEventKind.Free, process, null, space, pasid));

    void ICoreObserver.Bound(Device device, Pasid pasid, IAddressSpace process) =>
        Add(Event(ReplayEventKind.Bind, process, device, device.Domain.Space, pasid));

    void ICoreObserver.Unbound(Device device, Pasid pasid, IAddressSpace process, UnbindCause cause) =>
        Add(Event(ReplayEventKind.Unbind, process, device, device.Domain.Space, pasid, _cause));

    void ICoreObserver.Exited(IAddressSpace process) =>
        Add(Event(ReplayEventKind.Exit, process, null, null, null, _cause));

    void ICoreObserver.Refused(Device device, IAddressSpace? process, OpResult refusal) =>
        Add(Event(ReplayEventKind.Refuse, process, device, device.Domain.Space, null, null, refusal));

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
        }

        return null;
    }

    private void Bind(in WorkloadStep step)
    {
        SimulatedAddressSpace process = Process(step.Life);
        Enter(ReplayOperation.Bind, string.Empty);
        OpResult<Pasid> bound = _core.Bind(_devices[step.Device], process);
        Leave();
        if (bound.IsOk)
        {
            _bound[step.Bind] = bound.Value;
            (_bindsOf[step.Life] ??= []).Add(step.Bind);
            _deviceOf[step.Bind] = step.Device;
        }
    }

    private void Unbind(int life, int bind, string cause)
    {
        if (_bound[bind] is not { } pasid)
        {
            return;
        }

        Enter(ReplayOperation.Unbind, cause);
        OpResult result = _core.Unbind(_devices[_deviceOf[bind]], pasid);
        Leave();
        _bound[bind] = null;
        _bindsOf[life]!.Remove(bind);
        _deviceOf.Remove(bind);

        // A failed invalidation is a result of the run: the core has reported it and keeps the PASID.
        _ = result;
    }

    private void End(int life)
    {
        if (_processes[life] is not { } process)
        {
            return;
        }

        if (_scenario.ExitBehaviour == ExitBehaviour.UnbindFirst && _bindsOf[life] is { } binds)
        {
            foreach (int bind in binds.ToArray())
            {
                Unbind(life, bind, "unbind-first");
            }
        }

        process.End();
        Enter(ReplayOperation.Exit, CauseOf(process.Life.Ended));
        _core.ProcessEnded(process);
        Leave();
        _memory.FreePages(process.PageTableRoot, SimulatedAddressSpace.PageTableBytes);
        _processes[life] = null;
        foreach (int bind in _bindsOf[life] ?? [])
        {
            _bound[bind] = null;
            _deviceOf.Remove(bind);
        }

        _bindsOf[life] = null;
    }

    private void Skip(in WorkloadStep step)
    {
        AddressSpaceLife life = _workload.Timeline.Lives[step.Life];
        Enter(ReplayOperation.Bind, string.Empty);
        Add(new ReplayEvent
        {
            Kind = ReplayEventKind.Skip,
            Operation = _operation,
            Call = _calls,
            Nanoseconds = _clock.Nanoseconds,
            Process = life,
            Tenant = _workload.Tenants[step.Life],
            Device = _devices[step.Device].Name,
            Driver = _devices[step.Device].Instance.DriverName,
            Reason = "the process ended before the bind was due",
        });
        Leave();
    }

    private SimulatedAddressSpace Process(int life)
    {
        if (_processes[life] is { } known)
        {
            return known;
        }

        OpResult<ulong> root = _memory.AllocatePages(SimulatedAddressSpace.PageTableBytes);
        if (!root.IsOk)
        {
            throw new InvalidOperationException($"no memory for a page table: {root.Reason}");
        }

        var made = new SimulatedAddressSpace(_workload.Timeline.Lives[life], _workload.Tenants[life], root.Value);
        _processes[life] = made;
        return made;
    }

    private void Enter(ReplayOperation operation, string cause)
    {
        _operation = operation;
        _cause = cause;
        ReadCommands(_commandsBefore);
    }

    // Hands on what happened in a call; its last event carries what the drivers did in it.
    private void Leave()
    {
        var commands = new long[_drivers.Length];
        var bytes = new long[_drivers.Length];
        ReadCommands(commands);
        bool any = false;
        for (int i = 0; i < commands.Length; i++)
        {
            // Before the first call no unit was there.
            commands[i] -= _operation == ReplayOperation.Setup ? 0 : _commandsBefore[i];
            any |= commands[i] != 0;
        }

        foreach ((IIommuUnit unit, int driver) in _units)
        {
            bytes[driver] += unit.Statistics.PasidTableBytes;
        }

        if (_happened.Count > 0)
        {
            _happened[^1].Commands = commands;
            _happened[^1].TableBytes = bytes;
        }
        else if (any)
        {
            throw new InvalidOperationException($"A call of kind {_operation} sent commands and reported nothing.");
        }

        foreach (ReplayEvent happened in _happened)
        {
            _sink.Add(happened);
        }

        _happened.Clear();
        _calls++;
    }

    private void ReadCommands(long[] commands)
    {
        Array.Clear(commands);
        foreach ((IIommuUnit unit, int driver) in _units)
        {
            commands[driver] += unit.Statistics.Commands;
        }
    }

    // What the core reports after the last call belongs to the removal, which is not measured.
    private void Add(ReplayEvent happened)
    {
        if (!_isDisposed)
        {
            _happened.Add(happened);
        }
    }

    private ReplayEvent Event(
        ReplayEventKind kind,
        IAddressSpace? process,
        Device? device,
        PasidSpace? space,
        Pasid? pasid,
        string? cause = null,
        OpResult refusal = default) => new()
        {
            Kind = kind,
            Operation = _operation,
            Call = _calls,
            Nanoseconds = _clock.Nanoseconds,
            Space = space?.Name,
            Pasid = pasid,
            Process = (process as SimulatedAddressSpace)?.Life,
            Tenant = process?.Tenant,
            Device = device?.Name,
            Driver = device?.Instance.DriverName,
            Errno = refusal.Errno,
            Reason = refusal.Reason,
            Cause = cause,
        };
}
