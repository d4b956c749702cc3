// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Catalogue;

/// <summary>What a driver declares works, and what it does not declare it refuses.</summary>
internal static class CapabilityCases
{
    private static readonly CaseFamily s_family = new("capabilities", "CAP");
    public static IReadOnlyList<ConformanceCase> All { get; } =
    [
        s_family.Required(1, "D7", "The unit is as wide as driver, hardware and caller allow, and no wider", Width),
        s_family.Required(2, "D7", "Hardware without PASIDs is refused cleanly", NoPasids),
        s_family.Required(3, "honesty", "Devices with device TLBs: work if declared, are refused if not", Ats),
        s_family.Required(4, "honesty", "Walkers that do not snoop: work if declared, are refused if not", NonCoherent),
        s_family.Required(5, "honesty", "Fault records: decoded if declared, EOPNOTSUPP if not", Faults),
        s_family.Required(6, "honesty", "An allocator of its own: there if declared, null if not", Allocator)
            with { NeedsHardware = false },
    ];

    private static bool Declares(CaseContext context, DriverCapabilities capability) =>
        (context.Subject.Metadata.Capabilities & capability) != 0;

    private static void Width(CaseContext context)
    {
        int most = context.Subject.Metadata.PasidBits;
        (int Hardware, int Caller)[] widths =
            [(20, 20), (16, 20), (20, 16), (12, 20), (8, 20), (20, 8), (6, 20), (20, 5)];
        int tried = 0;
        foreach ((int hardware, int caller) in widths)
        {
            OpResult<ITestHardware> can = context.BackEnd.Start(new HardwareSetup { PasidBits = hardware });
            if (!can.IsOk)
            {
                continue;
            }

            TestBench bench = context.Start(
                new TestBenchSetup { Hardware = new HardwareSetup { PasidBits = hardware }, UnitPasidBits = caller },
                can.Value);
            int limit = Math.Min(most, Math.Min(hardware, caller));
            int got = bench.Unit.PasidBits;
            context.Check(got == limit,
                $"the unit has {got} bits; driver {most}, hardware {hardware}, caller {caller}: must have {limit}");
            Domain domain = bench.AddDomain("domain");
            uint last = bench.Number((1u << got) - 1);
            BenchDevice device = bench.AddReady(domain, last);
            _ = bench.Bind(device, bench.StartProcess("process"));
            bench.ProbeAll();
            bench.Finish();
            bench.Dispose();
            tried++;
        }

        if (tried == 0)
        {
            context.NotApplicable($"{context.BackEnd.Name} cannot be made with any of the widths");
        }
    }

    private static void NoPasids(CaseContext context)
    {
        var setup = new TestBenchSetup { Hardware = new HardwareSetup { PasidBits = 0 } };
        using var bench = new TestBench(context, setup);
        bench.StartMachine();
        OpResult<IIommuUnit> unit = bench.CreateUnit();
        if (!unit.IsOk)
        {
            context.Check(unit.Errno is Errno.ENODEV or Errno.EOPNOTSUPP,
                $"{unit.Errno} ({unit.Reason}), must be ENODEV or EOPNOTSUPP");
        }
        else
        {
            using IIommuUnit made = unit.Value!;
            context.Check(made.PasidBits == 0, $"the unit claims {made.PasidBits} bits on hardware that has none");
            using var core = new IommuCore(
                new Microsoft.Extensions.Options.OptionsWrapper<PasidFramework.Allocation.PasidOptions>(new()));
            IommuInstance instance = core.AddInstance(context.Subject.Metadata.Name, made);
            OpResult<Domain> domain = core.CreateDomain(instance, "domain", Pasid.MaxBits);
            context.Check(!domain.IsOk, $"a domain for PASIDs was made on hardware that has none");
        }

        NothingIsLeft(context, bench);
    }

    private static void Works(TestBench bench, BenchDevice device) => bench.ProbeAfterEach(
        () => bench.Bind(device, bench.StartProcess("process")), () => bench.Unbind(device, bench.Usual));

    private static void NothingIsLeft(CaseContext context, TestBench bench)
    {
        long left = bench.Hardware.Watched.HeldBytes;
        context.Check(left == 0, $"{left} bytes are left after the refusal");
    }

    private static void Ats(CaseContext context)
    {
        TestBench bench = context.Start();
        Domain domain = bench.AddDomain("domain");
        if (Declares(context, DriverCapabilities.Ats))
        {
            Works(bench, bench.AddReady(domain, bench.Usual, DeviceFeatures.Ats));
            return;
        }

        OpResult<Device> refused = bench.Core.AddDevice(
            domain, "ats", bench.Machine.Requesters[0], new PasidRange(1, Pasid.MaxValue), DeviceFeatures.Ats);
        context.Check(refused.Errno == Errno.EOPNOTSUPP,
            $"capability Ats is not declared, and a device with a device TLB: {refused.Errno}, must be EOPNOTSUPP");

        // The refusal leaves nothing: the same device without it is fine.
        BenchDevice plain = bench.AddDevice(domain, bench.Usual);
        _ = bench.Bind(plain, bench.StartProcess("process"));
    }

    private static void NonCoherent(CaseContext context)
    {
        var setup = new TestBenchSetup { Hardware = new HardwareSetup { Coherent = false } };
        if (Declares(context, DriverCapabilities.NonCoherent))
        {
            TestBench bench = context.Start(setup);
            Works(bench, bench.AddReady(bench.AddDomain("domain"), bench.Usual));
            return;
        }

        using var refusing = new TestBench(context, setup);
        refusing.StartMachine();
        OpResult<IIommuUnit> unit = refusing.CreateUnit();
        unit.Value?.Dispose();
        context.Check(unit.Errno == Errno.ENODEV,
            $"capability NonCoherent is not declared, and hardware that does not snoop: {unit.Errno}, must be ENODEV");
        NothingIsLeft(context, refusing);
    }

    private static void Faults(CaseContext context)
    {
        TestBench bench = context.Start();
        List<IommuFault> faults = [];
        OpResult taken = bench.Unit.TakeFaults(faults);
        if (Declares(context, DriverCapabilities.FaultRecords))
        {
            context.Check(taken.IsOk, $"capability FaultRecords is declared: {taken.Errno} ({taken.Reason})");
            context.Check(faults.Count == 0, $"{faults.Count} fault records before the first access");
        }
        else
        {
            context.Check(taken.Errno == Errno.EOPNOTSUPP,
                $"capability FaultRecords is not declared: {taken.Errno}, must be EOPNOTSUPP");
        }
    }

    private static void Allocator(CaseContext context)
    {
        using StandIn stand = StandIn.Start(context);
        IPasidAllocator? own = stand.Unit.CreateAllocator(new PasidRange(1, 100));
        bool isDeclared = Declares(context, DriverCapabilities.OwnAllocator);
        context.Check(own is not null == isDeclared,
            $"capability OwnAllocator is {(isDeclared ? "" : "not ")}declared, and CreateAllocator gives "
                + $"{own?.Name ?? "null"}");
    }
}
