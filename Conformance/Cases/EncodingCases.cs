using PasidFramework.Conformance.Bench;
using PasidFramework.Drivers;
using PasidFramework.Hardware;
using PasidFramework.Records;
using PasidFramework.Tables;

namespace PasidFramework.Conformance.Cases;

/// <summary>Structures are written as they are declared, and the table holds what it was asked to hold.</summary>
internal static class EncodingCases
{
    private static readonly CaseFamily s_family = new("encoding", "ENC");

    public static IReadOnlyList<ConformanceCase> All { get; } =
    [
        s_family.Required(1, "D11", "Every field survives encode and decode and touches no other bit", Round)
            with { NeedsHardware = false },
        s_family.Required(2, "D11", "A set reserved bit is found and named", Reserved) with { NeedsHardware = false },
        s_family.Required(3, "D11", "Entries in memory have no violation of their structures", Written),
        s_family.Required(4, "D1", "An entry leads to a process's page table if and only if there is a link", Linked),
    ];

    private static void Round(CaseContext context)
    {
        foreach (Layout layout in Structures(context))
        {
            for (int round = 0; round < 50; round++)
            {
                ulong[] words = new ulong[layout.Words];
                layout.Initialize(words);
                Dictionary<string, ulong> wanted = [];
                foreach (LayoutField field in layout.Fields.Where(f => f.IsNamed))
                {
                    ulong value = Value(context, field, round);
                    ulong[] before = [.. words];
                    OpResult set = layout.TrySet(words, field.Mnemonic, value);
                    context.Check(set.IsOk, $"{layout.Id}: {field.Mnemonic} refuses 0x{value:x}: {set.Reason}");
                    wanted[field.Mnemonic] = value;
                    for (int i = 0; i < words.Length; i++)
                    {
                        ulong own = field.Parts.Where(p => p.Word == i).Aggregate(0UL, (mask, p) => mask | p.WordMask);
                        ulong other = (words[i] ^ before[i]) & ~own;
                        context.Check(other == 0, $"{layout.Id}: setting {field.Mnemonic} changes bits 0x{other:x} of word {i}");
                    }
                }

                ulong[] again = layout.FromBytes(layout.ToBytes(words));
                if (!again.SequenceEqual(words))
                {
                    context.Fail($"{layout.Id}: bytes and words differ", Difference.Of(layout, words, again));
                }

                foreach ((string name, ulong value) in wanted)
                {
                    ulong got = layout.Find(name)!.Get(again);
                    context.Check(got == value, $"{layout.Id}: {Difference.Name(layout.Find(name)!)} expected 0x{value:x} got 0x{got:x}");
                }
            }
        }
    }

    private static ulong Value(CaseContext context, LayoutField field, int round)
    {
        ulong drawn = round switch
        {
            0 => 0,
            1 => ulong.MaxValue,
            _ => (ulong)context.Random.NextInt64(long.MinValue, long.MaxValue),
        };
        return drawn & field.Maximum;
    }

    private static void Reserved(CaseContext context)
    {
        foreach (Layout layout in Structures(context))
        {
            ulong[] clean = new ulong[layout.Words];
            layout.Initialize(clean);
            foreach (LayoutField field in layout.Fields.Where(f => f.Kind == FieldKind.Reserved))
            {
                foreach (Field part in field.Parts)
                {
                    for (int bit = part.Lsb; bit <= part.Msb; bit++)
                    {
                        ulong[] words = [.. clean];
                        words[bit / 64] |= 1UL << (bit % 64);
                        bool found = layout.Check(words).Any(v => v.Field == field.Mnemonic || v.Field == part.ToString());
                        context.Check(found, $"{layout.Id}: bit {bit} of {field.Mnemonic} is reserved, and nobody says so when it is set");
                    }
                }
            }
        }
    }

    private static void Written(CaseContext context)
    {
        Rig rig = context.Start();
        List<(RigDevice Device, TestProcess Process, uint Pasid)> links = Links(context, rig);
        Entries(context, rig);
        rig.Exit(links[0].Process);
        rig.Unbind(links[1].Device, links[1].Pasid);
        Entries(context, rig);
    }

    private static void Entries(CaseContext context, Rig rig)
    {
        ITableView view = rig.OpenTables() ?? NoReader(context);
        var layouts = context.Subject.Structures.ToDictionary(l => l.Id);
        foreach (TableItem item in view.Items())
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
                    context.Fail(
                        CaseContext.Text($"{item.Structure} at 0x{item.Address:x} ({item.Text}): {violations[0]}"),
                        [.. violations.Select(v => v.ToString()), .. Difference.Of(layout, clean, words)]);
                }

                context.Looked();
            }
        }
    }

    private static void Linked(CaseContext context)
    {
        Rig rig = context.Start();
        List<(RigDevice Device, TestProcess Process, uint Pasid)> links = Links(context, rig);
        ITableView view = rig.OpenTables() ?? NoReader(context);
        Walked(context, view, links, []);
        rig.Unbind(links[1].Device, links[1].Pasid);
        view = rig.OpenTables() ?? NoReader(context);
        Walked(context, view, [links[0], .. links[2..]], [links[1]]);
    }

    private static void Walked(
        CaseContext context,
        ITableView view,
        IEnumerable<(RigDevice Device, TestProcess Process, uint Pasid)> links,
        IEnumerable<(RigDevice Device, TestProcess Process, uint Pasid)> gone)
    {
        foreach ((RigDevice device, TestProcess process, uint pasid) in links)
        {
            TranslationResult found = view.Walk(
                new DmaAccess(device.Requester, new Pasid(pasid), Rig.First, IsWrite: true)).Result;
            bool reached = found.Status is TranslationStatus.Translated or TranslationStatus.ReachedPageTable;
            context.Check(
                reached && (found.PageTableRoot == process.PageTableRoot || process.Targets(Rig.First).Contains(found.Address)),
                $"{device} PASID 0x{pasid:x}: the tables in memory say '{Rig.Describe(found)}', must lead to the page table of {process.Name} at 0x{process.PageTableRoot:x}");
        }

        foreach ((RigDevice device, TestProcess process, uint pasid) in gone)
        {
            TranslationResult found = view.Walk(
                new DmaAccess(device.Requester, new Pasid(pasid), Rig.First, IsWrite: true)).Result;
            context.Check(
                found.Status is TranslationStatus.Faulted or TranslationStatus.AbortedQuietly,
                $"{device} PASID 0x{pasid:x} of {process.Name} is unbound: the tables in memory say '{Rig.Describe(found)}'");
        }
    }

    private static List<(RigDevice Device, TestProcess Process, uint Pasid)> Links(CaseContext context, Rig rig)
    {
        context.Needs(rig.Machine, TestHardwareTraits.ManyProcesses, "has no PASID table in memory");
        Domain domain = rig.AddDomain("domain");
        List<(RigDevice, TestProcess, uint)> links = [];
        foreach (uint number in Numbers.For(rig).Take(4))
        {
            TestProcess process = rig.StartProcess(CaseContext.Text($"p{number:x}"));
            RigDevice device = rig.AddDevice(domain, number);
            links.Add((device, process, rig.Bind(device, process)));
        }

        return links;
    }

    private static ITableView NoReader(CaseContext context)
    {
        context.NotApplicable(context.Subject.Reader is null
            ? $"no plug-in exports a reader of '{context.Subject.Metadata.TableFormat}' tables"
            : "where its tables begin is in no register");
        return null!;
    }

    private static IReadOnlyList<Layout> Structures(CaseContext context)
    {
        if (context.Subject.Structures.Count == 0)
        {
            context.NotApplicable("its assembly exports no structures");
        }

        return context.Subject.Structures;
    }
}
