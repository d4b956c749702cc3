// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Bench;

/// <summary>
/// Random sequences of what can happen to processes and devices, each probe judged. A failing sequence is made as short
/// as it can be before it is reported.
/// </summary>
internal static class RandomRun
{
    private const int Devices = 8;
    private const int Processes = 5;

    private enum Kind
    {
        Bind,
        Unbind,
        Remap,
        Unmap,
        Exit,
        Move,
        Probe,
    }

    /// <param name="sequences">How many, each on a machine of its own.</param>
    /// <param name="length">Steps of each.</param>
    public static void Play(CaseContext context, int sequences, int length)
    {
        for (int i = 0; i < sequences; i++)
        {
            Step[] steps = [.. Enumerable.Range(0, length).Select(_ => Draw(context.Random))];
            if (Try(context, steps, out int played) is not { } failure)
            {
                continue;
            }

            // What would have come after the failure has no part in it.
            steps = steps[..played];
            if (failure.Verdict == Verdict.Fail)
            {
                (steps, failure) = Shorten(context, steps, failure);
            }

            throw new CaseEnd(
                failure.Verdict,
                failure.Message,
                [
                    Text($"shortest sequence, {steps.Length} of {length} steps (sequence {i + 1}, seed "
                        + $"{context.Seed}):"),
                    .. steps.Select(s => "  " + s),
                    .. failure.Details,
                ]);
        }
    }

    private static Step Draw(Random random)
    {
        int kind = random.Next(20);
        return new Step(
            kind switch
            {
                < 8 => Kind.Bind,
                < 11 => Kind.Unbind,
                < 14 => Kind.Remap,
                < 16 => Kind.Unmap,
                < 18 => Kind.Exit,
                < 19 => Kind.Move,
                _ => Kind.Probe,
            },
            random.Next(Devices),
            random.Next(Processes),
            random.Next(4));
    }

    // Chunks that are not needed go, the large ones first; every attempt is a whole run.
    private static (Step[] Steps, CaseEnd Failure) Shorten(CaseContext context, Step[] steps, CaseEnd failure)
    {
        int attempts = 0;
        for (int chunk = steps.Length / 2; chunk > 0; chunk /= 2)
        {
            for (int at = 0; at + chunk <= steps.Length && attempts < 300;)
            {
                attempts++;
                Step[] fewer = [.. steps[..at], .. steps[(at + chunk)..]];
                if (Try(context, fewer, out int played) is { Verdict: Verdict.Fail } still)
                {
                    (steps, failure) = (fewer[..played], still);
                }
                else
                {
                    at += chunk;
                }
            }
        }

        return (steps, failure);
    }

    // Steps that were begun are played: all of them where the end of the system is what fails.
    private static CaseEnd? Try(CaseContext context, IReadOnlyList<Step> steps, out int played)
    {
        played = 0;
        context.ClearNotes();
        using var bench = new TestBench(context, new TestBenchSetup());
        try
        {
            bench.StartUnit();
            var world = new World(context, bench);
            foreach (Step step in steps)
            {
                played++;
                world.Play(step);
            }

            bench.Finish();
            return null;
        }
        catch (CaseEnd end)
        {
            return end;
        }
    }

    private sealed record Step(Kind Kind, int Device, int Process, int Page)
    {
        public override string ToString() => Kind switch
        {
            Kind.Bind => Text($"bind process {Process} to device {Device}"),
            Kind.Unbind => Text($"unbind device {Device}"),
            Kind.Remap => Text($"remap page {Page} of process {Process}"),
            Kind.Unmap => Text($"unmap page {Page} of process {Process}"),
            Kind.Exit => Text($"exit of process {Process}"),
            Kind.Move => Text($"remove device {Device} and add it again"),
            _ => "probe",
        };
    }

    /// <summary>
    /// Each device can carry one PASID; three PASIDs in two leaves are spread over them. So every refusal is known
    /// beforehand: a process that has another PASID (C15), a PASID that another process has (A2).
    /// </summary>
    private sealed class World
    {
        private readonly uint[] _numbers;
        private readonly CaseContext _context;
        private readonly TestBench _bench;
        private readonly Domain[] _domains;
        private readonly BenchDevice[] _devices;
        private readonly TestProcess[] _processes;
        private readonly bool _manyProcesses;
        private int _started;

        public World(CaseContext context, TestBench bench)
        {
            _context = context;
            _bench = bench;
            _manyProcesses = bench.Has(TestHardwareTraits.ManyProcesses);
            _numbers = bench.NumbersNear(63, 64, 70);

            // Two domains, each with every PASID; without PASIDs each PASID has a domain of its own.
            _domains =
                [.. Enumerable.Range(0, _manyProcesses ? 2 : 6).Select(i => bench.AddDomain(Text($"domain{i}")))];
            _devices = [.. Enumerable.Range(0, Devices).Select(i => Add(i, null))];
            _processes = [.. Enumerable.Range(0, Processes).Select(_ => StartProcess())];
        }

        public void Play(Step step)
        {
            Take(step);
            _bench.ProbeAll();
        }

        private BenchDevice Add(int i, RequesterId? at)
        {
            Domain domain = _manyProcesses ? _domains[i / 3 % 2] : _domains[(i % 3) + (3 * (i / 3 % 2))];
            return _bench.AddReady(domain, _numbers[i % 3], at: at);
        }

        private TestProcess StartProcess() => _bench.StartProcess(Text($"p{_started++}"));

        private void Take(Step step)
        {
            BenchDevice device = _devices[step.Device];
            uint number = device.Only!.Value;
            TestProcess process = _processes[step.Process];
            switch (step.Kind)
            {
                case Kind.Bind:
                    Bind(device, process);
                    break;
                case Kind.Unbind when _bench.BoundTo(device, number) is not null:
                    _bench.Unbind(device, number);
                    break;
                case Kind.Remap when process.HasPages:
                    _bench.Remap(process, [_bench.Probed[step.Page]], _bench.Probed[step.Page], _bench.Probed[step.Page]
                        + 0x1000);
                    break;
                case Kind.Unmap when process.HasPages:
                    _bench.Unmap(process, _bench.Probed[step.Page]);
                    break;
                case Kind.Exit:
                    _bench.Exit(process);
                    _processes[step.Process] = StartProcess();
                    break;
                case Kind.Move:
                    _bench.RemoveDevice(device);
                    _bench.ProbeAll();
                    _devices[step.Device] = Add(step.Device, device.Requester);
                    break;
                default:
                    break;
            }
        }

        private void Bind(BenchDevice device, TestProcess process)
        {
            uint number = device.Only!.Value;
            uint? has = _devices.Where(d => _bench.BoundTo(d, d.Only!.Value) == process).Select(d => d.Only)
                .FirstOrDefault();
            bool isTaken =
                _devices.Any(d => d.Only == number && _bench.BoundTo(d, number) is { } other && other != process);
            bool isBound = _bench.BoundTo(device, number) == process;
            OpResult<Pasid> bound = _bench.TryBind(device, process);
            Errno[] expected = isBound ? [Errno.None, Errno.EEXIST, Errno.EBUSY]
                : has is { } other && other != number ? [Errno.EOVERFLOW, Errno.EINVAL, Errno.ENOSPC]
                : isTaken ? [Errno.ENOSPC]
                : [Errno.None];
            _context.Check(expected.Contains(bound.Errno),
                $"bind {process.Name} to {device}: {bound.Errno} ({bound.Reason ?? "success"}), must be "
                    + $"{string.Join(" or ", expected)}");
        }
    }
}
