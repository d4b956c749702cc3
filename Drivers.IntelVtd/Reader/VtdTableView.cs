using System.Globalization;
using PasidFramework.Contracts;
using PasidFramework.Drivers.IntelVtd.Emulation.Functional;
using PasidFramework.Drivers.IntelVtd.Formats;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Records;

namespace PasidFramework.Drivers.IntelVtd.Reader;

/// <summary>One root table in memory and everything behind it. It trusts nothing that it reads.</summary>
internal sealed class VtdTableView(IMemoryReader memory, WalkRules rules, ulong rtaddr) : ITableView
{
    private const int PageBytes = 4096;

    /// <inheritdoc/>
    public IEnumerable<TableItem> Items(int maxItems = 1 << 20) => TableItems.TruncateWithFinding(
        Everything(maxItems), maxItems, Text($"there is more than fits into {maxItems} items"));

    /// <inheritdoc/>
    public TableWalk Walk(in DmaAccess access)
    {
        if (!access.Requester.IsPci)
        {
            return new TableWalk(
                new TranslationResult(TranslationStatus.AbortedQuietly, 0, 0, 0, Text(
                    $"requester {access.Requester} is wider than the 16 bits of a PCI requester ID")),
                []);
        }

        var steps = new StepSource(memory);
        WalkResult found = TableWalker.Configure(rules, rtaddr, access, steps);
        if (found.Fault == 0 && found.IsPassThrough)
        {
            return new TableWalk(
                new TranslationResult(TranslationStatus.Bypassed, access.Address, 0, 0, null), steps.Steps);
        }

        PageResult page = found.Fault == 0
            ? TableWalker.Translate(rules, found, access, steps)
            : new PageResult(found.Fault, 0, 0, false, false);
        TranslationResult result = page.Fault == 0
            ? new TranslationResult(TranslationStatus.Translated, page.Address, found.PageTableRoot, 0, null)
            : new TranslationResult(
                found.IsQuiet ? TranslationStatus.AbortedQuietly : TranslationStatus.Faulted, 0, 0,
                found.IsQuiet ? 0 : page.Fault, Reason(page.Fault));
        return new TableWalk(result, steps.Steps);
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private static string Reason(int fault) => Text($"{fault:x2}h: {FaultReason.Describe(fault)}");

    private static TableItem Finding(
        string structure,
        ulong address,
        ulong[] words,
        string? field,
        string text,
        RequesterId? requester,
        Pasid? pasid) =>
        new()
        {
            Kind = TableItemKind.Finding,
            Structure = structure,
            Address = address,
            Words = words,
            Field = field,
            Text = text,
            Requester = requester,
            Pasid = pasid,
        };

    private IEnumerable<TableItem> Everything(int maxItems)
    {
        // Made anew each time that the list is asked for.
        var seen = new Seen(maxItems);
        ulong root = rtaddr & RootTableAddress.RTA.WordMask;
        if (!memory.IsBacked(root, RootEntry.TableBytes))
        {
            yield return Finding(
                RootTableAddress.Layout.Id, root, [rtaddr], "RTA", Text($"no memory for the 4 KiB at 0x{root:x}"),
                null, null);
            yield break;
        }

        seen.Enter(root, PageBytes, WalkStage.Root);
        for (int bus = 0; bus < 256; bus++)
        {
            ulong at = root + (ulong)(bus * RootEntry.SizeBytes);
            ulong[] words = Read(at, RootEntry.Words);
            if (words.All(word => word == 0))
            {
                continue;
            }

            yield return new TableItem
            {
                Kind = TableItemKind.Directory,
                Structure = RootEntry.Layout.Id,
                Address = at,
                Words = words,
                Text = Text($"bus {bus:x2}"),
            };
            foreach (Violation wrong in RootEntry.Layout.Check(words))
            {
                yield return Finding(
                    RootEntry.Layout.Id, at, words, wrong.Field, wrong.Message, null, null);
            }

            for (int half = 0; half < 2; half++)
            {
                foreach (TableItem item in Half(seen, at, words, bus, half))
                {
                    yield return item;
                }
            }

            if (seen.IsSpent)
            {
                yield return Finding(
                    RootEntry.Layout.Id, at, words, null,
                    "so many entries are 0 or point to the same tables that the rest was not looked through",
                    null, null);
                yield break;
            }
        }
    }

    private IEnumerable<TableItem> Half(Seen seen, ulong at, ulong[] words, int bus, int half)
    {
        ulong table = words[half] & RootEntry.LCTP.WordMask;
        string field = half == 0 ? "LCTP" : "UCTP";
        int fault = rules.CheckRootHalf(words[half]);
        if (fault == FaultReason.RootReserved && TooHigh(table) is { } wrong)
        {
            yield return Finding(RootEntry.Layout.Id, at, words, field, wrong, null, null);
        }

        if (fault != 0)
        {
            yield break;
        }

        if (Refusal(seen, table, ContextEntry.TableBytes, WalkStage.Context) is { } refusal)
        {
            yield return Finding(RootEntry.Layout.Id, at, words, field, refusal, null, null);
            yield break;
        }

        for (int i = 0; i < 128 && seen.Spend(ContextEntry.Words); i++)
        {
            ulong entry = table + (ulong)(i * ContextEntry.SizeBytes);
            ulong[] context = Read(entry, ContextEntry.Words);
            if (context.All(word => word == 0))
            {
                continue;
            }

            var requester = new RequesterId((uint)((bus << 8) | (half << 7) | i));
            foreach (TableItem item in Context(seen, entry, context, requester))
            {
                yield return item;
            }
        }

        seen.Leave(table, ContextEntry.TableBytes);
    }

    private IEnumerable<TableItem> Context(Seen seen, ulong at, ulong[] words, RequesterId requester)
    {
        ulong directory = ((ReadOnlySpan<ulong>)words).GetAddress(ContextEntry.PASIDDIRPTR);
        int entries = 1 << ((int)((ReadOnlySpan<ulong>)words).Get(ContextEntry.PDTS) + 7);
        yield return new TableItem
        {
            Kind = TableItemKind.Device,
            Structure = ContextEntry.Layout.Id,
            Address = at,
            Words = words,
            Requester = requester,
            Text = Text($"device {requester}: {State(words, entries)}"),
        };
        foreach (Violation wrong in ContextEntry.Layout.Check(words))
        {
            yield return Finding(ContextEntry.Layout.Id, at, words, wrong.Field, wrong.Message, requester, null);
        }

        int fault = rules.CheckContext(words);
        if (fault == FaultReason.ContextNotPresent)
        {
            yield break;
        }

        if (fault != 0)
        {
            yield return Finding(
                ContextEntry.Layout.Id, at, words, rules.ContextField(words), Reason(fault), requester, null);
            yield break;
        }

        int bytes = entries * PasidDirectoryEntry.SizeBytes;
        if (Refusal(seen, directory, bytes, WalkStage.Directory) is { } refusal)
        {
            yield return Finding(ContextEntry.Layout.Id, at, words, "PASIDDIRPTR", refusal, requester, null);
            yield break;
        }

        for (int i = 0; i < entries && seen.Spend(1); i++)
        {
            ulong entry = directory + (ulong)(i * PasidDirectoryEntry.SizeBytes);
            ulong value = memory.ReadQword(entry);
            if (value != 0)
            {
                foreach (TableItem item in Directory(seen, entry, value, requester, i))
                {
                    yield return item;
                }
            }
        }

        seen.Leave(directory, bytes);
    }

    private IEnumerable<TableItem> Directory(Seen seen, ulong at, ulong value, RequesterId requester, int index)
    {
        ulong[] words = [value];
        yield return new TableItem
        {
            Kind = TableItemKind.Directory,
            Structure = PasidDirectoryEntry.Layout.Id,
            Address = at,
            Words = words,
            Requester = requester,
            Text = Text($"PASIDs 0x{index << 6:x} to 0x{(index << 6) | 63:x}"),
        };
        foreach (Violation wrong in PasidDirectoryEntry.Layout.Check(words))
        {
            yield return Finding(PasidDirectoryEntry.Layout.Id, at, words, wrong.Field, wrong.Message, requester, null);
        }

        ulong table = value & PasidDirectoryEntry.SMPTBLPTR.WordMask;
        int fault = rules.CheckDirectory(value);
        if (fault == FaultReason.DirectoryReserved && TooHigh(table) is { } tooHigh)
        {
            yield return Finding(PasidDirectoryEntry.Layout.Id, at, words, "SMPTBLPTR", tooHigh, requester, null);
        }

        if (fault != 0)
        {
            yield break;
        }

        if (Refusal(seen, table, PasidEntry.TableBytes, WalkStage.Entry) is { } refusal)
        {
            yield return Finding(PasidDirectoryEntry.Layout.Id, at, words, "SMPTBLPTR", refusal, requester, null);
            yield break;
        }

        for (int i = 0; i < 64 && seen.Spend(PasidEntry.Words); i++)
        {
            ulong entry = table + (ulong)(i * PasidEntry.SizeBytes);
            ulong[] content = Read(entry, PasidEntry.Words);
            if (content.All(word => word == 0))
            {
                continue;
            }

            foreach (TableItem item in Entry(seen, entry, content, requester, new Pasid((uint)((index << 6) | i))))
            {
                yield return item;
            }
        }

        seen.Leave(table, PasidEntry.TableBytes);
    }

    private IEnumerable<TableItem> Entry(Seen seen, ulong at, ulong[] words, RequesterId requester, Pasid pasid)
    {
        int fault = rules.CheckEntry(words);
        yield return new TableItem
        {
            Kind = TableItemKind.Pasid,
            Structure = PasidEntry.Layout.Id,
            Address = at,
            Words = words,
            Requester = requester,
            Pasid = pasid,
            Text = Describe(words),
        };
        foreach (Violation wrong in PasidEntry.Layout.Check(words))
        {
            yield return Finding(PasidEntry.Layout.Id, at, words, wrong.Field, wrong.Message, requester, pasid);
        }

        if (fault is not (0 or FaultReason.EntryNotPresent))
        {
            yield return Finding(
                PasidEntry.Layout.Id, at, words, rules.EntryField(words), Reason(fault), requester, pasid);
        }

        if (fault != 0)
        {
            yield break;
        }

        ulong type = ((ReadOnlySpan<ulong>)words).Get(PasidEntry.PGTT);
        ulong first = ((ReadOnlySpan<ulong>)words).GetAddress(PasidEntry.FSPTPTR);
        ulong second = ((ReadOnlySpan<ulong>)words).GetAddress(PasidEntry.SSPTPTR);

        // A nested entry's first stage lies at a guest address.
        if (type == PasidEntry.FirstStage && PageTable(seen, first) is { } wrongFirst)
        {
            yield return Finding(PasidEntry.Layout.Id, at, words, "FSPTPTR", wrongFirst, requester, pasid);
        }

        if (type is PasidEntry.SecondStage or PasidEntry.Nested && PageTable(seen, second) is { } wrongSecond)
        {
            yield return Finding(PasidEntry.Layout.Id, at, words, "SSPTPTR", wrongSecond, requester, pasid);
        }
    }

    private string? TooHigh(ulong table) => (table & rules.AboveHostAddresses) == 0
        ? null
        : Text($"0x{table:x} has bits above the host address width");

    private string? PageTable(Seen seen, ulong table) =>
        !memory.IsBacked(table, PageBytes) ? Text($"no memory for the 4 KiB at 0x{table:x}")
        : seen.KindOf(table, PageBytes) is { } kind ? Text($"0x{table:x} is a {kind} table as well")
        : null;

    // Why a table is not followed; null where it is, and then it is remembered.
    private string? Refusal(Seen seen, ulong table, int bytes, WalkStage stage)
    {
        if (!memory.IsBacked(table, bytes))
        {
            return Text($"no memory for the {bytes} bytes at 0x{table:x}");
        }

        if (seen.IsAncestor(table, bytes))
        {
            return Text($"0x{table:x} leads back to a table on the way here: a loop, not followed");
        }

        if (seen.KindOf(table, bytes, stage) is { } kind)
        {
            return Text($"0x{table:x} is a {kind} table as well, not followed");
        }

        return seen.Enter(table, bytes, stage)
            ? null
            : "too many tables to remember them all, not followed";
    }

    private static string State(ulong[] context, int entries) =>
        (context[0] & 1) == 0 ? "not present" : Text($"PASID directory of {entries} entries");

    private static string Describe(ulong[] words)
    {
        ReadOnlySpan<ulong> entry = words;
        if (entry.Get(PasidEntry.P) == 0)
        {
            return entry.Get(PasidEntry.FPD) == 1 ? "not present, faults are quiet (FPD)" : "not present";
        }

        ulong domain = entry.Get(PasidEntry.DID);
        return entry.Get(PasidEntry.PGTT) switch
        {
            PasidEntry.FirstStage => Text(
                $"first stage at 0x{entry.GetAddress(PasidEntry.FSPTPTR):x}, domain id {domain}"),
            PasidEntry.SecondStage => Text(
                $"second stage at 0x{entry.GetAddress(PasidEntry.SSPTPTR):x}, domain id {domain}"),
            PasidEntry.Nested => Text(
                $"nested, first stage at guest 0x{entry.GetAddress(PasidEntry.FSPTPTR):x}, second stage at ")
                + Text($"0x{entry.GetAddress(PasidEntry.SSPTPTR):x}, domain id {domain}"),
            PasidEntry.PassThrough => Text($"pass-through, domain id {domain}"),
            ulong type => Text($"reserved type {type}"),
        };
    }

    private ulong[] Read(ulong at, int count)
    {
        var words = new ulong[count];
        for (int i = 0; i < count; i++)
        {
            words[i] = memory.ReadQword(at + ((ulong)i * 8));
        }

        return words;
    }

    /// <summary>Pages of the tables that were met: which are on the way now, and what each was used as.</summary>
    private sealed class Seen(int limit)
    {
        private readonly Dictionary<ulong, WalkStage> _kinds = [];
        private readonly HashSet<ulong> _path = [];

        // Tables that are shared many times over would otherwise be looked through as often.
        private long _budget = (1L << 20) + (64L * limit);

        public bool IsSpent => _budget < 0;

        public bool Spend(int words)
        {
            _budget -= words;
            return _budget >= 0;
        }

        public bool Enter(ulong table, int bytes, WalkStage stage)
        {
            if (_kinds.Count >= limit)
            {
                return false;
            }

            foreach (ulong page in Pages(table, bytes))
            {
                _kinds.TryAdd(page, stage);
                _path.Add(page);
            }

            return true;
        }

        public void Leave(ulong table, int bytes)
        {
            foreach (ulong page in Pages(table, bytes))
            {
                _path.Remove(page);
            }
        }

        public bool IsAncestor(ulong table, int bytes) => Pages(table, bytes).Any(_path.Contains);

        /// <summary>What else a table is; null for nothing, or for the same kind.</summary>
        public string? KindOf(ulong table, int bytes, WalkStage? like = null)
        {
            foreach (ulong page in Pages(table, bytes))
            {
                if (_kinds.TryGetValue(page, out WalkStage stage) && stage != like)
                {
                    return stage switch
                    {
                        WalkStage.Root => "root",
                        WalkStage.Context => "context",
                        WalkStage.Directory => "PASID directory",
                        _ => "PASID",
                    };
                }
            }

            return null;
        }

        private static IEnumerable<ulong> Pages(ulong table, int bytes)
        {
            for (int offset = 0; offset < bytes; offset += PageBytes)
            {
                yield return (table + (ulong)offset) >> 12;
            }
        }
    }

    /// <summary>Reads memory and writes down every step.</summary>
    private sealed class StepSource(IMemoryReader memory) : IWalkSource
    {
        private readonly List<TableStep> _steps = [];
        private bool _wasRead;

        public IReadOnlyList<TableStep> Steps => _steps;

        public bool Read(in WalkPoint point, Span<ulong> words)
        {
            words.Clear();
            _wasRead = memory.IsBacked(point.Address, words.Length * 8L);
            for (int i = 0; _wasRead && i < words.Length; i++)
            {
                words[i] = memory.ReadQword(point.Address + ((ulong)i * 8));
            }

            return _wasRead;
        }

        public void Checked(in WalkPoint point, ReadOnlySpan<ulong> words, int fault) => _steps.Add(new TableStep(
            point.Stage switch
            {
                WalkStage.Root => RootEntry.Layout.Id,
                WalkStage.Context => ContextEntry.Layout.Id,
                WalkStage.Directory => PasidDirectoryEntry.Layout.Id,
                WalkStage.Entry => PasidEntry.Layout.Id,
                WalkStage.FirstStage => FirstStageEntry.Layout.Id,
                _ => SecondStageEntry.Layout.Id,
            },
            point.Address,
            _wasRead ? words.ToArray() : [],
            fault != 0 ? Reason(fault) : Reading(point, words)));

        // Flags stay as they are: reading has no side effects.
        public bool Update(in WalkPoint point, ulong expected, ulong entry) => true;

        private static string Reading(in WalkPoint point, ReadOnlySpan<ulong> words) => point.Stage switch
        {
            WalkStage.Root => Text($"context table at 0x{words[0] & RootEntry.LCTP.WordMask:x}"),
            WalkStage.Context => Text($"PASID directory at 0x{words.GetAddress(ContextEntry.PASIDDIRPTR):x}"),
            WalkStage.Directory => Text($"PASID table at 0x{words[0] & PasidDirectoryEntry.SMPTBLPTR.WordMask:x}"),
            WalkStage.Entry => Describe(words.ToArray()),
            _ when point.Level == 1 || words[0].Field(FirstStageEntry.PS) == 1 =>
                Text($"level {point.Level}: page at 0x{words[0] & FirstStageEntry.ADDR.WordMask:x}"),
            _ => Text($"level {point.Level}: table at 0x{words[0] & FirstStageEntry.ADDR.WordMask:x}"),
        };
    }
}
