using Microsoft.Extensions.Options;
using PasidFramework.Allocation;
using PasidFramework.Conformance.Bench;
using PasidFramework.Contracts;
using PasidFramework.Engine;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace PasidFramework.Conformance.Cases;

/// <summary>What is refused leaves nothing behind, and hardware that does not answer does not hang the caller.</summary>
internal static class ErrorCases
{
    private const int MostAllocations = 200;
    private static readonly CaseFamily s_family = new("errors", "ERR");

    public static IReadOnlyList<ConformanceCase> All { get; } =
    [
        s_family.Required(1, "D8, C6", "The n-th allocation fails: ENOMEM, nothing is lost, and it works afterwards", NthAllocation),
        s_family.Required(2, "D5", "Hardware that does not answer any more is told, and the number is not used again", Vanishes),
        s_family.Required(3, "D5", "Hardware that does not answer is refused", NeverThere),
    ];

    private static void NthAllocation(CaseContext context)
    {
        // One machine for all of them: a unit that ended leaves it as it found it.
        using ITestHardware machine = context.StartMachine();
        for (int n = 1; ; n++)
        {
            if (n > MostAllocations)
            {
                context.Inconclusive(CaseContext.Text($"more than {MostAllocations} allocations"));
            }

            context.ClearNotes();
            context.Note(CaseContext.Text($"allocation {n} is refused"));
            using var rig = new Rig(context, new RigSetup(), machine, isBorrowed: true);
            rig.StartMachine();
            if (!Refuse(context, rig, n))
            {
                // The whole way needs fewer than n.
                context.Check(n > 1, $"the driver allocates no memory through the hardware seam");
                return;
            }
        }
    }

    // The way from the start of a unit to two bindings; whichever step is refused is tried again.
    private static bool Refuse(CaseContext context, Rig rig, int n)
    {
        WatchedMemory memory = rig.Hardware.Watched;
        memory.Arm(n);
        OpResult<IIommuUnit> unit = Retry(context, rig, "CreateUnit", () => rig.CreateUnit());
        bool refused = memory.Refused;
        using (var core = new IommuCore(new OptionsWrapper<PasidOptions>(new PasidOptions())))
        {
            IommuInstance instance = core.AddInstance(context.Subject.Metadata.Name, unit.Value!);
            OpResult<Domain> domain = Retry(context, rig, "AddDomain", () => core.CreateDomain(instance, "domain", Pasid.MaxBits));
            uint usual = rig.Number(unit.Value!, 70);
            uint[] numbers = [usual, rig.Number(unit.Value!, 0x12345, usual)];
            List<(Device Device, TestProcess Process, Pasid Pasid)> links = [];
            for (int i = 0; i < numbers.Length; i++)
            {
                uint number = numbers[i];
                RequesterId requester = rig.Machine.Requesters[i];
                if (i > 0 && !rig.Has(TestHardwareTraits.ManyProcesses))
                {
                    domain = Retry(context, rig, "AddDomain", () => core.CreateDomain(instance, "other", Pasid.MaxBits));
                }

                OpResult<Device> device = Retry(context, rig, "AddDevice", () => core.AddDevice(
                    domain.Value!, $"dev{number:x}", requester, new PasidRange(number, number)));
                using var process = new TestProcess(context, rig.Machine, "process", 100 + i);
                process.Map(Rig.First);
                OpResult<Pasid> bound = Retry(context, rig, "Bind", () => core.Bind(device.Value!, process));
                rig.Watch(requester, number);
                Reaches(context, rig, requester, bound.Value, process);
                OpResult unbound = core.Unbind(device.Value!, bound.Value);
                context.Check(unbound.IsOk, $"unbind after a refusal: {unbound.Reason} ({unbound.Errno})");
                context.Check(core.DriverFailures == 0, $"the driver threw {core.DriverFailures} times");
            }

            refused |= memory.Refused;
        }

        context.Check(memory.HeldBytes == 0, $"allocation {n} was refused: {memory.HeldBytes} bytes are left after the end");
        return refused;
    }

    private static OpResult<T> Retry<T>(CaseContext context, Rig rig, string step, Func<OpResult<T>> call)
    {
        bool before = rig.Hardware.Watched.Refused;
        long held = rig.Hardware.Watched.HeldBytes;
        OpResult<T> result = call();
        if (!result.IsOk && rig.Hardware.Watched.Refused && !before)
        {
            context.Check(result.Errno == Errno.ENOMEM, $"{step} without memory: {result.Errno} ({result.Reason}), must be ENOMEM");
            context.Check(
                step != "CreateUnit" || rig.Hardware.Watched.HeldBytes == held,
                $"{step} without memory keeps {rig.Hardware.Watched.HeldBytes - held} bytes");
            result = call();
        }

        context.Check(result.IsOk, $"{step} after a refusal: {result.Reason} ({result.Errno})");
        return result;
    }

    private static void Reaches(CaseContext context, Rig rig, RequesterId requester, Pasid pasid, TestProcess process)
    {
        OpResult ready = rig.Machine.Prepare(requester, pasid);
        if (!ready.IsOk)
        {
            context.NotApplicable($"{context.BackEnd.Name}: {ready.Reason}");
        }

        TranslationResult result = rig.Machine.Translate(
            new DmaAccess(requester, pasid, Rig.First + Rig.Offset, IsWrite: true));
        bool right = result.Status switch
        {
            TranslationStatus.Translated => process.Targets(Rig.First).Contains(result.Address - Rig.Offset),
            TranslationStatus.ReachedPageTable => result.PageTableRoot == process.PageTableRoot,
            _ => false,
        };
        context.Check(right, $"{requester} PASID 0x{pasid.Value:x} after a refusal and a second try: {Rig.Describe(result)}");
    }

    private static void Vanishes(CaseContext context)
    {
        Rig rig = context.Start(new RigSetup { Time = new HurriedTime() });
        Domain domain = rig.AddDomain("domain");
        RigDevice device = rig.AddDevice(domain, rig.Usual);
        TestProcess process = rig.StartProcess("process");
        OpResult<Pasid> bound = rig.TryBind(device, process);
        context.Check(bound.IsOk, $"bind: {bound.Reason} ({bound.Errno})");
        context.Note("the registers read as all ones from here on");
        rig.Hardware.Vanish();
        OpResult unbound = rig.Core.Unbind(device.Device, bound.Value);
        context.Check(
            unbound.Errno is Errno.ETIMEDOUT or Errno.EIO,
            $"unbind on hardware that is gone: {unbound.Errno} ({unbound.Reason ?? "success"}), must be ETIMEDOUT or EIO");
        OpResult<Pasid> again = rig.Core.Bind(device.Device, rig.StartProcess("next"));
        context.Check(
            again.Errno == Errno.ENOSPC,
            $"the device can carry only the number of an entry that the hardware may still use, and a bind gives {again.Errno}, must be ENOSPC");
        context.Check(rig.Core.DriverFailures == 0, $"the driver threw {rig.Core.DriverFailures} times");

        // What it may still walk need not be given back, so the end is not judged; that it ends is.
        rig.Dispose();
        context.Looked();
    }

    private static void NeverThere(CaseContext context)
    {
        using var rig = new Rig(context, new RigSetup { Time = new HurriedTime() });
        rig.StartMachine();
        rig.Hardware.Vanish();
        OpResult<IIommuUnit> unit = rig.CreateUnit();
        unit.Value?.Dispose();
        context.Check(
            unit.Errno is Errno.ETIMEDOUT or Errno.EIO or Errno.ENODEV,
            $"CreateUnit on hardware that is not there: {unit.Errno} ({unit.Reason ?? "success"}), must be ETIMEDOUT, EIO or ENODEV");
    }
}
