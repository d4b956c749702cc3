// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Catalogue;

/// <summary>Domains run beside each other, and devices beside the driver.</summary>
internal static class ConcurrencyCases
{
    private const int Rounds = 60;
    private static readonly CaseFamily s_family = new("concurrency", "CON");
    public static IReadOnlyList<ConformanceCase> All { get; } =
    [
        s_family.Required(1, "C3-C5", "Domains bind and unbind at once, each in its own memory",
            Domains) with { IsStochastic = true },
        s_family.Required(2, "C13, C14", "Exit, unbind and bind of one process at once leave no link",
            Ends) with { IsStochastic = true },
        s_family.Required(3, "D2, D5", "A device that never stops reaches its process or nothing",
            Accesses) with { IsStochastic = true },
    ];

    private static TestBench Start(CaseContext context)
    {
        TestBench bench = context.Start();
        context.Needs(bench.Machine, TestHardwareTraits.Concurrent, "takes one access at a time");
        return bench;
    }

    private static TranslationResult Store(TestBench bench, BenchDevice device) => bench.Machine.Translate(
        new DmaAccess(device.Requester, new Pasid(device.Only!.Value), TestBench.First + TestBench.Offset,
            IsWrite: true));

    private static BenchDevice Add(TestBench bench, uint number) =>
        bench.AddReady(bench.AddDomain(Text($"domain{number:x}")), number);

    // Neighbours, of two leaves where leaves have 64 entries.
    private static uint[] Numbers(TestBench bench, int count) =>
        bench.NumbersNear(Enumerable.Range(62, count).Select(n => (uint)n));

    private static void Violations(CaseContext context, TestBench bench)
    {
        IReadOnlyList<string> violations = bench.Machine.TakeViolations();
        context.Check(violations.Count == 0, $"{string.Join("; ", violations.Take(1))}");
        context.Check(bench.Core.DriverFailures == 0, $"the driver threw {bench.Core.DriverFailures} times");
    }

    private static void Domains(CaseContext context)
    {
        const int Threads = 3;
        TestBench bench = Start(context);
        BenchDevice[] devices = [.. Numbers(bench, Threads).Select(n => Add(bench, n))];
        TestProcess[][] processes =
            [.. devices.Select((_, i) => Enumerable.Range(0, Rounds).Select(r => bench.StartProcess(Text($"p{i}-{r}")))
                .ToArray())];
        using var barrier = new Barrier(Threads);
        Races.Run(context, Threads, me =>
        {
            BenchDevice device = devices[me - 1];
            var pasid = new Pasid(device.Only!.Value);
            barrier.SignalAndWait();
            foreach (TestProcess process in processes[me - 1])
            {
                OpResult<Pasid> bound = bench.Core.Bind(device.Device, process);
                context.Check(bound.IsOk, $"bind {process.Name} to {device}: {bound.Reason} ({bound.Errno})");
                TranslationResult result = Store(bench, device);
                context.Check(process.IsReached(result, TestBench.First),
                    $"{process.Name} is bound to {device}: the access {TestBench.Describe(result)}");
                OpResult unbound = bench.Core.Unbind(device.Device, pasid);
                context.Check(unbound.IsOk, $"unbind {process.Name} from {device}: {unbound.Reason} ({unbound.Errno})");
                result = Store(bench, device);
                context.Check(TestBench.IsBlocked(result),
                    $"{process.Name} is unbound from {device}: the access {TestBench.Describe(result)}");
            }
        });
        Violations(context, bench);
    }

    private static void Ends(CaseContext context)
    {
        const int Threads = 3;
        TestBench bench = Start(context);
        Domain domain = bench.AddDomain("domain");
        BenchDevice[] devices =
        [
            bench.AddReady(domain, bench.Usual), bench.AddReady(domain, bench.Usual),
            bench.AddReady(bench.AddDomain("other"), bench.Usual),
        ];

        for (int round = 0; round < Rounds; round++)
        {
            TestProcess process = bench.StartProcess(Text($"p{round}"));
            OpResult<Pasid> first = bench.Core.Bind(devices[0].Device, process);
            OpResult<Pasid> second = bench.Core.Bind(devices[1].Device, process);
            context.Check(first.IsOk && second.IsOk, $"bind: {first.Reason ?? second.Reason}");
            OpResult unbound = default;
            OpResult<Pasid> bound = default;
            using var barrier = new Barrier(Threads);
            Races.Run(context, Threads, me =>
            {
                barrier.SignalAndWait();
                switch (me)
                {
                    case 1:
                        process.End();
                        bench.Core.ProcessEnded(process);
                        break;
                    case 2:
                        unbound = bench.Core.Unbind(devices[1].Device, new Pasid(bench.Usual));
                        break;
                    default:
                        bound = bench.Core.Bind(devices[2].Device, process);
                        break;
                }
            });
            context.Check(unbound.Errno is Errno.None or Errno.ESRCH,
                $"unbind beside an exit: {unbound.Errno} ({unbound.Reason})");
            context.Check(bound.Errno is Errno.None or Errno.ESRCH or Errno.EINVAL,
                $"bind beside an exit: {bound.Errno} ({bound.Reason})");
            process.FreeTables();
            foreach (BenchDevice device in devices)
            {
                TranslationResult result = Store(bench, device);
                context.Check(TestBench.IsBlocked(result),
                    $"{process.Name} exited: an access of {device} {TestBench.Describe(result)}");
            }

            Violations(context, bench);
        }
    }

    private static void Accesses(CaseContext context)
    {
        TestBench bench = Start(context);
        uint[] numbers = Numbers(bench, 2);
        BenchDevice busy = Add(bench, numbers[0]);
        BenchDevice steady = Add(bench, numbers[1]);
        TestProcess stays = bench.StartProcess("stays");
        _ = bench.Bind(steady, stays);
        TestProcess[] processes = [.. Enumerable.Range(0, Rounds).Select(i => bench.StartProcess(Text($"p{i}")))];
        bool isOver = false;
        long probes = 0;

        // The device gets a chance between any two calls; how long it takes decides nothing.
        void LetLook()
        {
            long before = Volatile.Read(ref probes);
            for (int i = 0; i < 20_000 && Volatile.Read(ref probes) == before && !Volatile.Read(ref isOver); i++)
            {
                Thread.Yield();
            }
        }

        // Odd while process phase / 2 may be reached, from its bind's begin to its unbind's end; even when none may be.
        int phase = 0;
        using var barrier = new Barrier(2);
        Races.Run(context, 2, me =>
        {
            barrier.SignalAndWait();
            if (me == 1)
            {
                try
                {
                    foreach (TestProcess process in processes)
                    {
                        Interlocked.Increment(ref phase);
                        OpResult<Pasid> bound = bench.Core.Bind(busy.Device, process);
                        context.Check(bound.IsOk, $"bind: {bound.Reason} ({bound.Errno})");
                        LetLook();
                        OpResult unbound = bench.Core.Unbind(busy.Device, bound.Value);
                        context.Check(unbound.IsOk, $"unbind: {unbound.Reason} ({unbound.Errno})");
                        Interlocked.Increment(ref phase);
                        LetLook();
                    }
                }
                finally
                {
                    Volatile.Write(ref isOver, true);
                }

                return;
            }

            while (!Volatile.Read(ref isOver))
            {
                // Every process whose time lies between the two readings may be the one.
                int before = Volatile.Read(ref phase);
                TranslationResult result = Store(bench, busy);
                int after = Volatile.Read(ref phase);
                bool right = TestBench.IsBlocked(result);
                for (int at = before; at <= after && !right; at++)
                {
                    right = (at & 1) != 0 && processes[at / 2].IsReached(result, TestBench.First);
                }

                context.Check(right,
                    $"a store of {busy} {TestBench.Describe(result)}, must reach "
                        + $"{((after & 1) != 0 ? processes[after / 2].Name + " or " : "")}nothing");
                TranslationResult other = Store(bench, steady);
                context.Check(stays.IsReached(other, TestBench.First),
                    $"a store of {steady}, which is not changed, {TestBench.Describe(other)}");
                Interlocked.Increment(ref probes);

                // Gates are not fair: without this the driver waits for most of the case.
                Thread.Yield();
            }
        });
        Violations(context, bench);
    }
}
