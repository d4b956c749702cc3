using PasidFramework.Allocation;
using PasidFramework.Conformance.Bench;
using PasidFramework.Contracts;
using PasidFramework.Engine;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace PasidFramework.Conformance.Cases;

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
        (int Hardware, int Caller)[] widths = [(20, 20), (16, 20), (20, 16), (12, 20), (8, 20), (20, 8), (6, 20), (20, 5)];
        int tried = 0;
        foreach ((int hardware, int caller) in widths)
        {
            OpResult<ITestHardware> can = context.BackEnd.Start(new HardwareSetup { PasidBits = hardware });
            if (!can.IsOk)
            {
                continue;
            }

            Rig rig = context.Start(
                new RigSetup { Hardware = new HardwareSetup { PasidBits = hardware }, UnitPasidBits = caller }, can.Value);
            int limit = Math.Min(most, Math.Min(hardware, caller));
            int got = rig.Unit.PasidBits;
            context.Check(
                got == limit,
                $"the unit has {got} bits; driver {most}, hardware {hardware}, caller {caller}: must have {limit}");
            Domain domain = rig.AddDomain("domain");
            uint last = rig.Number((1u << got) - 1);
            RigDevice device = rig.AddDevice(domain, last);
            rig.MustBeAble(device, last);
            _ = rig.Bind(device, rig.StartProcess("process"));
            rig.LookEverywhere();
            rig.Finish();
            rig.Dispose();
            tried++;
        }

        if (tried == 0)
        {
            context.NotApplicable($"{context.BackEnd.Name} cannot be made with any of the widths");
        }
    }

    private static void NoPasids(CaseContext context)
    {
        var setup = new RigSetup { Hardware = new HardwareSetup { PasidBits = 0 } };
        using var rig = new Rig(context, setup);
        rig.StartMachine();
        OpResult<IIommuUnit> unit = rig.CreateUnit();
        if (!unit.IsOk)
        {
            context.Check(
                unit.Errno is Errno.ENODEV or Errno.EOPNOTSUPP, $"{unit.Errno} ({unit.Reason}), must be ENODEV or EOPNOTSUPP");
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

        context.Check(
            rig.Hardware.Watched.HeldBytes == 0, $"{rig.Hardware.Watched.HeldBytes} bytes are left after the refusal");
    }

    private static void Ats(CaseContext context)
    {
        Rig rig = context.Start();
        Domain domain = rig.AddDomain("domain");
        if (Declares(context, DriverCapabilities.Ats))
        {
            RigDevice device = rig.AddDevice(domain, rig.Usual, DeviceFeatures.Ats);
            rig.MustBeAble(device, rig.Usual);
            _ = rig.Bind(device, rig.StartProcess("process"));
            rig.LookEverywhere();
            rig.Unbind(device, rig.Usual);
            rig.LookEverywhere();
            return;
        }

        OpResult<Device> refused = rig.Core.AddDevice(
            domain, "ats", rig.Machine.Requesters[0], new PasidRange(1, Pasid.MaxValue), DeviceFeatures.Ats);
        context.Check(
            refused.Errno == Errno.EOPNOTSUPP,
            $"capability Ats is not declared, and a device with a device TLB: {refused.Errno}, must be EOPNOTSUPP");

        // The refusal leaves nothing: the same device without it is fine.
        RigDevice plain = rig.AddDevice(domain, rig.Usual);
        _ = rig.Bind(plain, rig.StartProcess("process"));
    }

    private static void NonCoherent(CaseContext context)
    {
        var setup = new RigSetup { Hardware = new HardwareSetup { Coherent = false } };
        if (Declares(context, DriverCapabilities.NonCoherent))
        {
            Rig rig = context.Start(setup);
            RigDevice device = rig.AddDevice(rig.AddDomain("domain"), rig.Usual);
            rig.MustBeAble(device, rig.Usual);
            _ = rig.Bind(device, rig.StartProcess("process"));
            rig.LookEverywhere();
            rig.Unbind(device, rig.Usual);
            rig.LookEverywhere();
            return;
        }

        using var refusing = new Rig(context, setup);
        refusing.StartMachine();
        OpResult<IIommuUnit> unit = refusing.CreateUnit();
        unit.Value?.Dispose();
        context.Check(
            unit.Errno == Errno.ENODEV,
            $"capability NonCoherent is not declared, and hardware that does not snoop: {unit.Errno}, must be ENODEV");
        context.Check(
            refusing.Hardware.Watched.HeldBytes == 0, $"{refusing.Hardware.Watched.HeldBytes} bytes are left after the refusal");
    }

    private static void Faults(CaseContext context)
    {
        Rig rig = context.Start();
        List<IommuFault> faults = [];
        OpResult taken = rig.Unit.TakeFaults(faults);
        if (Declares(context, DriverCapabilities.FaultRecords))
        {
            context.Check(taken.IsOk, $"capability FaultRecords is declared: {taken.Errno} ({taken.Reason})");
            context.Check(faults.Count == 0, $"{faults.Count} fault records before the first access");
        }
        else
        {
            context.Check(
                taken.Errno == Errno.EOPNOTSUPP,
                $"capability FaultRecords is not declared: {taken.Errno}, must be EOPNOTSUPP");
        }
    }

    private static void Allocator(CaseContext context)
    {
        using StandIn stand = StandIn.Start(context);
        IPasidAllocator? own = stand.Unit.CreateAllocator(new PasidRange(1, 100));
        bool isDeclared = Declares(context, DriverCapabilities.OwnAllocator);
        context.Check(
            own is not null == isDeclared,
            $"capability OwnAllocator is {(isDeclared ? "" : "not ")}declared, and CreateAllocator gives {own?.Name ?? "null"}");
    }
}
