// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Catalogue;

/// <summary>Structures are written as they are declared, and the table holds what it was asked to hold.</summary>
internal static class EncodingCases
{
    private static readonly CaseFamily s_family = new("encoding", "ENC");
    public static IReadOnlyList<ConformanceCase> All { get; } =
    [
        s_family.Required(1, "D11", "Entries in memory have no violation of their structures", Written),
        s_family.Required(2, "D1", "An entry leads to a process's page table if and only if there is a link", Linked),
        s_family.Recommended(3, "D11", "Entries in memory are made of named fields and nothing else", Named),
    ];

    private static void Written(CaseContext context)
    {
        TestBench bench = context.Start();
        List<(BenchDevice Device, TestProcess Process, uint Pasid)> links = Links(context, bench);
        Entries(context, bench);
        bench.Exit(links[0].Process, probe: false);
        bench.Unbind(links[1].Device, links[1].Pasid);
        Entries(context, bench);
    }

    private static void Entries(CaseContext context, TestBench bench)
    {
        ITableView view = Open(context, bench);
        var layouts = context.Subject.Structures.DistinctBy(l => l.Id).ToDictionary(l => l.Id);
        TableItem[] items = [.. view.Items()];
        MustHaveEntries(context, items);
        foreach (TableItem item in items)
        {
            context.Check(item.Kind != TableItemKind.Finding, $"{item.Structure} at 0x{item.Address:x}: {item.Text}");
            if (layouts.TryGetValue(item.Structure, out Layout? layout))
            {
                ulong[] words = [.. item.Words];
                IReadOnlyList<Violation> violations = layout.Check(words);
                if (violations.Count > 0)
                {
                    ulong[] clean = new ulong[layout.Words];
                    layout.Initialize(clean);
                    context.Fail(Text($"{item.Structure} at 0x{item.Address:x} ({item.Text}): {violations[0]}"),
                        [.. violations.Select(v => v.ToString()), .. Difference.Of(layout, clean, words)]);
                }

                context.CheckPerformed();
            }
        }
    }

    // Bits that the hardware ignores today may mean something tomorrow.
    private static void Named(CaseContext context)
    {
        TestBench bench = context.Start();
        _ = Links(context, bench);
        var layouts = context.Subject.Structures.DistinctBy(l => l.Id).ToDictionary(l => l.Id);
        TableItem[] items = [.. Open(context, bench).Items()];
        MustHaveEntries(context, items);
        foreach (TableItem item in items)
        {
            if (!layouts.TryGetValue(item.Structure, out Layout? layout) || item.Words.Count != layout.Words)
            {
                continue;
            }

            ulong[] found = [.. item.Words];
            ulong[] made = new ulong[layout.Words];
            layout.Initialize(made);
            foreach (LayoutField field in layout.Fields.Where(f => f.IsNamed))
            {
                field.Set(made, field.Get(found));
            }

            if (!made.SequenceEqual(found))
            {
                context.Fail(Text($"{item.Structure} at 0x{item.Address:x} has bits that belong to no named field"),
                    Difference.Of(layout, made, found));
            }

            context.CheckPerformed();
        }
    }

    private static void Linked(CaseContext context)
    {
        TestBench bench = context.Start();
        List<(BenchDevice Device, TestProcess Process, uint Pasid)> links = Links(context, bench);
        ITableView view = Open(context, bench);
        Walked(context, view, links, []);
        bench.Unbind(links[1].Device, links[1].Pasid);
        view = Open(context, bench);
        Walked(context, view, [links[0], .. links[2..]], [links[1]]);
    }

    private static void Walked(
        CaseContext context,
        ITableView view,
        IEnumerable<(BenchDevice Device, TestProcess Process, uint Pasid)> links,
        IEnumerable<(BenchDevice Device, TestProcess Process, uint Pasid)> gone)
    {
        foreach ((BenchDevice device, TestProcess process, uint pasid) in links)
        {
            TranslationResult found = view.Walk(
                new DmaAccess(device.Requester, new Pasid(pasid), TestBench.First, IsWrite: true)).Result;
            bool reached = found.Status is TranslationStatus.Translated or TranslationStatus.ReachedPageTable;
            context.Check(
                reached && (found.PageTableRoot == process.PageTableRoot || process.Targets(TestBench.First)
                    .Contains(found.Address)),
                $"{device} PASID 0x{pasid:x}: the tables in memory say '{TestBench.Describe(found)}', must lead to the "
                    + $"page table of {process.Name} at 0x{process.PageTableRoot:x}");
        }

        foreach ((BenchDevice device, TestProcess process, uint pasid) in gone)
        {
            TranslationResult found = view.Walk(
                new DmaAccess(device.Requester, new Pasid(pasid), TestBench.First, IsWrite: true)).Result;
            context.Check(TestBench.IsBlocked(found),
                $"{device} PASID 0x{pasid:x} of {process.Name} is unbound: the tables in memory say "
                    + $"'{TestBench.Describe(found)}'");
        }
    }

    private static List<(BenchDevice Device, TestProcess Process, uint Pasid)> Links(CaseContext context,
        TestBench bench)
    {
        context.Needs(bench.Machine, TestHardwareTraits.ManyProcesses, "has no PASID table in memory");
        Domain domain = bench.AddDomain("domain");
        List<(BenchDevice, TestProcess, uint)> links = [];
        foreach (uint number in Numbers.For(bench).Take(4))
        {
            TestProcess process = bench.StartProcess(Text($"p{number:x}"));
            BenchDevice device = bench.AddDevice(domain, number);

            // No access: to make one, some machines change entries of the tables.
            OpResult<Pasid> bound = bench.TryBind(device, process);
            context.Check(bound.IsOk, $"bind {process.Name}: {bound.Reason} ({bound.Errno})");
            links.Add((device, process, bound.Value.Value));
        }

        return links;
    }

    // A reader that finds nothing must not be taken for a table without mistakes.
    private static void MustHaveEntries(CaseContext context, TableItem[] items)
    {
        if (context.Subject.Structures.Count == 0)
        {
            context.NotApplicable("its assembly exports no structures");
        }

        context.Check(items.Any(i => i.Kind == TableItemKind.Pasid && i.Words.Count > 0),
            $"processes are bound, and the reader of '{context.Subject.Metadata.TableFormat}' tables lists no PASID "
                + $"entry");
    }

    // All devices are in one domain.
    private static ITableView Open(CaseContext context, TestBench bench)
    {
        OpResult<ITableView> view = BenchTables.Open(context, bench.Machine, bench.Devices[0].Requester);
        if (view.Errno == Errno.ENOENT)
        {
            context.NotApplicable(view.Reason!);
        }

        context.Check(view.IsOk,
            $"the reader of its tables refuses what the registers say: {view.Reason} ({view.Errno})");
        return view.Value!;
    }
}
