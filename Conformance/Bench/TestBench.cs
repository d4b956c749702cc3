// SPDX-License-Identifier: Apache-2.0
using System.Runtime.ExceptionServices;
using Microsoft.Extensions.Options;

namespace PasidFramework.Conformance.Bench;

/// <summary>
/// A whole system in a case: a machine, the driver's unit, the core, devices and processes. It knows at every moment
/// which memory each device may reach with each PASID, and every probe is judged by that.
/// </summary>
internal sealed partial class TestBench : IDisposable
{
    /// <summary>First page of every process.</summary>
    public const ulong First = 0x10000;

    /// <summary>Pages from <see cref="First"/> on.</summary>
    public const int Pages = 6;

    private readonly CaseContext _context;
    private readonly TestBenchSetup _setup;
    private readonly bool _isBorrowed;
    private readonly List<TestProcess> _processes = [];
    private readonly List<BenchDevice> _devices = [];
    private readonly HashSet<RequesterId> _everAdded = [];
    private readonly Dictionary<(RequesterId Requester, uint Pasid), Expected> _expected = [];
    private readonly HashSet<(RequesterId Requester, uint Pasid)> _watched = [];
    private readonly Observer _observer = new();
    private ITestHardware? _machine;
    private WatchedHardware? _hardware;
    private IommuCore? _core;
    private IommuInstance? _instance;
    private Action? _torn;
    private bool _isLooking;
    private ExceptionDispatchInfo? _inTheMiddle;
    private bool _isFinished;
    private int _nextPid = 100;

    /// <summary>A system that is not started yet.</summary>
    /// <param name="setup">What it runs on.</param>
    /// <param name="machine">A machine to use; null to start one.</param>
    /// <param name="isBorrowed">Whether the machine's owner disposes it, after this system.</param>
    public TestBench(CaseContext context, TestBenchSetup setup, ITestHardware? machine = null, bool isBorrowed = false)
    {
        _context = context;
        _setup = setup;
        _machine = machine;
        _isBorrowed = isBorrowed;
    }

    public ITestHardware Machine => _machine!;
    public WatchedHardware Hardware => _hardware!;
    public IommuCore Core => _core!;
    public IommuInstance Instance => _instance!;
    public IIommuUnit Unit => _instance!.Unit;
    public IReadOnlyList<BenchDevice> Devices => _devices;
    public bool Has(TestHardwareTraits trait) => (Machine.Traits & trait) == trait;

    /// <summary>An address far from the others, under another top-level entry where the hardware is wide
    /// enough.</summary>
    public ulong Far => Has(TestHardwareTraits.ManyProcesses) ? 0x7F00_1234_5000UL : 0x7F_1234_5000;

    /// <summary>Starts the machine, the unit and the core.</summary>
    public void StartUnit()
    {
        StartMachine();
        OpResult<IIommuUnit> unit = CreateUnit();
        if (!unit.IsOk)
        {
            _context.Fail($"CreateUnit: {unit.Reason} ({unit.Errno})");
        }

        _core = new IommuCore(
            new OptionsWrapper<PasidOptions>(new PasidOptions { Ownership = _setup.Ownership }),
            observer: _observer);
        _instance = _core.AddInstance(_context.Subject.Metadata.Name, unit.Value!);
        Judge("start the unit");
    }

    /// <summary>Starts only the machine.</summary>
    public void StartMachine()
    {
        if (_machine is null)
        {
            OpResult<ITestHardware> started = _context.BackEnd.Start(_setup.Hardware);
            if (!started.IsOk)
            {
                _context.NotApplicable(started.Reason!);
            }

            _machine = started.Value!;
        }

        _hardware = new WatchedHardware(_machine);
    }

    /// <summary>Asks the driver for a unit.</summary>
    public OpResult<IIommuUnit> CreateUnit() => _context.Subject.Driver.CreateUnit(new UnitSetup
    {
        Name = "unit0",
        Hardware = _hardware!,
        PasidBits = _setup.UnitPasidBits,
        Options = _context.UnitOptions(_machine!.UnitOptions, _setup.UnitOptions),
        Time = _setup.Time,
    });

    public Domain AddDomain(string name, int bits = Pasid.MaxBits)
    {
        OpResult<Domain> domain = default;
        Step($"create domain {name}", () => domain = Core.CreateDomain(Instance, name, bits));
        Must(domain.Outcome);
        return domain.Value!;
    }

    /// <summary>Adds a device of the machine.</summary>
    /// <param name="domain">Where to.</param>
    /// <param name="only">The one PASID that it can carry; null for any.</param>
    /// <param name="features">What else it can do.</param>
    /// <param name="at">Which of the machine's; the first that is free by default.</param>
    public BenchDevice AddDevice(
        Domain domain, uint? only = null, DeviceFeatures features = DeviceFeatures.None, RequesterId? at = null)
    {
        RequesterId requester = at ?? Machine.Requesters.FirstOrDefault(r => !_everAdded.Contains(r));
        if (at is null && _everAdded.Contains(requester))
        {
            throw new InvalidOperationException("The case needs more devices than a machine has.");
        }

        PasidRange range = only is { } n ? new PasidRange(n, n) : new PasidRange(1, Pasid.MaxValue);
        OpResult<Device> device = default;
        Step(
            Text($"add device {requester}{(only is { } m ? Text($" with PASID 0x{m:x}") : string.Empty)}"),
            () => device = Core.AddDevice(domain, $"dev-{requester}", requester, range, features));
        Must(device.Outcome);
        _everAdded.Add(requester);
        var added = new BenchDevice(device.Value!, only);
        _devices.Add(added);
        if (only is { } number)
        {
            Watch(added.Requester, number);
        }

        // A table belongs to a domain: what one of its devices reaches, the others may reach too.
        foreach (((RequesterId of, uint pasid), Expected expected) in _expected.ToArray())
        {
            if (_devices.Any(d => d.Requester == of && d.Domain == domain))
            {
                _expected.TryAdd((requester, pasid), new Expected(expected.Process, false));
            }
        }

        return added;
    }

    public void RemoveDevice(BenchDevice device)
    {
        Step($"remove device {device}", () => Must(Core.RemoveDevice(device.Device)));
        _devices.Remove(device);
        foreach ((RequesterId Requester, uint Pasid) key in _expected.Keys.Where(k => k.Requester == device.Requester)
            .ToArray())
        {
            DropLink(device, key.Pasid);
            _expected.Remove(key);
        }
    }

    public void RemoveDomain(Domain domain) =>
        Step($"remove domain {domain.Name}", () => Must(Core.RemoveDomain(domain)));

    public TestProcess StartProcess(string name)
    {
        var process = new TestProcess(_context, Machine, name, _nextPid++);
        _processes.Add(process);
        for (int page = 0; page < Pages; page++)
        {
            process.Map(First + ((ulong)page * 0x1000));
        }

        process.Map(Far);
        return process;
    }

    /// <summary>Binds; refusals are the case's to judge.</summary>
    public OpResult<Pasid> TryBind(BenchDevice device, TestProcess process)
    {
        OpResult<Pasid> bound = default;
        Step($"bind {process.Name} to {device}", () => bound = Core.Bind(device.Device, process));
        if (bound.IsOk)
        {
            uint number = bound.Value.Value;
            _context.Check(
                device.Only is null || device.Only == number,
                $"bind {process.Name} to {device}: got PASID 0x{number:x}, the device can carry 0x{device.Only ?? 0:x} "
                    + $"only");
            foreach (BenchDevice sharing in _devices.Where(d => d.Domain == device.Domain))
            {
                _expected.TryAdd((sharing.Requester, number), new Expected(process, false));
            }

            _expected[(device.Requester, number)] = new Expected(process, true);
            Watch(device.Requester, number);
        }

        return bound;
    }

    /// <summary>Binds and probes: the process's memory is reached.</summary>
    public uint Bind(BenchDevice device, TestProcess process)
    {
        OpResult<Pasid> bound = TryBind(device, process);
        Must(bound.Outcome);
        Probe(device, bound.Value.Value);
        return bound.Value.Value;
    }

    public void Unbind(BenchDevice device, uint pasid)
    {
        Step(Text($"unbind PASID 0x{pasid:x} from {device}"), () => Must(Core.Unbind(device.Device, new Pasid(pasid))));
        DropLink(device, pasid);
    }

    /// <summary>Changes what pages of a process lead to, then has the driver invalidate [start, end).</summary>
    public void Remap(TestProcess process, IEnumerable<ulong> pages, ulong start, ulong end)
    {
        ulong[] all = [.. pages];
        foreach (ulong page in all)
        {
            process.Map(page);
        }

        InvalidateMappings(process, start, end);
    }

    public void Unmap(TestProcess process, ulong page)
    {
        process.Unmap(page);
        InvalidateMappings(process, page, page + 0x1000);
    }

    /// <summary>Notifies the driver that mappings of [start, end) changed.</summary>
    public void InvalidateMappings(TestProcess process, ulong start, ulong end)
    {
        Step(
            Text($"invalidate mappings of {process.Name} in 0x{start:x} to 0x{end:x}"),
            () => Must(Core.Invalidate(process, start, end)));
        process.Settle();
    }

    /// <summary>Ends a process: from the exit handler of each device on nothing of it is reached, and its page tables
    /// are another process's memory afterwards.</summary>
    /// <param name="probe">Whether the handlers probe; without it nothing is made ready in the machine.</param>
    public void Exit(TestProcess process, bool probe = true)
    {
        List<string> notified = [];
        (RequesterId Requester, uint Pasid)[] links =
            [.. _expected.Where(e => e.Value.Process == process).Select(e => e.Key)];
        BenchDevice[] bound = [.. _devices.Where(d => links.Any(
            l => l.Requester == d.Requester && _expected[l].IsBound))];
        foreach (BenchDevice device in _devices)
        {
            device.Device.ProcessExited = (dying, _, pasid) =>
            {
                notified.Add(dying.Name);
                if (probe)
                {
                    InTheMiddle(() => MustBeSilent(device, pasid.Value, process));
                }
            };
        }

        process.End();
        Step($"exit of {process.Name}", () => Core.ProcessEnded(process));
        foreach (BenchDevice device in _devices)
        {
            device.Device.ProcessExited = null;
        }

        _context.Check(
            notified.Order(StringComparer.Ordinal)
                .SequenceEqual(bound.Select(d => d.Device.Name).Order(StringComparer.Ordinal)),
            $"exit of {process.Name}: notified {string.Join(", ", notified)}, must notify "
                + $"{string.Join(", ", bound.Select(d => d.Device.Name))} once each (C12)");
        foreach ((RequesterId, uint) key in links)
        {
            _expected.Remove(key);
        }

        process.FreeTables();
    }

    /// <summary>A PASID that the unit has and may allocate: the one that is preferred, or the nearest one.</summary>
    /// <param name="preferred">The PASID that shows most.</param>
    /// <param name="taken">PASIDs that are in use already.</param>
    public uint Number(uint preferred, params uint[] taken) => Number(Unit, preferred, taken);

    /// <summary>As <see cref="Number(uint, uint[])"/>, for a unit that this system does not have yet.</summary>
    public uint Number(IIommuUnit unit, uint preferred, params uint[] taken)
    {
        uint last = (1u << unit.PasidBits) - 1;
        HashSet<uint> not = [.. unit.ReservedPasids.Select(p => p.Value), .. taken];
        uint from = Math.Min(preferred, last);
        for (uint n = from; n <= last; n++)
        {
            if (!not.Contains(n))
            {
                return n;
            }
        }

        for (uint n = from; n > 0; n--)
        {
            if (!not.Contains(n))
            {
                return n;
            }
        }

        _context.NotApplicable(Text($"the unit has {unit.PasidBits} bits: too few PASIDs for this case"));
        return 0;
    }

    /// <summary>The PASID of most cases: beyond the first leaf where leaves have 64 entries.</summary>
    public uint Usual => Number(70);

    /// <summary>A second one beside it.</summary>
    public uint Second => Number(71, Usual);

    /// <summary>Whether a PASID is bound on a device now.</summary>
    public TestProcess? BoundTo(BenchDevice device, uint pasid) =>
        _expected.TryGetValue((device.Requester, pasid), out Expected? e) && e.IsBound ? e.Process : null;

    /// <summary>Ends everything in order, and judges what is left.</summary>
    public void Finish()
    {
        if (_isFinished || _core is null)
        {
            return;
        }

        _torn = null;
        _hardware!.Watched.Changed = null;
        Step("take the system down", () => Core.Dispose());
        _isFinished = true;
        long left = _hardware.Watched.HeldBytes;
        _context.Check(left == 0, $"{left} bytes of page memory are left after the unit's end (D13)");
    }

    public void Dispose()
    {
        // A case that ended early leaves a unit behind; its end is no longer judged.
        if (!_isFinished)
        {
            _isFinished = true;
            if (_hardware is not null)
            {
                _hardware.Watched.Changed = null;
            }

            Try(() => _core?.Dispose());
        }

        foreach (TestProcess process in _processes)
        {
            Try(process.Dispose);
        }

        if (!_isBorrowed)
        {
            Try(() => _machine?.Dispose());
        }
    }

    /// <summary>The tables of a device as the vendor's reader sees them in memory.</summary>
    /// <returns>The tables; ENOENT where there is no reader or it is not known where they begin; what the reader
    /// refuses.</returns>
    public OpResult<ITableView> OpenTables(RequesterId device)
    {
        if (_context.Subject.Reader is not { } reader)
        {
            return OpResult<ITableView>.Refuse(
                Errno.ENOENT, $"no plug-in exports a reader of '{_context.Subject.Metadata.TableFormat}' tables");
        }

        Dictionary<string, ulong> roots = reader.Registers.Where(r => r.Offset is not null).ToDictionary(
            r => r.Name,
            r => r.Bytes == 8 ? Machine.Registers.Read64(r.Offset!.Value) : Machine.Registers.Read32(r.Offset!.Value));
        foreach ((string name, ulong value) in Machine.TableRoots(device))
        {
            roots[name] = value;
        }

        return roots.Count == 0 || reader.Registers.Any(r => r.IsRequired && !roots.ContainsKey(r.Name))
            ? OpResult<ITableView>.Refuse(Errno.ENOENT, "where its tables begin is in no register")
            : reader.Open(Machine.Memory, roots);
    }

    private static void Try(Action? action)
    {
        try
        {
            action?.Invoke();
        }
#pragma warning disable CA1031 // The verdict is there already.
        catch (Exception)
#pragma warning restore CA1031
        {
            // Nothing more can be done for it.
        }
    }

    private void DropLink(BenchDevice device, uint pasid)
    {
        if (!_expected.TryGetValue((device.Requester, pasid), out Expected? link))
        {
            return;
        }

        BenchDevice[] sharing = [.. _devices.Where(d => d.Domain == device.Domain && d != device)];
        bool isLast = !sharing.Any(d => _expected.TryGetValue((d.Requester, pasid), out Expected? e) && e.IsBound);
        if (isLast)
        {
            foreach (BenchDevice one in sharing)
            {
                _expected.Remove((one.Requester, pasid));
            }

            _expected.Remove((device.Requester, pasid));
        }
        else
        {
            _expected[(device.Requester, pasid)] = new Expected(link.Process, false);
        }
    }

    private void Step(string name, Action call)
    {
        _context.Note(name);
        _hardware!.Watched.Changed = _torn is null ? null : OnChange;
        try
        {
            call();
        }
        finally
        {
            _hardware.Watched.Changed = null;
            _torn = null;
        }

        Judge(name);
    }

    private void Judge(string step)
    {
        _inTheMiddle?.Throw();
        if (_observer.Thrown is { } thrown)
        {
            if (thrown.Exception is HardwareException)
            {
                // The test machine failed under the driver, which is not the driver's failure.
                ExceptionDispatchInfo.Throw(thrown.Exception);
            }

            _context.Fail(
                $"{step}: the driver threw {thrown.Exception.GetType().Name} in {thrown.Callback}: "
                    + $"{thrown.Exception.Message}",
                [.. (thrown.Exception.StackTrace ?? string.Empty).Split('\n', StringSplitOptions.TrimEntries)]);
        }

        if (Machine.TakeViolations() is { Count: > 0 } violations)
        {
            _context.Fail($"{step}: {violations[0]}", violations);
        }
    }

    private void Must(OpResult result)
    {
        if (!result.IsOk)
        {
            _context.Fail(
                $"{(_context.Notes.Count > 0 ? _context.Notes[^1] : "start")}: {result.Reason} ({result.Errno})");
        }
    }

    private void OnChange()
    {
        if (_torn is { } torn)
        {
            InTheMiddle(() => Machine.ForEachVisible(torn));
        }
    }

    // A probe within a step. Its end is not thrown through the driver or the core: they may catch it, or make an errno
    // of it.
    private void InTheMiddle(Action probe)
    {
        if (_isLooking || _inTheMiddle is not null)
        {
            return;
        }

        _isLooking = true;
        try
        {
            probe();
        }
        catch (Exception end) when (end is CaseEnd or HardwareException)
        {
            _inTheMiddle = ExceptionDispatchInfo.Capture(end);
        }
        finally
        {
            _isLooking = false;
        }
    }

    // Hardware or format may be unable to refuse an access without a record.
    private bool NeedsSilence => Has(TestHardwareTraits.Silence)
        && (_context.Subject.Metadata.Capabilities & DriverCapabilities.NoQuietEntry) == 0;

    private void MustBeSilent(BenchDevice device, uint pasid, TestProcess process)
    {
        if (TryAccess(device.Requester, pasid, First) is not { } result)
        {
            return;
        }

        bool silent = result.Status == TranslationStatus.AbortedQuietly;
        _context.Check(
            silent || (result.Status == TranslationStatus.Faulted && !NeedsSilence),
            $"exit of {process.Name}: {device} with PASID 0x{pasid:x} {Describe(result)}, must be aborted without a "
                + $"record (D12)");
    }

    private sealed record Expected(TestProcess Process, bool IsBound);

    private sealed class Observer : ICoreObserver
    {
        public (string Callback, Exception Exception)? Thrown { get; private set; }

        public void DriverThrew(IommuInstance instance, string callback, Exception exception) =>
            Thrown ??= (callback, exception);
    }
}
