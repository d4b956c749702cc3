// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Catalogue;

/// <summary>Between any two stores of the driver the hardware sees the old state, the new one, or nothing.</summary>
internal static class TransitionCases
{
    private static readonly CaseFamily s_family = new("transitions", "TRN");
    private static readonly TestBenchSetup s_coherent = new();
    private static readonly TestBenchSetup s_nonCoherent = new() { Hardware = new HardwareSetup { Coherent = false } };
    public static IReadOnlyList<ConformanceCase> All { get; } =
    [
        s_family.Required(1, "D2", "An install is seen whole or not at all", c => Install(c, s_coherent)),
        s_family.Required(2, "D2, D5", "A removal is seen whole or not at all", c => Removal(c, s_coherent)),
        s_family.Required(3, "D12", "An exit is seen whole or not at all", c => Exit(c, s_coherent)),
        s_family.Required(4, "D8", "A new leaf disturbs no entry of another one", c => Leaf(c, s_coherent)),
        s_family.Required(5, "D2", "Adding and removing a device disturbs no other one", c => Device(c, s_coherent)),
        s_family.Optional(6, "D2", "As TRN-001, where the walker does not snoop", c => Install(c, NonCoherent(c))),
        s_family.Optional(7, "D2, D5", "As TRN-002, where the walker does not snoop", c => Removal(c, NonCoherent(c))),
        s_family.Optional(8, "D12", "As TRN-003, where the walker does not snoop", c => Exit(c, NonCoherent(c))),
        s_family.Optional(9, "D3, D8", "As TRN-004, where the walker does not snoop", c => Leaf(c, NonCoherent(c))),
        s_family.Optional(10, "D2", "As TRN-005, where the walker does not snoop", c => Device(c, NonCoherent(c))),
        s_family.Optional(11, "D4", "The exported table writer refuses a second entry in one place", Second)
            with { NeedsHardware = false },
        s_family.Optional(12, "D7", "The exported table writer refuses a PASID beyond its width", Beyond)
            with { NeedsHardware = false },
    ];

    private static TestBenchSetup NonCoherent(CaseContext context)
    {
        if ((context.Subject.Metadata.Capabilities & DriverCapabilities.NonCoherent) == 0)
        {
            context.NotApplicable("capability NonCoherent not declared");
        }

        return s_nonCoherent;
    }

    private static (TestBench TestBench, BenchDevice[] Devices) Prepare(CaseContext context, TestBenchSetup setup)
    {
        TestBench bench = context.Start(setup);
        Domain? shared = null;

        // 62 and 63 are of one leaf whatever its size, 64 begins another where leaves have 64 entries.
        return (bench, [.. bench.NumbersNear(62, 63, 64).Select(number =>
            bench.AddReady(bench.DomainFor(number, ref shared), number))]);
    }

    private static void Install(CaseContext context, TestBenchSetup setup)
    {
        (TestBench bench, BenchDevice[] devices) = Prepare(context, setup);
        const int Moments = 12;
        BenchDevice other = devices[1];
        foreach (BenchDevice device in new[] { devices[0], devices[2] })
        {
            uint pasid = device.Only!.Value;
            TestProcess first = bench.StartProcess(Text($"first{pasid:x}"));
            bench.DuringNext(first, -1, (device, pasid));
            _ = bench.Bind(device, first);
            bench.ProbeAll();
            bench.Unbind(device, pasid);
            for (int moment = 0; moment < Moments; moment++)
            {
                // The place holds the tag of a process that is gone, and a bystander has that tag now. Whatever is
                // cached under it in the middle of the install shows where the bystander finds it. That the place is
                // empty may be cached, too, and hides the middle: so the caches are emptied once, each time at another
                // moment.
                _ = bench.Bind(device, bench.StartProcess("before"));
                bench.Unbind(device, pasid);
                uint bystander = bench.Bind(other, bench.StartProcess("bystander"));
                bench.Machine.DropCaches();
                TestProcess process = bench.StartProcess(Text($"p{pasid:x}-{moment}"));
                bench.DuringNext(process, moment, (device, pasid));
                _ = bench.Bind(device, process);
                bench.ProbeAll();
                bench.Unbind(device, pasid);
                bench.Unbind(other, bystander);
            }
        }
    }

    private static void Removal(CaseContext context, TestBenchSetup setup) =>
        End(context, setup, (bench, device, _) => bench.Unbind(device, device.Only!.Value));

    private static void Exit(CaseContext context, TestBenchSetup setup) =>
        End(context, setup, (bench, _, process) => bench.Exit(process));

    private static void End(
        CaseContext context, TestBenchSetup setup, Action<TestBench, BenchDevice, TestProcess> end)
    {
        (TestBench bench, BenchDevice[] devices) = Prepare(context, setup);
        TestProcess[] processes = [.. devices.Select(d => bench.StartProcess(Text($"p{d.Only:x}")))];
        for (int i = 0; i < devices.Length; i++)
        {
            _ = bench.Bind(devices[i], processes[i]);
        }

        for (int i = 0; i < devices.Length; i++)
        {
            bench.DuringNext(processes[i], 0, (devices[i], devices[i].Only!.Value));
            end(bench, devices[i], processes[i]);
            bench.ProbeAll();
        }
    }

    private static void Leaf(CaseContext context, TestBenchSetup setup)
    {
        TestBench bench = context.Start(setup);
        context.Needs(bench.Machine, TestHardwareTraits.ManyProcesses, "knows no PASIDs");
        Domain domain = bench.AddDomain("domain");
        List<(BenchDevice, uint)> links = [];
        foreach (uint number in Numbers.For(bench))
        {
            BenchDevice device = bench.AddReady(domain, number);
            TestProcess process = bench.StartProcess(Text($"p{number:x}"));
            bench.UndisturbedDuringNext([.. links]);
            links.Add((device, bench.Bind(device, process)));
        }

        while (links.Count > 1)
        {
            (BenchDevice device, uint pasid) = links[^1];
            links.RemoveAt(links.Count - 1);
            bench.UndisturbedDuringNext([.. links]);
            bench.Unbind(device, pasid);
        }
    }

    private static void Device(CaseContext context, TestBenchSetup setup)
    {
        (TestBench bench, BenchDevice[] devices) = Prepare(context, setup);
        uint pasid = bench.Bind(devices[0], bench.StartProcess("stays"));
        uint fourth = bench.Number(65, [.. devices.Select(d => d.Only!.Value)]);
        for (int round = 0; round < 2; round++)
        {
            bench.UndisturbedDuringNext((devices[0], pasid));
            Domain domain = bench.AddDomain(Text($"other{round}"));
            bench.UndisturbedDuringNext((devices[0], pasid));
            BenchDevice other = bench.AddDevice(domain, fourth, at: bench.Machine.Requesters[5]);
            TestProcess process = bench.StartProcess("goes");
            bench.UndisturbedDuringNext((devices[0], pasid));
            _ = bench.Bind(other, process);
            bench.UndisturbedDuringNext((devices[0], pasid));
            bench.RemoveDevice(other);
            bench.UndisturbedDuringNext((devices[0], pasid));
            bench.RemoveDomain(domain);
            bench.ProbeAll();
        }
    }

    private static IPasidTable Table(CaseContext context)
    {
        if (context.Subject.TableFormat is not { } format)
        {
            context.NotApplicable($"its assembly exports no writer of '{context.Subject.Metadata.TableFormat}' tables");
            return null!;
        }

        OpResult<IPasidTable> table = format.Create(new SystemMemory(), 16, new NoSync());
        context.Check(table.IsOk, $"a table of 16 bits was refused: {table.Reason}");
        return table.Value!;
    }

    private static void Second(CaseContext context)
    {
        using IPasidTable table = Table(context);
        foreach (uint number in new uint[] { 1, 63, 64, 0xFFFF })
        {
            var pasid = new Pasid(number);
            OpResult first = table.Set(pasid, new PasidTableEntry(0x10_0000, 1));
            context.Check(first.IsOk, $"the first entry of PASID 0x{number:x} was refused: {first.Reason}");
            OpResult second = table.Set(pasid, new PasidTableEntry(0x20_0000, 2));
            context.Check(second.Errno == Errno.EEXIST,
                $"a second entry of PASID 0x{number:x}: {second.Errno}, must be EEXIST");
            context.Check(table.Clear(pasid).IsOk, $"PASID 0x{number:x} cannot be cleared");
            OpResult again = table.Set(pasid, new PasidTableEntry(0x20_0000, 2));
            context.Check(again.IsOk, $"PASID 0x{number:x} is refused after it was cleared: {again.Reason}");
        }
    }

    private static void Beyond(CaseContext context)
    {
        using IPasidTable table = Table(context);
        long before = table.TableBytes;
        foreach (uint number in new uint[] { 0x10000, 0xFFFFF })
        {
            OpResult result = table.Set(new Pasid(number), new PasidTableEntry(0x10_0000, 1));
            context.Check(result.Errno == Errno.EINVAL,
                $"PASID 0x{number:x} in a table of 16 bits: {result.Errno}, must be EINVAL");
        }

        context.Check(table.TableBytes == before, $"a refused PASID cost {table.TableBytes - before} bytes");
    }

    private sealed class NoSync : IPasidTableSync
    {
        public OpResult ConfigurationChanged(Pasid pasid, bool leafOnly) => OpResult.Ok;
        public OpResult TranslationsChanged(Pasid pasid, uint archId) => OpResult.Ok;
    }
}
