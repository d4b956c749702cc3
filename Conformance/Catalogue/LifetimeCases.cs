// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Catalogue;

/// <summary>First and last, exit, and what comes back when everything is over.</summary>
internal static class LifetimeCases
{
    private static readonly CaseFamily s_family = new("lifetime", "LIF");
    public static IReadOnlyList<ConformanceCase> All { get; } =
    [
        s_family.Required(1, "C3-C5", "A process stays reachable until its last device has unbound it", FirstAndLast),
        s_family.Required(2, "C12, D12", "An exit ends every link, without a record, and notifies each device once",
            ExitEverywhere),
        s_family.Required(3, "D13", "Memory does not grow with processes that come and go", NoGrowth),
        s_family.Required(4, "D1", "A process that is bound in two domains is reached from both, each on its own",
            TwoDomains),
        s_family.Required(5, "C5", "Removing a device ends its bindings and no others", RemovalEnds),
        s_family.Required(6, "C10, C11", "Tags of processes that are gone are used again",
            Tags) with { NeedsHardware = false },
        s_family.Required(7, "C3-C6, C10-C14, D1, D5, D6",
            "Random lives of processes reach the right memory at every step", RandomLives),
        s_family.Required(8, "PasidScope", "With PASIDs of the vendor, each space keeps its own", VendorNumbers),
    ];

    private static void FirstAndLast(CaseContext context)
    {
        TestBench bench = context.Start();
        Domain domain = bench.AddDomain("domain");
        BenchDevice[] devices = [.. Enumerable.Range(0, 3).Select(_ => bench.AddDevice(domain, bench.Usual))];
        TestProcess process = bench.StartProcess("process");
        foreach (BenchDevice device in devices)
        {
            bench.MustBeAble(device, bench.Usual);
            _ = bench.Bind(device, process);
            bench.ProbeAll();
        }

        foreach (BenchDevice device in devices)
        {
            bench.Unbind(device, bench.Usual);
            bench.ProbeAll();
        }

        // The order of unbinding is not that of binding.
        _ = bench.Bind(devices[1], process);
        _ = bench.Bind(devices[0], process);
        bench.ProbeAfterEach(
            () => bench.Unbind(devices[1], bench.Usual), () => bench.Unbind(devices[0], bench.Usual));
    }

    private static void ExitEverywhere(CaseContext context)
    {
        TestBench bench = context.Start();
        BenchDevice[] devices = Spread(bench);
        for (int round = 0; round < 3; round++)
        {
            TestProcess process = bench.StartProcess(Text($"p{round}"));
            foreach (BenchDevice device in devices.Take(devices.Length - round))
            {
                _ = bench.Bind(device, process);
            }

            bench.ProbeAll();
            bench.Exit(process);
            bench.ProbeAll();
        }
    }

    // Two domains, two devices in each.
    private static BenchDevice[] Spread(TestBench bench)
    {
        Domain left = bench.AddDomain("left");
        Domain right = bench.AddDomain("right");
        return
        [
            bench.AddReady(left, bench.Usual), bench.AddReady(left, bench.Usual),
            bench.AddReady(right, bench.Usual), bench.AddReady(right, bench.Usual),
        ];
    }

    private static void NoGrowth(CaseContext context)
    {
        TestBench bench = context.Start();
        Domain domain = bench.AddDomain("domain");
        BenchDevice device = bench.AddReady(domain, bench.Usual);
        long held = 0;
        long table = 0;
        for (int round = 0; round < 100; round++)
        {
            TestProcess process = bench.StartProcess("process");
            _ = bench.TryBind(device, process);
            bench.Probe(device.Requester, bench.Usual, TestBench.First);
            if (round % 2 == 0)
            {
                bench.Exit(process);
            }
            else
            {
                bench.Unbind(device, bench.Usual);
            }

            process.Dispose();
            bench.Probe(device.Requester, bench.Usual, TestBench.First);
            if (round == 1)
            {
                held = bench.Hardware.Watched.HeldBytes;
                table = bench.Unit.Statistics.PasidTableBytes;
            }
        }

        context.Check(bench.Hardware.Watched.HeldBytes == held,
            $"the driver holds {bench.Hardware.Watched.HeldBytes} bytes after 100 processes, {held} after 2");
        context.Check(bench.Unit.Statistics.PasidTableBytes == table,
            $"Statistics report {bench.Unit.Statistics.PasidTableBytes} table bytes after 100 processes, {table} after "
                + $"2");
    }

    private static void TwoDomains(CaseContext context)
    {
        TestBench bench = context.Start();
        BenchDevice[] devices = Spread(bench);
        TestProcess process = bench.StartProcess("process");
        bench.ProbeAfterEach(
            () => bench.Bind(devices[0], process),
            () => bench.Bind(devices[2], process),
            () => bench.Remap(process, [TestBench.First], TestBench.First, TestBench.First + 0x1000),
            () => bench.Unbind(devices[0], bench.Usual),
            () => bench.Unbind(devices[2], bench.Usual));
    }

    private static void RemovalEnds(CaseContext context)
    {
        TestBench bench = context.Start();
        BenchDevice[] devices = Spread(bench);
        TestProcess process = bench.StartProcess("process");
        foreach (BenchDevice device in devices)
        {
            _ = bench.Bind(device, process);
        }

        foreach (BenchDevice device in devices)
        {
            bench.RemoveDevice(device);
            bench.ProbeAll();
        }

        // Nothing holds it any more, so its PASID is free for the next one.
        BenchDevice again = bench.AddReady(devices[0].Domain, bench.Usual, at: devices[0].Requester);
        _ = bench.Bind(again, bench.StartProcess("next"));
        bench.ProbeAll();
    }

    // More processes than any architecture has tags of 16 bits.
    private static void Tags(CaseContext context)
    {
        using StandIn stand = StandIn.Start(context);
        Domain domain = stand.AddDomain();
        Device device = stand.AddDevice(domain);
        for (int i = 0; i < 70_000; i++)
        {
            var process = new BareProcess(i);
            OpResult<Pasid> bound = stand.Core.Bind(device, process);
            context.Check(bound.IsOk, $"process {i}, with all before it gone: {bound.Reason} ({bound.Errno})");
            OpResult unbound = stand.Core.Unbind(device, bound.Value);
            context.Check(unbound.IsOk, $"unbind of process {i}: {unbound.Reason} ({unbound.Errno})");
        }
    }

    private static void VendorNumbers(CaseContext context)
    {
        TestBench bench = context.Start(new TestBenchSetup { Ownership = PasidOptions.OwnershipVendor });
        BenchDevice[] devices = Spread(bench);
        TestProcess one = bench.StartProcess("one");
        _ = bench.Bind(devices[0], one);
        TestProcess two = bench.StartProcess("two");
        OpResult<Pasid> second = bench.TryBind(devices[2], two);
        if (!second.IsOk)
        {
            // One space for the whole unit: the PASID is taken.
            context.Check(second.Errno == Errno.ENOSPC,
                $"PASID 0x{bench.Usual:x} is taken: {second.Errno}, must be ENOSPC");
        }

        bench.ProbeAll();
        bench.Exit(one);
        bench.ProbeAll();
        if (second.IsOk)
        {
            bench.Exit(two);
            bench.ProbeAll();
        }
    }

    private static void RandomLives(CaseContext context) => RandomRun.Play(
        context, sequences: context.BackEnd.Name is SoftwareBackEnds.Model or SoftwareBackEnds.StandIn ? 6 : 3,
        length: 50);
}
