using PasidFramework.Conformance.Bench;
using PasidFramework.Contracts;
using PasidFramework.Engine;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;

namespace PasidFramework.Conformance.Cases;

/// <summary>Whatever a cache may hold is told before it is wrong, and before its number means somebody else.</summary>
internal static class InvalidationCases
{
    private static readonly CaseFamily s_family = new("invalidation", "INV");

    public static IReadOnlyList<ConformanceCase> All { get; } =
    [
        s_family.Required(1, "D5", "After the last unbind nothing is reached, not even what was cached", c => Unbind(c, default)),
        s_family.Required(2, "D5, F6", "A number that is used again never shows the process before", c => Reuse(c, default)),
        s_family.Required(3, "D6", "Changed mappings are seen as soon as the driver was told", c => Changed(c, default)),
        s_family.Required(4, "D6", "Removed mappings are blocked as soon as the driver was told", c => Removed(c, default)),
        s_family.Required(5, "D6", "An empty range is accepted and changes nothing", Empty),
        s_family.Required(6, "D1", "An entry is seen at once where nothing was before", Present),
        s_family.Required(7, "D5", "A device that goes to another domain sees that domain only", Moves),
        s_family.Required(8, "D5", "A new domain shows nothing of the one before", Domains),
        s_family.Required(9, "D5, D12", "After an exit nothing is reached, and its number may be used again", Exits),
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

    private static Rig Start(CaseContext context, DeviceFeatures features, bool pages = false)
    {
        Rig rig = context.Start();
        if ((rig.Machine.Traits & (TestHardwareTraits.KeepsTranslations | TestHardwareTraits.KeepsConfiguration)) == 0)
        {
            context.NotApplicable($"{context.BackEnd.Name} caches nothing: a forgotten invalidation would not show");
        }

        if (pages && context.BackEnd.PageTables.Length == 0)
        {
            context.NotApplicable($"{context.BackEnd.Name} does not walk page tables");
        }

        if (features.HasFlag(DeviceFeatures.Ats))
        {
            context.Needs(rig.Machine, TestHardwareTraits.DeviceTlbs, "has no device TLBs");
        }

        return rig;
    }

    private static RigDevice Add(Rig rig, uint number, DeviceFeatures features = default)
    {
        RigDevice device = rig.AddDevice(rig.AddDomain(CaseContext.Text($"domain{number:x}")), number, features);
        rig.MustBeAble(device, number);
        return device;
    }

    private static void Unbind(CaseContext context, DeviceFeatures features)
    {
        Rig rig = Start(context, features);
        Domain domain = rig.AddDomain("domain");
        RigDevice one = rig.AddDevice(domain, rig.Usual, features);
        RigDevice two = rig.AddDevice(domain, rig.Usual, features);
        rig.MustBeAble(one, rig.Usual);
        rig.MustBeAble(two, rig.Usual);
        for (int round = 0; round < 3; round++)
        {
            TestProcess process = rig.StartProcess(CaseContext.Text($"p{round}"));
            _ = rig.Bind(one, process);
            _ = rig.Bind(two, process);
            rig.LookEverywhere();
            rig.Unbind(one, rig.Usual);
            rig.LookEverywhere();
            rig.Unbind(two, rig.Usual);
            rig.LookEverywhere();
            process.FreeTables();
            rig.LookEverywhere();
        }
    }

    private static void Reuse(CaseContext context, DeviceFeatures features)
    {
        Rig rig = Start(context, features);
        uint[] numbers = [.. Numbers.For(rig).Take(4)];
        RigDevice[] devices = [.. numbers.Select(n => Add(rig, n, features))];
        for (int round = 0; round < 4; round++)
        {
            List<(RigDevice Device, TestProcess Process)> bound = [];
            foreach (RigDevice device in devices)
            {
                TestProcess process = rig.StartProcess(CaseContext.Text($"p{round}-{device.Only:x}"));
                _ = rig.Bind(device, process);
                bound.Add((device, process));
            }

            rig.LookEverywhere();
            foreach ((RigDevice device, TestProcess process) in bound)
            {
                rig.Unbind(device, device.Only!.Value);

                // What it had is somebody else's memory now.
                process.FreeTables();
            }
        }
    }

    private static void Changed(CaseContext context, DeviceFeatures features)
    {
        Rig rig = Start(context, features, pages: true);
        RigDevice device = Add(rig, rig.Usual, features);
        TestProcess process = rig.StartProcess("process");
        _ = rig.Bind(device, process);
        ulong[] all = [.. Enumerable.Range(0, Rig.Pages).Select(i => Rig.First + ((ulong)i * 0x1000))];
        (ulong[] Pages, ulong Start, ulong End)[] changes =
        [
            ([all[0]], all[0], all[1]),
            ([all[^1]], all[^1], all[^1] + 0x1000),
            ([all[1], all[2], all[3]], all[1], all[4]),
            (all, all[0], all[^1] + 0x1000),

            // Bytes in the middle of pages touch these pages.
            ([all[1]], all[1] + 8, all[1] + 16),
            ([all[1], all[2]], all[1] + 0xFFF, all[2] + 1),
            ([rig.Far], rig.Far, rig.Far + 0x1000),

            // An end of 0 is the top of memory, 0 to 0 is everything.
            ([.. all[2..], rig.Far], all[2], 0),
            ([.. all, rig.Far], 0, 0),
            ([.. all], 0, 1UL << 38),
        ];
        foreach ((ulong[] pages, ulong start, ulong end) in changes)
        {
            foreach (ulong page in all)
            {
                rig.Look(device.Requester, rig.Usual, page);
            }

            rig.Remap(process, pages, start, end);
            for (int look = 0; look < 2; look++)
            {
                foreach (ulong page in all.Append(rig.Far))
                {
                    rig.Look(device.Requester, rig.Usual, page);
                }
            }
        }
    }

    private static void Removed(CaseContext context, DeviceFeatures features)
    {
        Rig rig = Start(context, features, pages: true);
        RigDevice device = Add(rig, rig.Usual, features);
        TestProcess process = rig.StartProcess("process");
        _ = rig.Bind(device, process);
        foreach (ulong page in rig.Probed)
        {
            rig.LookEverywhere();
            rig.Unmap(process, page);
            TranslationResult gone = rig.Store(device, rig.Usual, page);
            context.Check(
                gone.Status is TranslationStatus.Faulted or TranslationStatus.AbortedQuietly,
                $"a store to the unmapped page 0x{page:x} {Rig.Describe(gone)}");
            rig.LookEverywhere();
        }

        // And back again: that nothing is there may have been cached, too.
        rig.Remap(process, rig.Probed, 0, 0);
        rig.LookEverywhere();
    }

    private static void Empty(CaseContext context)
    {
        Rig rig = Start(context, default);
        RigDevice device = Add(rig, rig.Usual);
        TestProcess process = rig.StartProcess("process");
        _ = rig.Bind(device, process);
        foreach (ulong at in new[] { Rig.First, 0x1000UL, rig.Far })
        {
            rig.Tell(process, at, at);
            rig.LookEverywhere();
        }
    }

    private static void Present(CaseContext context)
    {
        Rig rig = Start(context, default);
        foreach (uint number in Numbers.For(rig).Take(4))
        {
            RigDevice device = Add(rig, number);

            // The fault may be remembered.
            rig.LookAt(device, number);
            _ = rig.Bind(device, rig.StartProcess(CaseContext.Text($"p{number:x}")));
            rig.LookEverywhere();
        }
    }

    private static void Moves(CaseContext context)
    {
        Rig rig = Start(context, default);
        Domain left = rig.AddDomain("left");
        Domain right = rig.AddDomain("right");
        RigDevice stays = rig.AddDevice(left, rig.Usual);
        RigDevice moves = rig.AddDevice(left, rig.Usual);
        RequesterId requester = moves.Requester;
        rig.MustBeAble(stays, rig.Usual);
        rig.MustBeAble(moves, rig.Usual);
        TestProcess process = rig.StartProcess("left");
        _ = rig.Bind(stays, process);
        _ = rig.Bind(moves, process);
        rig.LookEverywhere();
        rig.RemoveDevice(moves);
        rig.LookEverywhere();

        moves = rig.AddDevice(right, rig.Usual, at: requester);
        rig.MustBeAble(moves, rig.Usual);
        rig.LookEverywhere();
        rig.Unbind(stays, rig.Usual);
        rig.LookEverywhere();
        _ = rig.Bind(moves, rig.StartProcess("right"));
        rig.LookEverywhere();
    }

    private static void Domains(CaseContext context)
    {
        Rig rig = Start(context, default);
        RequesterId requester = rig.Machine.Requesters[0];
        for (int round = 0; round < 4; round++)
        {
            Domain domain = rig.AddDomain(CaseContext.Text($"domain{round}"));
            RigDevice device = rig.AddDevice(domain, rig.Usual, at: requester);
            rig.MustBeAble(device, rig.Usual);
            rig.LookEverywhere();
            TestProcess process = rig.StartProcess(CaseContext.Text($"p{round}"));
            _ = rig.Bind(device, process);
            rig.LookEverywhere();

            // With the binding still there, the device's end is its end.
            if (round % 2 == 0)
            {
                rig.Unbind(device, rig.Usual);
            }

            rig.RemoveDevice(device);
            process.FreeTables();
            rig.LookEverywhere();
            rig.RemoveDomain(domain);
            rig.LookEverywhere();
        }
    }

    private static void Exits(CaseContext context)
    {
        Rig rig = Start(context, default);
        RigDevice device = Add(rig, rig.Usual);
        for (int round = 0; round < 4; round++)
        {
            TestProcess process = rig.StartProcess(CaseContext.Text($"p{round}"));
            _ = rig.Bind(device, process);
            rig.LookEverywhere();
            rig.Exit(process);
            rig.LookEverywhere();
        }
    }

    private static void Forgets(CaseContext context)
    {
        Rig rig = Start(context, default);
        context.Needs(rig.Machine, TestHardwareTraits.Forgets, "cannot be made to forget");
        RigDevice one = Add(rig, rig.Usual);
        RigDevice two = Add(rig, rig.Second);
        for (int round = 0; round < 2; round++)
        {
            TestProcess first = rig.StartProcess(CaseContext.Text($"p{round}"));
            TestProcess second = rig.StartProcess(CaseContext.Text($"q{round}"));
            _ = rig.Bind(one, first);
            rig.Machine.DropCaches();
            rig.LookEverywhere();
            _ = rig.Bind(two, second);
            rig.Machine.DropCaches();
            rig.LookEverywhere();
            rig.Remap(first, [Rig.First], Rig.First, Rig.First + 0x1000);
            rig.Machine.DropCaches();
            rig.LookEverywhere();
            rig.Unbind(one, rig.Usual);
            rig.Machine.DropCaches();
            rig.LookEverywhere();
            rig.Exit(second);
            rig.Machine.DropCaches();
            rig.LookEverywhere();
        }
    }
}
