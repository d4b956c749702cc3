// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Catalogue;

/// <summary>Every cached entry is invalidated before it becomes stale and before its PASID is reused.</summary>
internal static class InvalidationCases
{
    private static readonly CaseFamily s_family = new("invalidation", "INV");
    public static IReadOnlyList<ConformanceCase> All { get; } =
    [
        s_family.Required(1, "D5", "After the last unbind nothing is reached, not even what was cached", c =>
            Unbind(c, default)),
        s_family.Required(2, "D5, F6", "A PASID that is used again never shows the process before", c =>
            Reuse(c, default)),
        s_family.Required(3, "D6", "Changed mappings are seen as soon as the driver has invalidated them", c =>
            Changed(c, default)),
        s_family.Required(4, "D6", "Removed mappings are blocked as soon as the driver has invalidated them", c =>
            Removed(c, default)),
        s_family.Required(5, "D6", "An empty range changes nothing, and one byte is not an empty range", Empty),
        s_family.Required(6, "D1", "An entry is seen at once where nothing was before", Present),
        s_family.Required(7, "D5", "A device that goes to another domain sees that domain only", Moves),
        s_family.Required(8, "D5", "A new domain shows nothing of the one before", Domains),
        s_family.Required(9, "D5, D12", "After an exit nothing is reached, and its PASID may be used again", Exits),
        s_family.Optional(10, "D5", "As INV-001, with device TLBs", c => Unbind(c, Ats(c))),
        s_family.Optional(11, "D5, F6", "As INV-002, with device TLBs", c => Reuse(c, Ats(c))),
        s_family.Optional(12, "D6", "As INV-003, with device TLBs", c => Changed(c, Ats(c))),
        s_family.Optional(13, "D6", "As INV-004, with device TLBs", c => Removed(c, Ats(c))),
        s_family.Required(14, "D5", "Nothing depends on what the hardware forgets by itself", Forgets),
    ];

    private static DeviceFeatures Ats(CaseContext context)
    {
        if ((context.Subject.Metadata.Capabilities & DriverCapabilities.Ats) == 0)
        {
            context.NotApplicable("capability Ats not declared");
        }

        return DeviceFeatures.Ats;
    }

    private static TestBench Start(CaseContext context, DeviceFeatures features, bool pages = false)
    {
        TestBench bench = context.Start();
        if ((
            bench.Machine.Traits & (TestHardwareTraits.KeepsTranslations | TestHardwareTraits.KeepsConfiguration)) == 0)
        {
            context.NotApplicable($"{context.BackEnd.Name} caches nothing: a forgotten invalidation would not show");
        }

        if (pages && context.BackEnd.PageTables.Length == 0)
        {
            context.NotApplicable($"{context.BackEnd.Name} does not walk page tables");
        }

        if (features.HasFlag(DeviceFeatures.Ats))
        {
            context.Needs(bench.Machine, TestHardwareTraits.DeviceTlbs, "has no device TLBs");
        }

        return bench;
    }

    private static BenchDevice Add(TestBench bench, uint number, DeviceFeatures features = default) =>
        bench.AddReady(bench.AddDomain(Text($"domain{number:x}")), number, features);

    private static void Unbind(CaseContext context, DeviceFeatures features)
    {
        TestBench bench = Start(context, features);
        Domain domain = bench.AddDomain("domain");
        BenchDevice one = bench.AddReady(domain, bench.Usual, features);
        BenchDevice two = bench.AddReady(domain, bench.Usual, features);
        for (int round = 0; round < 3; round++)
        {
            TestProcess process = bench.StartProcess(Text($"p{round}"));
            _ = bench.Bind(one, process);
            bench.ProbeAfterEach(
                () => bench.Bind(two, process),
                () => bench.Unbind(one, bench.Usual),
                () => bench.Unbind(two, bench.Usual),
                process.FreeTables);
        }
    }

    private static void Reuse(CaseContext context, DeviceFeatures features)
    {
        TestBench bench = Start(context, features);
        uint[] numbers = [.. Numbers.For(bench).Take(4)];
        BenchDevice[] devices = [.. numbers.Select(n => Add(bench, n, features))];
        for (int round = 0; round < 4; round++)
        {
            List<(BenchDevice Device, TestProcess Process)> bound = [];
            foreach (BenchDevice device in devices)
            {
                TestProcess process = bench.StartProcess(Text($"p{round}-{device.Only:x}"));
                _ = bench.Bind(device, process);
                bound.Add((device, process));
            }

            bench.ProbeAll();
            foreach ((BenchDevice device, TestProcess process) in bound)
            {
                bench.Unbind(device, device.Only!.Value);

                // What it had is another process's memory now.
                process.FreeTables();
            }
        }
    }

    private static void Changed(CaseContext context, DeviceFeatures features)
    {
        TestBench bench = Start(context, features, pages: true);
        BenchDevice device = Add(bench, bench.Usual, features);
        TestProcess process = bench.StartProcess("process");
        _ = bench.Bind(device, process);
        ulong[] all = [.. Enumerable.Range(0, TestBench.Pages).Select(i => TestBench.First + ((ulong)i * 0x1000))];
        (ulong[] Pages, ulong Start, ulong End)[] changes =
        [
            ([all[0]], all[0], all[1]),
            ([all[^1]], all[^1], all[^1] + 0x1000),
            ([all[1], all[2], all[3]], all[1], all[4]),
            (all, all[0], all[^1] + 0x1000),

            // Bytes in the middle of pages touch these pages.
            ([all[1]], all[1] + 8, all[1] + 16),
            ([all[1], all[2]], all[1] + 0xFFF, all[2] + 1),
            ([bench.Far], bench.Far, bench.Far + 0x1000),

            // An end of 0 is the top of memory, 0 to 0 is everything.
            ([.. all[2..], bench.Far], all[2], 0),
            ([.. all, bench.Far], 0, 0),
            ([.. all], 0, 1UL << 38),
        ];
        foreach ((ulong[] pages, ulong start, ulong end) in changes)
        {
            foreach (ulong page in all)
            {
                bench.Probe(device.Requester, bench.Usual, page);
            }

            bench.Remap(process, pages, start, end);
            for (int round = 0; round < 2; round++)
            {
                foreach (ulong page in all.Append(bench.Far))
                {
                    bench.Probe(device.Requester, bench.Usual, page);
                }
            }
        }
    }

    private static void Removed(CaseContext context, DeviceFeatures features)
    {
        TestBench bench = Start(context, features, pages: true);
        BenchDevice device = Add(bench, bench.Usual, features);
        TestProcess process = bench.StartProcess("process");
        _ = bench.Bind(device, process);
        foreach (ulong page in bench.Probed)
        {
            bench.ProbeAll();
            bench.Unmap(process, page);
            TranslationResult gone = bench.Store(device, bench.Usual, page);
            context.Check(TestBench.IsBlocked(gone),
                $"a store to the unmapped page 0x{page:x} {TestBench.Describe(gone)}");
            bench.ProbeAll();
        }

        // And back again: that nothing is there may have been cached, too.
        bench.Remap(process, bench.Probed, 0, 0);
        bench.ProbeAll();
    }

    private static void Empty(CaseContext context)
    {
        TestBench bench = Start(context, default);
        BenchDevice device = Add(bench, bench.Usual);
        TestProcess process = bench.StartProcess("process");
        _ = bench.Bind(device, process);
        foreach (ulong at in new[] { TestBench.First, 0x1000UL, bench.Far })
        {
            bench.InvalidateMappings(process, at, at);
            bench.ProbeAll();
        }

        bench.Remap(process, [TestBench.First], TestBench.First, TestBench.First + 1);
        bench.ProbeAll();
    }

    private static void Present(CaseContext context)
    {
        TestBench bench = Start(context, default);
        foreach (uint number in Numbers.For(bench).Take(4))
        {
            BenchDevice device = Add(bench, number);

            // The fault may be remembered.
            bench.Probe(device, number);
            _ = bench.Bind(device, bench.StartProcess(Text($"p{number:x}")));
            bench.ProbeAll();
        }
    }

    private static void Moves(CaseContext context)
    {
        TestBench bench = Start(context, default);
        Domain left = bench.AddDomain("left");
        Domain right = bench.AddDomain("right");
        BenchDevice stays = bench.AddReady(left, bench.Usual);
        BenchDevice moves = bench.AddReady(left, bench.Usual);
        TestProcess process = bench.StartProcess("left");
        _ = bench.Bind(stays, process);
        bench.ProbeAfterEach(
            () => bench.Bind(moves, process),
            () => bench.RemoveDevice(moves),
            () => moves = bench.AddReady(right, bench.Usual, at: moves.Requester),
            () => bench.Unbind(stays, bench.Usual),
            () => bench.Bind(moves, bench.StartProcess("right")));
    }

    private static void Domains(CaseContext context)
    {
        TestBench bench = Start(context, default);
        RequesterId requester = bench.Machine.Requesters[0];
        for (int round = 0; round < 4; round++)
        {
            Domain domain = bench.AddDomain(Text($"domain{round}"));
            BenchDevice device = bench.AddReady(domain, bench.Usual, at: requester);
            bench.ProbeAll();
            TestProcess process = bench.StartProcess(Text($"p{round}"));
            _ = bench.Bind(device, process);
            bench.ProbeAll();

            // With the binding still there, the device's end is its end.
            if (round % 2 == 0)
            {
                bench.Unbind(device, bench.Usual);
            }

            bench.RemoveDevice(device);
            process.FreeTables();
            bench.ProbeAll();
            bench.RemoveDomain(domain);
            bench.ProbeAll();
        }
    }

    private static void Exits(CaseContext context)
    {
        TestBench bench = Start(context, default);
        BenchDevice device = Add(bench, bench.Usual);
        for (int round = 0; round < 4; round++)
        {
            TestProcess process = bench.StartProcess(Text($"p{round}"));
            bench.ProbeAfterEach(() => bench.Bind(device, process), () => bench.Exit(process));
        }
    }

    private static void Forgets(CaseContext context)
    {
        TestBench bench = Start(context, default);
        context.Needs(bench.Machine, TestHardwareTraits.Forgets, "cannot be made to forget");
        BenchDevice one = Add(bench, bench.Usual);
        BenchDevice two = Add(bench, bench.Second);
        for (int round = 0; round < 2; round++)
        {
            TestProcess first = bench.StartProcess(Text($"p{round}"));
            TestProcess second = bench.StartProcess(Text($"q{round}"));
            foreach (Action step in (Action[])
            [
                () => bench.Bind(one, first),
                () => bench.Bind(two, second),
                () => bench.Remap(first, [TestBench.First], TestBench.First, TestBench.First + 0x1000),
                () => bench.Unbind(one, bench.Usual),
                () => bench.Exit(second),
            ])
            {
                bench.ProbeAfterEach(step + bench.Machine.DropCaches);
            }
        }
    }
}
