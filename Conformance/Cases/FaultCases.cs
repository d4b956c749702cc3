using PasidFramework.Conformance.Bench;
using PasidFramework.Contracts;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace PasidFramework.Conformance.Cases;

/// <summary>Fault records as the driver decodes them.</summary>
internal static class FaultCases
{
    private static readonly CaseFamily s_family = new("faults", "FLT");

    public static IReadOnlyList<ConformanceCase> All { get; } =
    [
        s_family.Optional(1, "faults", "A denied access leaves a record that names it", Named),
        s_family.Optional(2, "faults", "A record is taken once", Once),
        s_family.Optional(3, "D5", "After an unbind the record names who still tries", AfterUnbind),
        s_family.Optional(4, "faults", "An unmapped page leaves a record with its address", Unmapped),
        s_family.Optional(5, "faults", "A store to a read-only page leaves a record of a write", ReadOnly),
        s_family.Optional(6, "D12", "A process that exited leaves no record", Silent),
        s_family.Optional(7, "faults", "Many faults do not stop the records for good", Many),
        s_family.Optional(8, "faults", "The records of two devices are told apart", Apart),
    ];

    private static Rig Start(CaseContext context, bool pages = false)
    {
        if ((context.Subject.Metadata.Capabilities & DriverCapabilities.FaultRecords) == 0)
        {
            context.NotApplicable("capability FaultRecords not declared");
        }

        if (pages && context.BackEnd.PageTables.Length == 0)
        {
            context.NotApplicable($"{context.BackEnd.Name} does not walk page tables");
        }

        return context.Start();
    }

    private static RigDevice Add(CaseContext context, Rig rig, uint number)
    {
        RigDevice device = rig.AddDevice(rig.AddDomain(CaseContext.Text($"domain{rig.Devices.Count}")), number);
        rig.MustBeAble(device, number);
        context.Looked();
        return device;
    }

    private static void MustFault(CaseContext context, Rig rig, RigDevice device, ulong address)
    {
        TranslationResult result = rig.Store(device, device.Only!.Value, address);
        context.Check(
            result.Status == TranslationStatus.Faulted,
            $"a store of {device} to 0x{address:x}, which leads nowhere, {Rig.Describe(result)}, must leave a fault record");
    }

    private static List<IommuFault> Take(CaseContext context, Rig rig, params Errno[] allowed)
    {
        List<IommuFault> faults = [];
        OpResult taken = rig.Unit.TakeFaults(faults);
        context.Check(
            taken.IsOk || allowed.Contains(taken.Errno), $"TakeFaults: {taken.Errno} ({taken.Reason ?? "success"})");
        return faults;
    }

    private static void Judge(CaseContext context, Rig rig, IommuFault fault, RigDevice device, ulong address, bool hasAddress)
    {
        uint pasid = device.Only!.Value;
        context.Check(
            fault.Requester == device.Requester,
            $"the record names requester {fault.Requester?.ToString() ?? "none"}, must be {device.Requester}: {fault.Reason}");
        if (rig.Machine.NamesPasid(device.Requester, new Pasid(pasid)))
        {
            // Some table faults have no place for the number; a wrong one is always wrong.
            context.Check(
                fault.Pasid is null ? !hasAddress : fault.Pasid.Value.Value == pasid,
                $"the record names PASID {fault.Pasid?.ToString() ?? "none"}, must be 0x{pasid:x}: {fault.Reason}");
        }

        context.Check(
            fault.Address is not { } at ? !hasAddress : at >> 12 == address >> 12,
            $"the record names address 0x{fault.Address ?? 0:x}, must be in the page of 0x{address:x}: {fault.Reason}");
        context.Check(fault.IsWrite != false, $"the record tells of a load, a store was made: {fault.Reason}");
        context.Check(fault.Reason.Length > 0 && !fault.Reason.Contains('\n'), $"the reason is '{fault.Reason}', must be one line");
        context.Check(fault.Words.Count > 0, $"the record's words are missing");
    }

    private static void Named(CaseContext context)
    {
        Rig rig = Start(context);
        RigDevice device = Add(context, rig, rig.Usual);
        MustFault(context, rig, device, Rig.First + Rig.Offset);
        List<IommuFault> faults = Take(context, rig);
        context.Check(faults.Count > 0, $"the access was denied, and no record was taken");
        Judge(context, rig, faults[0], device, Rig.First, hasAddress: false);
    }

    private static void Once(CaseContext context)
    {
        Rig rig = Start(context);
        RigDevice device = Add(context, rig, rig.Usual);
        for (int round = 0; round < 5; round++)
        {
            MustFault(context, rig, device, Rig.First);
            context.Check(Take(context, rig).Count > 0, $"fault {round + 1}: no record");
            int again = Take(context, rig).Count;
            context.Check(again == 0, $"{again} records were taken a second time");
        }
    }

    private static void AfterUnbind(CaseContext context)
    {
        Rig rig = Start(context);
        RigDevice device = Add(context, rig, rig.Usual);
        for (int round = 0; round < 3; round++)
        {
            _ = rig.Bind(device, rig.StartProcess(CaseContext.Text($"p{round}")));
            int early = Take(context, rig).Count;
            context.Check(early == 0, $"{early} records of accesses that were all right");
            rig.Unbind(device, rig.Usual);
            MustFault(context, rig, device, Rig.First);
            List<IommuFault> faults = Take(context, rig);
            context.Check(faults.Count > 0, $"the access after the unbind was denied, and no record was taken");
            Judge(context, rig, faults[^1], device, Rig.First, hasAddress: false);
        }
    }

    private static void Unmapped(CaseContext context)
    {
        Rig rig = Start(context, pages: true);
        RigDevice device = Add(context, rig, rig.Usual);
        _ = rig.Bind(device, rig.StartProcess("process"));
        foreach (ulong address in new[] { 0x4_5678_9000UL, 0x1000UL, rig.Far + 0x7000 })
        {
            MustFault(context, rig, device, address);
            List<IommuFault> faults = Take(context, rig);
            context.Check(faults.Count > 0, $"0x{address:x} is not mapped, and no record was taken");
            Judge(context, rig, faults[0], device, address, hasAddress: true);
        }
    }

    private static void ReadOnly(CaseContext context)
    {
        Rig rig = Start(context, pages: true);
        RigDevice device = Add(context, rig, rig.Usual);
        TestProcess process = rig.StartProcess("process");
        const ulong Page = 0x20_0000;
        process.Map(Page, writable: false);
        process.Settle();
        _ = rig.Bind(device, process);
        MustFault(context, rig, device, Page);
        List<IommuFault> faults = Take(context, rig);
        context.Check(faults.Count > 0, $"the page is read-only, and no record was taken");
        Judge(context, rig, faults[0], device, Page, hasAddress: true);
    }

    private static void Silent(CaseContext context)
    {
        Rig rig = Start(context);
        context.Needs(rig.Machine, TestHardwareTraits.Silence, "records such accesses whatever the entry asks for");
        RigDevice device = Add(context, rig, rig.Usual);
        TestProcess process = rig.StartProcess("process");
        _ = rig.Bind(device, process);
        int early = Take(context, rig).Count;
        context.Check(early == 0, $"{early} records of accesses that were all right");
        List<IommuFault> during = [];

        // Rig.Exit looks from the exit handler, while the entry is quiet.
        rig.Exit(process);
        _ = rig.Unit.TakeFaults(during);
        context.Check(during.Count == 0, $"{during.Count} records of a process that exited, the first: {during.FirstOrDefault()?.Reason}");
    }

    private static void Many(CaseContext context)
    {
        Rig rig = Start(context);
        RigDevice device = Add(context, rig, rig.Usual);
        context.Needs(
            rig.Machine, TestHardwareTraits.KeepsRecords, "drops records that nobody took, to see the next one: they never pile up");
        for (int i = 0; i < 400; i++)
        {
            _ = rig.Store(device, rig.Usual, Rig.First);
        }

        List<IommuFault> faults = Take(context, rig, Errno.EOVERFLOW);
        context.Check(faults.Count > 0, $"400 accesses were denied, and no record was taken");
        foreach (IommuFault fault in faults)
        {
            Judge(context, rig, fault, device, Rig.First, hasAddress: false);
        }

        _ = Take(context, rig, Errno.EOVERFLOW);
        MustFault(context, rig, device, Rig.First);
        context.Check(Take(context, rig).Count > 0, $"no record is taken any more after many");
        _ = rig.Bind(device, rig.StartProcess("process"));
    }

    private static void Apart(CaseContext context)
    {
        Rig rig = Start(context);
        RigDevice one = Add(context, rig, rig.Usual);
        RigDevice two = Add(context, rig, rig.Second);
        foreach (RigDevice device in new[] { one, two, one, two })
        {
            MustFault(context, rig, device, Rig.First);
            List<IommuFault> faults = Take(context, rig);
            context.Check(faults.Count > 0, $"no record of {device}");
            foreach (IommuFault fault in faults)
            {
                Judge(context, rig, fault, device, Rig.First, hasAddress: false);
            }
        }
    }
}
