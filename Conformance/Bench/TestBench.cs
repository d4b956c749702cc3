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
    private readonly Expectations _expected;
    private readonly HashSet<(RequesterId Requester, uint Pasid)> _watched = [];
    private readonly Observer _observer = new();
    private readonly MidStep _midStep = new();
    private ITestHardware? _machine;
    private WatchedHardware? _hardware;
    private IommuCore? _core;
    private IommuInstance? _instance;
    private Action? _torn;
    private bool _isFinished;
    private int _nextPid = 100;

    /// <summary>A system that is not started yet.</summary>
    /// <param name="machine">A machine to use; null to start one.</param>
    /// <param name="isBorrowed">Whether the machine's owner disposes it, after this system.</param>
    public TestBench(CaseContext context, TestBenchSetup setup, ITestHardware? machine = null, bool isBorrowed = false)
    {
        _context = context;
        _setup = setup;
        _machine = machine;
        _isBorrowed = isBorrowed;
        _expected = new Expectations(_devices);
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

    public void StartUnit()
    {
        StartMachine();
        OpResult<IIommuUnit> unit = CreateUnit();
        if (!unit.IsOk)
        {
            _context.Fail($"CreateUnit: {unit.Reason} ({unit.Errno})");
        }

        _core = new IommuCore(
            new OptionsWrapper<PasidOptions>(new PasidOptions { Ownership = _setup.Ownership }), observer: _observer);
        _instance = _core.AddInstance(_context.Subject.Metadata.Name, unit.Value!);
        Judge("start the unit");
    }

    public void StartMachine()
    {
        _machine ??= _context.StartMachine(_setup.Hardware);
        _hardware = new WatchedHardware(_machine);
    }

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
    /// <param name="only">The one PASID that it can carry; null for any.</param>
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

        _expected.Added(added);
        return added;
    }

    /// <summary>Adds a device for one PASID, with which the machine must be able to make accesses.</summary>
    public BenchDevice AddReady(
        Domain domain, uint only, DeviceFeatures features = DeviceFeatures.None, RequesterId? at = null)
    {
        BenchDevice device = AddDevice(domain, only, features, at);
        MustBeAble(device, only);
        return device;
    }

    /// <summary>A domain for a PASID: one for all of them, or, without PASIDs, one for each.</summary>
    /// <param name="shared">The one for all; null before the first call.</param>
    public Domain DomainFor(uint pasid, ref Domain? shared) => Has(TestHardwareTraits.ManyProcesses)
        ? shared ??= AddDomain("domain")
        : AddDomain(Text($"domain{pasid:x}"));

    public void RemoveDevice(BenchDevice device)
    {
        Step($"remove device {device}", () => Must(Core.RemoveDevice(device.Device)));
        _devices.Remove(device);
        _expected.Removed(device);
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
            _context.Check(device.Only is null || device.Only == number,
                $"bind {process.Name} to {device}: got PASID 0x{number:x}, the device can carry 0x{device.Only ?? 0:x} "
                    + $"only");
            _expected.Bound(device, number, process);
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
        _expected.Unbound(device, pasid);
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
        (RequesterId Requester, uint Pasid)[] links = _expected.LinksOf(process);
        BenchDevice[] bound = [.. _devices.Where(d => links.Any(
            l => l.Requester == d.Requester && _expected.Find(l.Requester, l.Pasid)!.IsBound))];
        foreach (BenchDevice device in _devices)
        {
            device.Device.ProcessExited = (dying, _, pasid) =>
            {
                notified.Add(dying.Name);
                if (probe)
                {
                    _midStep.Probe(() => MustBeSilent(device, pasid.Value, process));
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
        _expected.Forget(links);
        process.FreeTables();
    }

    /// <inheritdoc cref="Numbers.Near"/>
    public uint Number(uint preferred, params uint[] taken) => Numbers.Near(_context, Unit, preferred, taken);

    /// <summary>Different PASIDs, each near the one that is preferred.</summary>
    public uint[] NumbersNear(params IEnumerable<uint> preferred) =>
        preferred.Aggregate((uint[])[], (found, near) => [.. found, Number(near, found)]);

    /// <summary>The PASID of most cases: beyond the first leaf where leaves have 64 entries.</summary>
    public uint Usual => Number(70);

    /// <summary>A second one beside it.</summary>
    public uint Second => Number(71, Usual);

    /// <summary>Whether a PASID is bound on a device now.</summary>
    public TestProcess? BoundTo(BenchDevice device, uint pasid) =>
        _expected.Find(device.Requester, pasid) is { IsBound: true } link ? link.Process : null;

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
        _midStep.ThrowIfEnded();
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
            _midStep.Probe(() => Machine.ForEachVisible(torn));
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
        _context.Check(silent || (result.Status == TranslationStatus.Faulted && !NeedsSilence),
            $"exit of {process.Name}: {device} with PASID 0x{pasid:x} {Describe(result)}, must be aborted without a "
                + $"record (D12)");
    }

    private sealed class Observer : ICoreObserver
    {
        public (string Callback, Exception Exception)? Thrown { get; private set; }

        public void DriverThrew(IommuInstance instance, string callback, Exception exception) =>
            Thrown ??= (callback, exception);
    }
}
