// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Catalogue;

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
        s_family.Optional(8, "faults", "The records of two devices name each its own", Apart),
    ];

    private static TestBench Start(CaseContext context, bool pages = false)
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

    private static BenchDevice Add(CaseContext context, TestBench bench, uint number)
    {
        BenchDevice device = bench.AddReady(bench.AddDomain(Text($"domain{bench.Devices.Count}")), number);
        context.CheckPerformed();
        return device;
    }

    private static void MustFault(CaseContext context, TestBench bench, BenchDevice device, ulong address)
    {
        TranslationResult result = bench.Store(device, device.Only!.Value, address);
        context.Check(result.Status == TranslationStatus.Faulted,
            $"a store of {device} to 0x{address:x}, which leads nowhere, {TestBench.Describe(result)}, must leave a "
                + $"fault record");
    }

    private static List<IommuFault> Take(CaseContext context, TestBench bench, params Errno[] allowed)
    {
        List<IommuFault> faults = [];
        OpResult taken = bench.Unit.TakeFaults(faults);
        context.Check(
            taken.IsOk || allowed.Contains(taken.Errno), $"TakeFaults: {taken.Errno} ({taken.Reason ?? "success"})");
        return faults;
    }

    private static void Judge(CaseContext context, TestBench bench, IommuFault fault, BenchDevice device, ulong address,
        bool hasAddress)
    {
        uint pasid = device.Only!.Value;
        context.Check(fault.Requester == device.Requester,
            $"the record names requester {fault.Requester?.ToString() ?? "none"}, must be {device.Requester}: "
                + $"{fault.Reason}");
        if (bench.Machine.NamesPasid(device.Requester, new Pasid(pasid)))
        {
            // Some table faults have no place for the PASID; a wrong one is always wrong.
            context.Check(fault.Pasid is null ? !hasAddress : fault.Pasid.Value.Value == pasid,
                $"the record names PASID {fault.Pasid?.ToString() ?? "none"}, must be 0x{pasid:x}: {fault.Reason}");
        }

        context.Check(fault.Address is not { } at ? !hasAddress : at >> 12 == address >> 12,
            $"the record names address 0x{fault.Address ?? 0:x}, must be in the page of 0x{address:x}: {fault.Reason}");
        context.Check(fault.IsWrite != false, $"the record says load, a store was made: {fault.Reason}");
        context.Check(fault.Reason.Length > 0 && !fault.Reason.Contains('\n'),
            $"the reason is '{fault.Reason}', must be one line");
        context.Check(fault.Words.Count > 0, $"the record's words are missing");
    }

    private static void Named(CaseContext context)
    {
        TestBench bench = Start(context);
        BenchDevice device = Add(context, bench, bench.Usual);
        MustFault(context, bench, device, TestBench.First + TestBench.Offset);
        List<IommuFault> faults = Take(context, bench);
        context.Check(faults.Count > 0, $"the access was denied, and no record was taken");
        Judge(context, bench, faults[0], device, TestBench.First, hasAddress: false);
    }

    private static void Once(CaseContext context)
    {
        TestBench bench = Start(context);
        BenchDevice device = Add(context, bench, bench.Usual);
        for (int round = 0; round < 5; round++)
        {
            MustFault(context, bench, device, TestBench.First);
            context.Check(Take(context, bench).Count > 0, $"fault {round + 1}: no record");
            int again = Take(context, bench).Count;
            context.Check(again == 0, $"{again} records were taken a second time");
        }
    }

    private static void AfterUnbind(CaseContext context)
    {
        TestBench bench = Start(context);
        BenchDevice device = Add(context, bench, bench.Usual);
        for (int round = 0; round < 3; round++)
        {
            _ = bench.Bind(device, bench.StartProcess(Text($"p{round}")));
            int early = Take(context, bench).Count;
            context.Check(early == 0, $"{early} records of accesses that were all right");
            bench.Unbind(device, bench.Usual);
            MustFault(context, bench, device, TestBench.First);
            List<IommuFault> faults = Take(context, bench);
            context.Check(faults.Count > 0, $"the access after the unbind was denied, and no record was taken");
            Judge(context, bench, faults[^1], device, TestBench.First, hasAddress: false);
        }
    }

    private static void Unmapped(CaseContext context)
    {
        TestBench bench = Start(context, pages: true);
        BenchDevice device = Add(context, bench, bench.Usual);
        _ = bench.Bind(device, bench.StartProcess("process"));
        foreach (ulong address in new[] { 0x4_5678_9000UL, 0x1000UL, bench.Far + 0x7000 })
        {
            MustFault(context, bench, device, address);
            List<IommuFault> faults = Take(context, bench);
            context.Check(faults.Count > 0, $"0x{address:x} is not mapped, and no record was taken");
            Judge(context, bench, faults[0], device, address, hasAddress: true);
        }
    }

    private static void ReadOnly(CaseContext context)
    {
        TestBench bench = Start(context, pages: true);
        BenchDevice device = Add(context, bench, bench.Usual);
        TestProcess process = bench.StartProcess("process");
        const ulong Page = 0x20_0000;
        process.Map(Page, writable: false);
        process.Settle();
        _ = bench.Bind(device, process);
        MustFault(context, bench, device, Page);
        List<IommuFault> faults = Take(context, bench);
        context.Check(faults.Count > 0, $"the page is read-only, and no record was taken");
        Judge(context, bench, faults[0], device, Page, hasAddress: true);
    }

    private static void Silent(CaseContext context)
    {
        if ((context.Subject.Metadata.Capabilities & DriverCapabilities.NoQuietEntry) != 0)
        {
            context.NotApplicable(
                "capability NoQuietEntry declared: its format records accesses of a process that exited");
        }

        TestBench bench = Start(context);
        context.Needs(bench.Machine, TestHardwareTraits.Silence, "records such accesses whatever the entry asks for");
        BenchDevice device = Add(context, bench, bench.Usual);
        TestProcess process = bench.StartProcess("process");
        _ = bench.Bind(device, process);
        int early = Take(context, bench).Count;
        context.Check(early == 0, $"{early} records of accesses that were all right");
        List<IommuFault> during = [];

        // TestBench.Exit probes from the exit handler, while the entry is quiet.
        bench.Exit(process);
        _ = bench.Unit.TakeFaults(during);
        context.Check(during.Count == 0,
            $"{during.Count} records of a process that exited, the first: {during.FirstOrDefault()?.Reason}");
    }

    private static void Many(CaseContext context)
    {
        TestBench bench = Start(context);
        BenchDevice device = Add(context, bench, bench.Usual);
        context.Needs(bench.Machine, TestHardwareTraits.KeepsRecords,
            "drops records that were not taken, to see the next one: they never pile up");
        for (int i = 0; i < 400; i++)
        {
            _ = bench.Store(device, bench.Usual, TestBench.First);
        }

        List<IommuFault> faults = Take(context, bench, Errno.EOVERFLOW);
        context.Check(faults.Count > 0, $"400 accesses were denied, and no record was taken");
        foreach (IommuFault fault in faults)
        {
            Judge(context, bench, fault, device, TestBench.First, hasAddress: false);
        }

        _ = Take(context, bench, Errno.EOVERFLOW);
        MustFault(context, bench, device, TestBench.First);
        context.Check(Take(context, bench).Count > 0, $"no record is taken any more after many");
        _ = bench.Bind(device, bench.StartProcess("process"));
    }

    private static void Apart(CaseContext context)
    {
        TestBench bench = Start(context);
        BenchDevice one = Add(context, bench, bench.Usual);
        BenchDevice two = Add(context, bench, bench.Second);
        foreach (BenchDevice device in new[] { one, two, one, two })
        {
            MustFault(context, bench, device, TestBench.First);
            List<IommuFault> faults = Take(context, bench);
            context.Check(faults.Count > 0, $"no record of {device}");
            foreach (IommuFault fault in faults)
            {
                Judge(context, bench, fault, device, TestBench.First, hasAddress: false);
            }
        }
    }
}
