// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Reader;

/// <summary>One root table in memory and everything behind it. It trusts nothing that it reads.</summary>
internal sealed class VtdTableView(IMemoryReader memory, WalkRules rules, ulong rtaddr) : ITableView
{
    private const int PageBytes = 4096;
    private const int LeafBits = 6;

    public IEnumerable<TableItem> Items(int maxItems = 1 << 20)
    {
        TableReference root = Root();
        return TableLister.Items(
            memory,
            root,
            new TableItem
            {
                Kind = TableItemKind.Finding,
                Structure = RootTableAddress.Layout.Id,
                Address = root.Address,
                Words = [rtaddr],
                Field = "RTA",
                Text = string.Empty,
            },
            maxItems);
    }

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
        return new TableWalk(result, steps.Steps) { IsConfigured = found.Fault == 0 };
    }

    private static string Reason(int fault) => Text($"{fault:x2}h: {FaultReasonNames.Of(fault)}");

    private TableReference Root()
    {
        var pasids = new TableLevel(PasidEntry.Layout, "PASID table", TableItemKind.Pasid, Pasid)
        {
            Numbers = EntryNumber.Pasid,
        };
        var directory = new TableLevel(
            PasidDirectoryEntry.Layout, "PASID directory", TableItemKind.Directory, entry => Directory(entry, pasids));
        var contexts = new TableLevel(
            ContextEntry.Layout, "context table", TableItemKind.Device, entry => Context(entry, directory))
        {
            Numbers = EntryNumber.Requester,
        };
        return new TableReference(
            new TableLevel(
                RootEntry.Layout,
                "root table",
                TableItemKind.Directory,
                entry => new EntryReading(Text($"bus {entry.Number:x2}"), Halves(entry, contexts))),
            rtaddr & RootTableAddress.RTA.WordMask,
            RootEntry.TableBytes / RootEntry.SizeBytes);
    }

    private IEnumerable<EntryStep> Halves(TableEntry entry, TableLevel contexts)
    {
        for (int half = 0; half < 2; half++)
        {
            ulong table = entry.Words[half] & RootEntry.LCTP.WordMask;
            string field = half == 0 ? "LCTP" : "UCTP";
            int fault = rules.CheckRootHalf(entry.Words[half]);
            if (fault == FaultReason.RootReserved && TooHigh(table) is { } wrong)
            {
                yield return EntryStep.Finding(field, wrong);
            }

            if (fault == 0)
            {
                yield return EntryStep.Follow(field, new TableReference(
                    contexts, table, ContextEntry.TableBytes / ContextEntry.SizeBytes,
                    (entry.Number << 8) | ((long)half << 7)));
            }
        }
    }

    private EntryReading Context(TableEntry entry, TableLevel directory)
    {
        ReadOnlySpan<ulong> words = entry.Words;
        ulong table = words.GetAddress(ContextEntry.PASIDDIRPTR);
        int entries = 1 << ((int)words.Get(ContextEntry.PDTS) + 7);
        int fault = rules.CheckContext(words);
        return new EntryReading(
            Text($"device {entry.Requester}: {State(entry.Words, entries)}"),
            fault switch
            {
                0 => [EntryStep.Follow("PASIDDIRPTR",
                    new TableReference(directory, table, entries, 0, entry.Requester))],
                FaultReason.ContextNotPresent => [],
                _ => [EntryStep.Finding(rules.ContextField(words), Reason(fault))],
            });
    }

    private EntryReading Directory(TableEntry entry, TableLevel pasids)
    {
        ulong table = entry.Words[0] & PasidDirectoryEntry.SMPTBLPTR.WordMask;
        long first = entry.Number << LeafBits;
        int fault = rules.CheckDirectory(entry.Words[0]);
        return new EntryReading(
            Text($"PASIDs 0x{first:x} to 0x{first | ((1 << LeafBits) - 1):x}"),
            fault == 0
                ? [EntryStep.Follow("SMPTBLPTR", new TableReference(
                    pasids, table, 1 << LeafBits, first, entry.Requester))]
            : fault == FaultReason.DirectoryReserved && TooHigh(table) is { } wrong
                ? [EntryStep.Finding("SMPTBLPTR", wrong)]
            : []);
    }

    private EntryReading Pasid(TableEntry entry) => new(Describe(entry.Words), PageTables(entry.Words));

    private IEnumerable<EntryStep> PageTables(ulong[] words)
    {
        int fault = rules.CheckEntry(words);
        if (fault is not (0 or FaultReason.EntryNotPresent))
        {
            yield return EntryStep.Finding(rules.EntryField(words), Reason(fault));
        }

        if (fault != 0)
        {
            yield break;
        }

        ulong type = ((ReadOnlySpan<ulong>)words).Get(PasidEntry.PGTT);
        if (type == PasidEntry.FirstStage)
        {
            yield return EntryStep.PageTable(
                "FSPTPTR", ((ReadOnlySpan<ulong>)words).GetAddress(PasidEntry.FSPTPTR), PageBytes);
        }

        // A nested entry's first stage lies at a guest address.
        if (type is PasidEntry.SecondStage or PasidEntry.Nested)
        {
            yield return EntryStep.PageTable(
                "SSPTPTR", ((ReadOnlySpan<ulong>)words).GetAddress(PasidEntry.SSPTPTR), PageBytes);
        }
    }

    private string? TooHigh(ulong table) => (table & rules.AboveHostAddresses) == 0
        ? null
        : Text($"0x{table:x} has bits above the host address width");

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

    /// <summary>Reads memory and writes down every step.</summary>
    private sealed class StepSource(IMemoryReader memory) : IWalkSource
    {
        private readonly List<TableStep> _steps = [];
        private bool _wasRead;
        public IReadOnlyList<TableStep> Steps => _steps;

        public bool Read(in WalkPoint point, Span<ulong> words) =>
            _wasRead = memory.TryReadWords(point.Address, words);

        public void Checked(in WalkPoint point, ReadOnlySpan<ulong> words, int fault) => _steps.Add(new TableStep(
            point.Stage switch
            {
                WalkStage.Root => RootEntry.Layout.Id,
                WalkStage.Context => ContextEntry.Layout.Id,
                WalkStage.Directory => PasidDirectoryEntry.Layout.Id,
                WalkStage.Entry => PasidEntry.Layout.Id,
                WalkStage.FirstStage => X86Entry.Layout.Id,
                _ => VtdSecondStageEntry.Layout.Id,
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
            _ when point.Level == 1 || words[0].Get(X86Entry.PS) == 1 =>
                Text($"level {point.Level}: page at 0x{words[0] & X86Entry.ADDR.WordMask:x}"),
            _ => Text($"level {point.Level}: table at 0x{words[0] & X86Entry.ADDR.WordMask:x}"),
        };
    }
}
