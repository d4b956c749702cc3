// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Options;

namespace PasidFramework.Conformance.Catalogue;

/// <summary>What is refused leaves nothing behind, and hardware that does not answer does not hang the
/// caller.</summary>
internal static class ErrorCases
{
    private const int MaxAllocations = 200;
    private static readonly CaseFamily s_family = new("errors", "ERR");
    public static IReadOnlyList<ConformanceCase> All { get; } =
    [
        s_family.Required(1, "D8, C6", "The n-th allocation fails: ENOMEM, nothing is lost, and it works afterwards",
            NthAllocation),
        s_family.Required(2, "D5",
            "Hardware that does not answer any more is reported, and the PASID is not used again", Vanishes),
        s_family.Required(3, "D5", "Hardware that does not answer is refused", NeverThere),
    ];

    private static void NthAllocation(CaseContext context)
    {
        // One machine for all of them: a unit that ended leaves it as it found it.
        using ITestHardware machine = context.StartMachine();
        for (int n = 1; ; n++)
        {
            if (n > MaxAllocations)
            {
                context.Inconclusive(Text($"more than {MaxAllocations} allocations"));
            }

            context.ClearNotes();
            context.Note(Text($"allocation {n} is refused"));
            using var bench = new TestBench(context, new TestBenchSetup(), machine, isBorrowed: true);
            bench.StartMachine();
            if (!Refuse(context, bench, n))
            {
                // The whole way needs fewer than n.
                context.Check(n > 1, $"the driver allocates no memory through the hardware seam");
                return;
            }
        }
    }

    // The way from the start of a unit to two bindings; whichever step is refused is tried again.
    private static bool Refuse(CaseContext context, TestBench bench, int n)
    {
        WatchedMemory memory = bench.Hardware.Watched;
        memory.Arm(n);
        OpResult<IIommuUnit> unit = Retry(context, bench, "CreateUnit", () => bench.CreateUnit());
        bool refused = memory.Refused;
        using (var core = new IommuCore(new OptionsWrapper<PasidOptions>(new PasidOptions())))
        {
            IommuInstance instance = core.AddInstance(context.Subject.Metadata.Name, unit.Value!);
            OpResult<Domain> domain =
                Retry(context, bench, "AddDomain", () => core.CreateDomain(instance, "domain", Pasid.MaxBits));
            uint usual = Numbers.Near(context, unit.Value!, 70);
            uint[] numbers = [usual, Numbers.Near(context, unit.Value!, 0x12345, usual)];
            List<(Device Device, TestProcess Process, Pasid Pasid)> links = [];
            for (int i = 0; i < numbers.Length; i++)
            {
                uint number = numbers[i];
                RequesterId requester = bench.Machine.Requesters[i];
                if (i > 0 && !bench.Has(TestHardwareTraits.ManyProcesses))
                {
                    domain =
                        Retry(context, bench, "AddDomain", () => core.CreateDomain(instance, "other", Pasid.MaxBits));
                }

                OpResult<Device> device = Retry(context, bench, "AddDevice", () => core.AddDevice(
                    domain.Value!, $"dev{number:x}", requester, new PasidRange(number, number)));
                using var process = new TestProcess(context, bench.Machine, "process", 100 + i);
                process.Map(TestBench.First);
                OpResult<Pasid> bound = Retry(context, bench, "Bind", () => core.Bind(device.Value!, process));
                bench.Watch(requester, number);
                Reaches(context, bench, requester, bound.Value, process);
                OpResult unbound = core.Unbind(device.Value!, bound.Value);
                context.Check(unbound.IsOk, $"unbind after a refusal: {unbound.Reason} ({unbound.Errno})");
                context.Check(core.DriverFailures == 0, $"the driver threw {core.DriverFailures} times");
            }

            refused |= memory.Refused;
        }

        context.Check(memory.HeldBytes == 0,
            $"allocation {n} was refused: {memory.HeldBytes} bytes are left after the end");
        return refused;
    }

    private static OpResult<T> Retry<T>(CaseContext context, TestBench bench, string step, Func<OpResult<T>> call)
    {
        bool before = bench.Hardware.Watched.Refused;
        long held = bench.Hardware.Watched.HeldBytes;
        OpResult<T> result = call();
        if (!result.IsOk && bench.Hardware.Watched.Refused && !before)
        {
            context.Check(result.Errno == Errno.ENOMEM,
                $"{step} without memory: {result.Errno} ({result.Reason}), must be ENOMEM");
            context.Check(step != "CreateUnit" || bench.Hardware.Watched.HeldBytes == held,
                $"{step} without memory keeps {bench.Hardware.Watched.HeldBytes - held} bytes");
            result = call();
        }

        context.Check(result.IsOk, $"{step} after a refusal: {result.Reason} ({result.Errno})");
        return result;
    }

    private static void Reaches(CaseContext context, TestBench bench, RequesterId requester, Pasid pasid,
        TestProcess process)
    {
        OpResult ready = bench.Machine.Prepare(requester, pasid);
        if (!ready.IsOk)
        {
            context.NotApplicable($"{context.BackEnd.Name}: {ready.Reason}");
        }

        TranslationResult result = bench.Machine.Translate(
            new DmaAccess(requester, pasid, TestBench.First + TestBench.Offset, IsWrite: true));
        context.Check(process.IsReached(result, TestBench.First),
            $"{requester} PASID 0x{pasid.Value:x} after a refusal and a second try: {TestBench.Describe(result)}");
    }

    private static void Vanishes(CaseContext context)
    {
        TestBench bench = context.Start(new TestBenchSetup { Time = new HurriedTime() });
        Domain domain = bench.AddDomain("domain");
        BenchDevice device = bench.AddDevice(domain, bench.Usual);
        TestProcess process = bench.StartProcess("process");
        OpResult<Pasid> bound = bench.TryBind(device, process);
        context.Check(bound.IsOk, $"bind: {bound.Reason} ({bound.Errno})");
        context.Note("the registers read as all ones from here on");
        bench.Hardware.Vanish();
        OpResult unbound = bench.Core.Unbind(device.Device, bound.Value);
        context.Check(unbound.Errno is Errno.ETIMEDOUT or Errno.EIO,
            $"unbind on hardware that is gone: {unbound.Errno} ({unbound.Reason ?? "success"}), must be ETIMEDOUT or "
                + $"EIO");
        OpResult<Pasid> again = bench.Core.Bind(device.Device, bench.StartProcess("next"));
        context.Check(again.Errno == Errno.ENOSPC,
            $"the device can carry only the PASID of an entry that the hardware may still use, and a bind gives "
                + $"{again.Errno}, must be ENOSPC");
        context.Check(bench.Core.DriverFailures == 0, $"the driver threw {bench.Core.DriverFailures} times");

        // What it may still walk need not be given back, so the end is not judged; that it ends is.
        bench.Dispose();
        context.CheckPerformed();
    }

    private static void NeverThere(CaseContext context)
    {
        using var bench = new TestBench(context, new TestBenchSetup { Time = new HurriedTime() });
        bench.StartMachine();
        bench.Hardware.Vanish();
        OpResult<IIommuUnit> unit = bench.CreateUnit();
        unit.Value?.Dispose();
        context.Check(unit.Errno is Errno.ETIMEDOUT or Errno.EIO or Errno.ENODEV,
            $"CreateUnit on hardware that is not there: {unit.Errno} ({unit.Reason ?? "success"}), must be ETIMEDOUT, "
                + $"EIO or ENODEV");
    }
}
