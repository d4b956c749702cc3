// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Options;
using PasidFramework.Engine;

namespace PasidFramework.TestKit;

/// <summary>
/// The life of a few processes on a model: bind, remap, unbind, reuse of the PASID, exit, devices and domains that come
/// and go. After every step, and inside of it between any two stores, accesses of every device must lead to the right
/// process's memory or nowhere.
/// </summary>
public sealed class ModelScenario : IDisposable
{
    private const ulong First = 0x10000;
    private const ulong Far = 0x7F00_1234_5000;
    private const int Pages = 40;

    // The first PASIDs end one leaf of 64 entries and begin the next.
    private const int FirstPasid = 62;

    private static readonly ulong[] s_probed =
        [First, First + 0x1000, First + 0x5000, First + ((Pages - 1) * 0x1000UL), Far];

    private readonly ScenarioSetup _setup;
    private readonly Mutation? _mutation;
    private readonly List<string> _failures = [];
    private readonly List<RequesterId> _requesters = [];
    private readonly List<Device> _devices = [];
    private readonly Dictionary<(RequesterId Requester, uint Pasid), Expected> _expected = [];
    private IModelMemory _memory = null!;
    private IIommuModel _model = null!;
    private MutantHardware? _hardware;
    private IommuCore? _core;
    private string _step = "start";
    private int _violations;
    private long _probes;
    private int _nextPid = 100;
    private bool _inDriver;
    private bool _probing;
    private Action? _torn;

    private ModelScenario(ScenarioSetup setup, Mutation? mutation)
    {
        _setup = setup;
        _mutation = mutation;
    }

    /// <param name="mutation">What the driver does wrong; null for the driver as it is. A mutated run ends at the first
    /// failure.</param>
    public static ScenarioReport Run(ScenarioSetup setup, Mutation? mutation = null)
    {
        ArgumentNullException.ThrowIfNull(setup);
        using var scenario = new ModelScenario(setup, mutation);
        return scenario.Run();
    }

    public void Dispose()
    {
        // A run that ended early leaves units behind; their end is no longer judged.
        try
        {
            _core?.Dispose();
        }
#pragma warning disable CA1031 // A mutated driver may throw anything.
        catch (Exception)
#pragma warning restore CA1031
        {
            // It has been caught already.
        }

        _hardware?.Dispose();
    }

    private ScenarioReport Run()
    {
        using (_model = _setup.Model.Create(_setup.Hardware, _setup.Order))
        {
            _memory = _model.ModelMemory;
            long before = _memory.AllocatedBytes;
            _hardware = new MutantHardware(_model, _mutation);
            _memory.Changed += OnChange;
            try
            {
                Play();
                if (_memory.AllocatedBytes != before)
                {
                    Fail(Text($"{_memory.AllocatedBytes - before} bytes of page memory are left"));
                }
            }
            catch (Stop)
            {
                // The first failure is enough.
            }
#pragma warning disable CA1031 // A mutated driver may throw anything; that is how it is caught.
            catch (Exception e)
#pragma warning restore CA1031
            {
                _failures.Add(Text($"{_step}: {e.GetType().Name}: {e.Message}"));
            }
            finally
            {
                _memory.Changed -= OnChange;
            }

            return new ScenarioReport(_failures, _hardware!.Mutant.Actions, _hardware.Mutant.Applied, _probes);
        }
    }

    private void Play()
    {
        OpResult<IIommuUnit> unit = default;
        Driver("start the unit", () => unit = _setup.CreateUnit(_hardware!));
        Must(unit.Outcome);
        _core = new IommuCore(new OptionsWrapper<PasidOptions>(
            new PasidOptions { Ownership = _setup.Ownership, First = FirstPasid }));
        IommuInstance instance = _core!.AddInstance("under-test", unit.Value!);

        Domain shared = Make("domain of A and B", () => _core!.CreateDomain(instance, "shared", 20));
        Domain alone = Make("domain of C", () => _core!.CreateDomain(instance, "alone", 20));
        Device a = Add(shared, "A", 0, _setup.Features);
        Device b = Add(shared, "B", 1, DeviceFeatures.None);
        Device c = Add(alone, "C", 2, _setup.Features);
        ProbeAll();

        Process one = Start("one");
        Process two = Start("two");
        Process three = Start("three");
        uint first = Bind(a, one);
        _ = Bind(b, one);
        _ = Bind(a, two);
        _ = Bind(c, one);
        _ = Bind(c, three);

        Remap(one, First + 0x1000, 1);
        Remap(one, First + 0x4000, 3);
        Remap(two, First, Pages);
        Remap(one, Far, 1, everything: true);
        Unmap(two, First + 0x5000);
        Unmap(one, First + ((Pages - 1) * 0x1000UL));

        Unbind(b, one);
        uint onC = _expected.Keys.First(k => k.Requester == c.Requester && _expected[k].Process == one).Pasid;
        Unbind(c, one, onC);
        Unbind(a, one, first);
        one.End();
        one.Tables.Dispose();

        // A PASID that is used again must not show the process that had it.
        Process four = Start("four");
        uint again = Bind(a, four);
        if (again != first)
        {
            Fail(Text($"PASID 0x{again:x} was allocated where 0x{first:x} was free and lower"));
        }

        Exit(two);
        Exit(four);

        Remove(a);
        Device moved = Add(alone, "A", 0, _setup.Features);
        Expect(moved.Requester, c.Requester);
        ProbeAll();
        _ = Bind(moved, three);
        Remove(b);
        Step("remove the domain of A and B", () => Must(_core!.RemoveDomain(shared)));
        ProbeAll();
        Exit(three);
        Remove(moved);
        Remove(c);
        Step("remove the domain of C", () => Must(_core!.RemoveDomain(alone)));
        ProbeAll();
        Step("dispose the core", () => _core!.Dispose());
        if (_core!.DriverFailures != 0)
        {
            Fail(Text($"the driver threw {_core!.DriverFailures} times"));
        }
    }

    private Domain Make(string name, Func<OpResult<Domain>> create)
    {
        OpResult<Domain> domain = default;
        Step(name, () => domain = create());
        Must(domain.Outcome);
        return domain.Value!;
    }

    private Device Add(Domain domain, string name, int index, DeviceFeatures features)
    {
        RequesterId requester = _setup.Requesters[index];
        if (!_requesters.Contains(requester))
        {
            _requesters.Add(requester);
        }

        ProbeAll();
        OpResult<Device> device = default;
        Step($"add device {name}", () => device = _core!.AddDevice(
            domain, name, requester, new PasidRange(1, Pasid.MaxValue), features));
        Must(device.Outcome);
        _devices.Add(device.Value!);
        return device.Value!;
    }

    private void Remove(Device device)
    {
        Step($"remove device {device.Name}", () => Must(_core!.RemoveDevice(device)));
        _devices.Remove(device);
        foreach ((RequesterId, uint) key in _expected.Keys.Where(k => k.Requester == device.Requester).ToArray())
        {
            _expected.Remove(key);
        }

        ProbeAll();
    }

    // A table belongs to a domain: what one of its devices reaches, the others may reach too.
    private void Expect(RequesterId requester, RequesterId like)
    {
        foreach (((RequesterId of, uint pasid), Expected expected) in _expected.ToArray())
        {
            if (of == like)
            {
                _expected[(requester, pasid)] = new Expected(expected.Process, false);
            }
        }
    }

    private Process Start(string name)
    {
        OpResult<IPageTable> tables = _setup.PageTables.Create(_memory);
        Must(tables.Outcome);
        var process = new Process(name, _nextPid++, tables.Value!);
        for (int page = 0; page < Pages; page++)
        {
            process.Map(First + ((ulong)page * 0x1000));
        }

        process.Map(Far);
        return process;
    }

    private uint Bind(Device device, Process process)
    {
        OpResult<Pasid> bound = default;
        ProbeAll();

        // Before the call the PASID is not known: with the lowest-first allocator it is the lowest that is free.
        Aim(() =>
        {
            for (uint pasid = FirstPasid; pasid < FirstPasid + 4; pasid++)
            {
                if (!_expected.ContainsKey((device.Requester, pasid)))
                {
                    Probe(device.Requester, pasid, First, process, mayBeBlocked: true);
                }
            }
        });
        Step($"bind {process.Name} to {device.Name}", () => bound = _core!.Bind(device, process));
        Must(bound.Outcome);
        foreach (Device sharing in Sharing(device))
        {
            _expected.TryAdd((sharing.Requester, bound.Value.Value), new Expected(process, sharing == device));
        }

        _expected[(device.Requester, bound.Value.Value)] = new Expected(process, true);
        ProbeAll();
        return bound.Value.Value;
    }

    private IEnumerable<Device> Sharing(Device device) => _devices.Where(d => d.Domain == device.Domain);

    private void Unbind(Device device, Process process, uint? pasid = null)
    {
        uint used = pasid ?? _expected.Keys.First(
            k => k.Requester == device.Requester && _expected[k].Process == process).Pasid;
        bool last = !Sharing(device).Any(d =>
            d != device && _expected.TryGetValue((d.Requester, used), out Expected? e) && e.IsBound);
        ProbeAll();
        Aim(() =>
        {
            foreach (ulong address in s_probed)
            {
                Probe(device.Requester, used, address, process, mayBeBlocked: true);
            }
        });
        Step($"unbind {process.Name} from {device.Name}", () => Must(_core!.Unbind(device, new Pasid(used))));
        if (last)
        {
            foreach (Device sharing in Sharing(device))
            {
                _expected.Remove((sharing.Requester, used));
            }
        }
        else
        {
            _expected[(device.Requester, used)] = new Expected(process, false);
        }

        ProbeAll();
    }

    private void Remap(Process process, ulong start, int pages, bool everything = false)
    {
        ProbeAll();
        ulong end = start + ((ulong)pages * 0x1000);
        for (ulong page = start; page < end; page += 0x1000)
        {
            ProbePage(process, page);
            process.Map(page);
        }

        Step($"invalidate {pages} new mappings of {process.Name}", () => Must(everything
            ? _core!.Invalidate(process, 0, 0)
            : _core!.Invalidate(process, start, end)));
        process.Settle();
        for (ulong page = start; page < end; page += 0x1000)
        {
            ProbePage(process, page);
        }

        ProbeAll();
    }

    private void Unmap(Process process, ulong address)
    {
        ProbeAll();
        process.Unmap(address);
        Step($"invalidate an unmapped page of {process.Name}", () => Must(
            _core!.Invalidate(process, address, address + 0x1000)));
        process.Settle();
        ProbeAll();
    }

    private void Exit(Process process)
    {
        (RequesterId Requester, uint Pasid)[] bound =
            [.. _expected.Where(e => e.Value.Process == process).Select(e => e.Key)];
        ProbeAll();
        foreach (Device device in _devices)
        {
            device.ProcessExited = (_, _, pasid) =>
            {
                TranslationResult result = Access(device.Requester, pasid.Value, First);
                if (result.Status != TranslationStatus.AbortedQuietly
                    && (_setup.QuietExit || result.Status != TranslationStatus.Faulted))
                {
                    Fail(Text(
                        $"{device.Requester} PASID 0x{pasid.Value:x} of the dying {process.Name}: {Describe(result)}"));
                }
            };
        }

        process.End();
        Aim(() =>
        {
            foreach ((RequesterId requester, uint pasid) in bound)
            {
                Probe(requester, pasid, First, process, mayBeBlocked: true);
            }
        });
        Step($"exit of {process.Name}", () => _core!.ProcessEnded(process));
        foreach ((RequesterId, uint) key in bound)
        {
            _expected.Remove(key);
        }

        // What it had is another process's now: a walk into it would be a read of freed memory.
        process.Tables.Dispose();
        ProbeAll();
    }

    private void ProbePage(Process process, ulong address)
    {
        foreach (((RequesterId requester, uint pasid), Expected expected) in _expected.ToArray())
        {
            if (expected.Process == process && expected.IsBound)
            {
                Probe(requester, pasid, address, process, mayBeBlocked: false);
            }
        }
    }

    // Every device with every PASID near those in use, twice: the second round finds what the first one cached.
    private void ProbeAll()
    {
        for (int round = 0; round < 2; round++)
        {
            foreach (RequesterId requester in _requesters)
            {
                for (uint pasid = FirstPasid; pasid < FirstPasid + 4; pasid++)
                {
                    Expected? expected = _expected.GetValueOrDefault((requester, pasid));
                    foreach (ulong address in s_probed)
                    {
                        Probe(requester, pasid, address, expected?.Process, expected is not { IsBound: true });
                    }
                }
            }
        }
    }

    private void Probe(RequesterId requester, uint pasid, ulong address, Process? process, bool mayBeBlocked)
    {
        TranslationResult result = Access(requester, pasid, address);
        bool blocked = result.Status is TranslationStatus.Faulted or TranslationStatus.AbortedQuietly;
        List<ulong> allowed = process?.Targets(address) ?? [];
        bool right = blocked
            ? mayBeBlocked || process is null || process.MayBeBlocked(address)
            : result.Status == TranslationStatus.Translated && allowed.Contains(result.Address);
        if (!right)
        {
            string wanted = process is null ? "nothing"
                : $"{process.Name}'s {string.Join(" or ", allowed.Select(t => Text($"0x{t:x}")))}"
                    + (mayBeBlocked || process.MayBeBlocked(address) ? " or nothing" : string.Empty);
            Fail(Text($"{requester} PASID 0x{pasid:x} address 0x{address:x}: {Describe(result)}, must reach {wanted}"));
        }
    }

    private static string Describe(TranslationResult result) => result.Status switch
    {
        TranslationStatus.Translated => Text($"reaches 0x{result.Address:x}"),
        TranslationStatus.Faulted => $"faults ({result.Reason})",
        _ => result.Status.ToString(),
    };

    private TranslationResult Access(RequesterId requester, uint pasid, ulong address)
    {
        _probes++;
        return _hardware!.Translate(new DmaAccess(requester, new Pasid(pasid), address, IsWrite: false));
    }

    private void Aim(Action probe) => _torn = probe;

    private void OnChange(MemoryEvent change)
    {
        if (!_inDriver || _probing || !_setup.Torn || _torn is not { } probe)
        {
            return;
        }

        _probing = true;
        try
        {
            _memory.ForEachVisible(probe);
        }
        finally
        {
            _probing = false;
        }
    }

    private void Driver(string name, Action call)
    {
        _step = name;
        _inDriver = true;
        try
        {
            call();
        }
        finally
        {
            _inDriver = false;
            _torn = null;
        }
    }

    private void Step(string name, Action call)
    {
        Driver(name, call);
        if (_model.Violations.Count > _violations)
        {
            ProtocolViolation violation = _model.Violations[_violations];
            _violations = _model.Violations.Count;
            Fail($"violation {violation.Rule}: {violation.Message}");
        }

        if (_memory.StrayReads.Count > 0)
        {
            StrayRead stray = _memory.StrayReads[0];
            Fail(Text($"the walker read {(stray.WasFreed ? "freed memory" : "no memory")} at 0x{stray.Address:x}"));
        }

        if (_setup.Check?.Invoke(_model) is { } wrong)
        {
            Fail(wrong);
        }
    }

    private void Must(OpResult result)
    {
        if (!result.IsOk)
        {
            Fail(result.ToString());
            throw new Stop();
        }
    }

    private void Fail(string what)
    {
        _failures.Add($"{_step}: {what}");
        if (_mutation is not null || _failures.Count >= 20)
        {
            throw new Stop();
        }
    }

    private sealed record Expected(Process Process, bool IsBound);
    private sealed class Stop : Exception;

    /// <summary>A process with pages of its own: the same addresses as all others lead somewhere else.</summary>
    private sealed class Process(string name, int pid, IPageTable tables) : IAddressSpace
    {
        private readonly Dictionary<ulong, List<ulong>> _targets = [];
        private readonly HashSet<ulong> _unmapped = [];
        private ulong _nextTarget = ((ulong)pid << 24) | 0x4_0000_0000;
        public IPageTable Tables { get; } = tables;
        public AddressSpaceId Id { get; } = new((ulong)pid);
        public int Pid { get; } = pid;
        public string Name { get; } = name;
        public ulong PageTableRoot => Tables.Root;
        public bool IsAlive { get; private set; } = true;
        public void End() => IsAlive = false;

        public void Map(ulong address)
        {
            ulong target = _nextTarget;
            _nextTarget += 0x1000;
            OpResult mapped = Tables.Map(address, target, writable: true);
            if (!mapped.IsOk)
            {
                throw new InvalidOperationException(mapped.ToString());
            }

            if (!_targets.TryGetValue(address, out List<ulong>? targets))
            {
                _targets[address] = targets = [];
            }

            targets.Add(target);
        }

        public void Unmap(ulong address)
        {
            _ = Tables.Unmap(address);
            _unmapped.Add(address);
        }

        /// <summary>The driver has been notified: only what is mapped now may be reached.</summary>
        public void Settle()
        {
            foreach ((ulong address, List<ulong> targets) in _targets)
            {
                targets.RemoveRange(0, targets.Count - 1);
                if (_unmapped.Contains(address))
                {
                    targets.Clear();
                }
            }
        }

        public List<ulong> Targets(ulong address) => _targets.GetValueOrDefault(address) ?? [];
        public bool MayBeBlocked(ulong address) => _unmapped.Contains(address) || !_targets.ContainsKey(address);
    }
}
