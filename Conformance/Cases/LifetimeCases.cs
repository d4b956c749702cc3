using PasidFramework.Allocation;
using PasidFramework.Conformance.Bench;
using PasidFramework.Engine;
using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace PasidFramework.Conformance.Cases;

/// <summary>First and last, exit, and what comes back when everything is over.</summary>
internal static class LifetimeCases
{
    private static readonly CaseFamily s_family = new("lifetime", "LIF");

    public static IReadOnlyList<ConformanceCase> All { get; } =
    [
        s_family.Required(1, "C3-C5", "A process stays reachable until its last device has unbound it", FirstAndLast),
        s_family.Required(2, "C12, D12", "An exit ends every link, without a record, and tells each device once", ExitEverywhere),
        s_family.Required(3, "D13", "Memory does not grow with processes that come and go", NoGrowth),
        s_family.Required(4, "D1", "A process that is bound in two domains is reached from both, each on its own", TwoDomains),
        s_family.Required(5, "C5", "Removing a device ends its bindings and no others", RemovalEnds),
        s_family.Required(6, "C10, C11", "Tags of processes that are gone are used again", Tags) with { NeedsHardware = false },
        s_family.Required(7, "C3-C6, C10-C14, D1, D5, D6", "Random lives of processes reach the right memory at every step", RandomLives),
        s_family.Required(8, "PasidScope", "With numbers of the vendor, each space keeps its own", VendorNumbers),
    ];

    private static void FirstAndLast(CaseContext context)
    {
        Rig rig = context.Start();
        Domain domain = rig.AddDomain("domain");
        RigDevice[] devices = [.. Enumerable.Range(0, 3).Select(_ => rig.AddDevice(domain, rig.Usual))];
        TestProcess process = rig.StartProcess("process");
        foreach (RigDevice device in devices)
        {
            rig.MustBeAble(device, rig.Usual);
            _ = rig.Bind(device, process);
            rig.LookEverywhere();
        }

        foreach (RigDevice device in devices)
        {
            rig.Unbind(device, rig.Usual);
            rig.LookEverywhere();
        }

        // The order of unbinding is not that of binding.
        _ = rig.Bind(devices[1], process);
        _ = rig.Bind(devices[0], process);
        rig.Unbind(devices[1], rig.Usual);
        rig.LookEverywhere();
        rig.Unbind(devices[0], rig.Usual);
        rig.LookEverywhere();
    }

    private static void ExitEverywhere(CaseContext context)
    {
        Rig rig = context.Start();
        RigDevice[] devices = Spread(rig, rig.Usual, rig.Usual);
        for (int round = 0; round < 3; round++)
        {
            TestProcess process = rig.StartProcess(CaseContext.Text($"p{round}"));
            foreach (RigDevice device in devices.Take(devices.Length - round))
            {
                _ = rig.Bind(device, process);
            }

            rig.LookEverywhere();
            rig.Exit(process);
            rig.LookEverywhere();
        }
    }

    // Two domains, two devices in each.
    private static RigDevice[] Spread(Rig rig, uint first, uint second)
    {
        Domain left = rig.AddDomain("left");
        Domain right = rig.AddDomain("right");
        RigDevice[] devices =
            [rig.AddDevice(left, first), rig.AddDevice(left, first), rig.AddDevice(right, second), rig.AddDevice(right, second)];
        foreach (RigDevice device in devices)
        {
            rig.MustBeAble(device, device.Only!.Value);
        }

        return devices;
    }

    private static void NoGrowth(CaseContext context)
    {
        Rig rig = context.Start();
        Domain domain = rig.AddDomain("domain");
        RigDevice device = rig.AddDevice(domain, rig.Usual);
        rig.MustBeAble(device, rig.Usual);
        long held = 0;
        long table = 0;
        for (int round = 0; round < 100; round++)
        {
            TestProcess process = rig.StartProcess("process");
            _ = rig.TryBind(device, process);
            rig.Look(device.Requester, rig.Usual, Rig.First);
            if (round % 2 == 0)
            {
                rig.Exit(process);
            }
            else
            {
                rig.Unbind(device, rig.Usual);
            }

            process.Dispose();
            rig.Look(device.Requester, rig.Usual, Rig.First);
            if (round == 1)
            {
                held = rig.Hardware.Watched.HeldBytes;
                table = rig.Unit.Statistics.PasidTableBytes;
            }
        }

        context.Check(
            rig.Hardware.Watched.HeldBytes == held,
            $"the driver holds {rig.Hardware.Watched.HeldBytes} bytes after 100 processes, {held} after 2");
        context.Check(
            rig.Unit.Statistics.PasidTableBytes == table,
            $"Statistics tell of {rig.Unit.Statistics.PasidTableBytes} table bytes after 100 processes, {table} after 2");
    }

    private static void TwoDomains(CaseContext context)
    {
        Rig rig = context.Start();
        RigDevice[] devices = Spread(rig, rig.Usual, rig.Usual);
        TestProcess process = rig.StartProcess("process");
        _ = rig.Bind(devices[0], process);
        rig.LookEverywhere();
        _ = rig.Bind(devices[2], process);
        rig.LookEverywhere();
        rig.Remap(process, [Rig.First], Rig.First, Rig.First + 0x1000);
        rig.LookEverywhere();
        rig.Unbind(devices[0], rig.Usual);
        rig.LookEverywhere();
        rig.Unbind(devices[2], rig.Usual);
        rig.LookEverywhere();
    }

    private static void RemovalEnds(CaseContext context)
    {
        Rig rig = context.Start();
        RigDevice[] devices = Spread(rig, rig.Usual, rig.Usual);
        TestProcess process = rig.StartProcess("process");
        foreach (RigDevice device in devices)
        {
            _ = rig.Bind(device, process);
        }

        foreach (RigDevice device in devices)
        {
            rig.RemoveDevice(device);
            rig.LookEverywhere();
        }

        // Nobody has it any more, so its number is free for the next one.
        RigDevice again = rig.AddDevice(devices[0].Domain, rig.Usual, at: devices[0].Requester);
        rig.MustBeAble(again, rig.Usual);
        _ = rig.Bind(again, rig.StartProcess("next"));
        rig.LookEverywhere();
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
        Rig rig = context.Start(new RigSetup { Ownership = PasidOptions.OwnershipVendor });
        RigDevice[] devices = Spread(rig, rig.Usual, rig.Usual);
        TestProcess one = rig.StartProcess("one");
        _ = rig.Bind(devices[0], one);
        TestProcess two = rig.StartProcess("two");
        OpResult<Pasid> second = rig.TryBind(devices[2], two);
        if (!second.IsOk)
        {
            // One space for the whole unit: the number is taken.
            context.Check(second.Errno == Errno.ENOSPC, $"PASID 0x{rig.Usual:x} is taken: {second.Errno}, must be ENOSPC");
        }

        rig.LookEverywhere();
        rig.Exit(one);
        rig.LookEverywhere();
        if (second.IsOk)
        {
            rig.Exit(two);
            rig.LookEverywhere();
        }
    }

    private static void RandomLives(CaseContext context) => RandomRun.Play(
        context, sequences: context.BackEnd.Name is SoftwareBackEnds.Model or SoftwareBackEnds.StandIn ? 6 : 3, length: 50);
}
