// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Reader;

/// <summary>The tables behind one stream table, whatever is in memory.</summary>
/// <param name="attached">The entry of one stream instead; null for a stream table.</param>
/// <param name="walksPages">Whether a walk goes on below the root of a page table.</param>
internal sealed class SmmuTableView(
    IMemoryReader memory, StreamRoot root, AttachedStream? attached, SmmuHardwareOptions options, bool walksPages)
    : ITableView
{
    public IEnumerable<TableItem> Items(int maxItems = 1 << 20) =>
        attached is null ? Streams(maxItems) : Contexts(attached, maxItems);

    public TableWalk Walk(in DmaAccess access)
    {
        var steps = new List<TableStep>();
        SmmuWalker walker = attached is null
            ? new SmmuWalker(memory, options) { WalksPages = walksPages, Steps = steps }
            : new AttachedStream.Walker(memory, options, attached) { WalksPages = walksPages, Steps = steps };
        // Without the records of unknown streams the table of another one would end quietly.
        WalkOutcome outcome = walker.Follow(access, root with { RecordsUnknown = true });
        return new TableWalk(outcome.Result, steps)
        {
            IsConfigured = outcome.Result.Status is TranslationStatus.Translated or TranslationStatus.ReachedPageTable
                || outcome.Fault.Event is SmmuEvent.F_TRANSLATION or SmmuEvent.F_ADDR_SIZE or SmmuEvent.F_ACCESS
                    or SmmuEvent.F_PERMISSION or SmmuEvent.F_WALK_EABT,
        };
    }

    private static TableItem Origin(Layout layout, ulong address, ulong[] words, string? field, RequesterId? stream) =>
        new()
    {
        Kind = TableItemKind.Finding,
        Structure = layout.Id,
        Address = address,
        Words = words,
        Field = field,
        Requester = stream,
        Text = string.Empty,
    };

    private IEnumerable<TableItem> Streams(int maxItems)
    {
        var streams = new TableLevel(StreamTableEntry.Layout, "stream table", TableItemKind.Device, Stream)
        {
            Numbers = EntryNumber.Requester,
        };
        if (!root.IsTwoLevel)
        {
            return TableLister.Items(
                memory,
                new TableReference(streams, root.Table, 1L << root.Log2Size),
                Origin(StreamTableEntry.Layout, root.Table, [], null, null),
                maxItems);
        }

        TableLevel leaf = streams with { Name = "leaf of the stream table", IsExclusive = true };
        var first = new TableLevel(
            L1StreamDescriptor.Layout,
            "first level of the stream table",
            TableItemKind.Directory,
            entry => StreamLeaf(entry, leaf));
        return TableLister.Items(
            memory,
            new TableReference(first, root.Table, 1L << Math.Max(0, root.Log2Size - root.Split)),
            Origin(L1StreamDescriptor.Layout, root.Table, [], null, null),
            maxItems);
    }

    private IEnumerable<TableItem> Contexts(AttachedStream stream, int maxItems)
    {
        ulong[] ste = stream.Entry;
        TableReference contexts = Contexts(ste, stream.Stream);
        TableItem origin = Origin(
            StreamTableEntry.Layout, contexts.Address, ste, nameof(StreamTableEntry.S1ContextPtr), stream.Stream);
        SmmuFault fault = SmmuRules.CheckStreamEntry(options, ste);
        return fault.IsFault
            ? TableLister.TruncateWithFinding([origin with { Text = $"{fault.Event}: {fault.Reason}" }], maxItems)
            : TableLister.Items(memory, contexts, origin, maxItems);
    }

    private EntryReading StreamLeaf(TableEntry entry, TableLevel leaf)
    {
        ReadOnlySpan<ulong> descriptor = entry.Words;
        int span = (int)descriptor.Get(L1StreamDescriptor.Span);
        ulong table = descriptor.GetAddress(L1StreamDescriptor.L2Ptr);
        long first = entry.Number << root.Split;
        return span == 0
            ? new EntryReading("invalid", [], IsChecked: false)
            : new EntryReading(
                Text($"StreamIDs from 0x{first:x}, Span {span}, leaf 0x{table:x}"),
                [
                    span > root.Split + 1
                        ? EntryStep.Finding(
                            nameof(L1StreamDescriptor.Span),
                            Text($"is {span}, the limit is SPLIT + 1 = {root.Split + 1}: C_BAD_STREAMID"))
                        : EntryStep.Follow(
                            nameof(L1StreamDescriptor.L2Ptr), new TableReference(leaf, table, 1L << (span - 1), first)),
                ]);
    }

    private EntryReading Stream(TableEntry entry)
    {
        ReadOnlySpan<ulong> ste = entry.Words;
        if (ste.Get(StreamTableEntry.V) == 0)
        {
            return new EntryReading("invalid", [], IsChecked: false);
        }

        int bits = (int)ste.Get(StreamTableEntry.S1CDMax);
        ulong config = ste.Get(StreamTableEntry.Config);
        SmmuFault fault = SmmuRules.CheckStreamEntry(options, ste);
        string contexts = Text($"{bits} PASID bits, contexts at 0x{ste.GetAddress(StreamTableEntry.S1ContextPtr):x}");
        return new EntryReading(
            config switch
            {
                < StreamTableEntry.ConfigBypass => "abort",
                StreamTableEntry.ConfigBypass => "bypass",
                StreamTableEntry.ConfigStage2 => "stage 2",
                StreamTableEntry.ConfigStage1 => $"stage 1, {contexts}",
                _ => $"stages 1 and 2, {contexts}",
            },
            fault.IsFault ? [EntryStep.Finding(null, $"{fault.Event}: {fault.Reason}")]
                : config switch
                {
                    // Addresses of these tables are intermediate ones; a walk translates them.
                    StreamTableEntry.ConfigNested =>
                    [
                        EntryStep.Finding(
                            nameof(StreamTableEntry.S1ContextPtr),
                            "is an intermediate address: the contexts are not listed"),
                    ],
                    StreamTableEntry.ConfigStage1 =>
                        [EntryStep.Follow(nameof(StreamTableEntry.S1ContextPtr),
                            Contexts(entry.Words, entry.Requester))],
                    _ => [],
                });
    }

    // The table of a stream table entry; several streams may share it.
    private TableReference Contexts(ulong[] entry, RequesterId? stream)
    {
        ReadOnlySpan<ulong> ste = entry;
        ulong format = ste.Get(StreamTableEntry.S1Fmt);
        int bits = (int)ste.Get(StreamTableEntry.S1CDMax);
        ulong table = ste.GetAddress(StreamTableEntry.S1ContextPtr);
        var contexts = new TableLevel(
            ContextDescriptor.Layout, "table of context descriptors", TableItemKind.Pasid, e => Context(e, entry))
        {
            Numbers = EntryNumber.Pasid,
        };
        if (format == StreamTableEntry.S1FmtLinear || bits == 0)
        {
            return new TableReference(contexts, table, 1L << bits, 0, stream);
        }

        int leafBits = format == StreamTableEntry.S1Fmt64KLeaf ? 10 : 6;
        TableLevel leaf = contexts with { Name = "leaf of context descriptors", IsExclusive = true };
        var first = new TableLevel(
            L1ContextDescriptor.Layout,
            "first level of context descriptors",
            TableItemKind.Directory,
            e => ContextLeaf(e, leaf, leafBits, Math.Min(bits, leafBits)));
        return new TableReference(first, table, 1L << Math.Max(0, bits - leafBits), 0, stream);
    }

    private static EntryReading ContextLeaf(TableEntry entry, TableLevel leaf, int leafBits, int usedBits)
    {
        ReadOnlySpan<ulong> descriptor = entry.Words;
        ulong table = descriptor.GetAddress(L1ContextDescriptor.L2Ptr);
        ulong bytes = (ulong)ContextDescriptor.Bytes << leafBits;
        long first = entry.Number << leafBits;
        EntryStep follow = EntryStep.Follow(
            nameof(L1ContextDescriptor.L2Ptr), new TableReference(leaf, table, 1L << usedBits, first, entry.Requester));
        return descriptor.Get(L1ContextDescriptor.V) == 0
            ? new EntryReading("invalid", [], IsChecked: false)
            : new EntryReading(Text($"PASIDs from 0x{first:x}, leaf 0x{table:x}"), (table & (bytes - 1)) == 0
                ? [follow]
                :
                [
                    EntryStep.Finding(
                        nameof(L1ContextDescriptor.L2Ptr), Text($"0x{table:x} is no multiple of 0x{bytes:x}")),
                    follow,
                ]);
    }

    private EntryReading Context(TableEntry entry, ulong[] ste)
    {
        ReadOnlySpan<ulong> cd = entry.Words;
        if (cd.Get(ContextDescriptor.V) == 0)
        {
            return new EntryReading("invalid", [], IsChecked: false);
        }

        bool isWalked = cd.Get(ContextDescriptor.EPD0) == 0;
        ulong table = cd.GetAddress(ContextDescriptor.TTB0);
        SmmuFault fault = SmmuRules.CheckContext(options, ste, cd);
        return new EntryReading(
            isWalked
                ? Text($"ASID {cd.Get(ContextDescriptor.ASID)}, page table 0x{table:x}")
                : Text($"ASID {cd.Get(ContextDescriptor.ASID)}, not walked (EPD0)"),
            fault.IsFault ? [EntryStep.Finding(null, $"{fault.Event}: {fault.Reason}")]
            : isWalked ? [EntryStep.PageTable(nameof(ContextDescriptor.TTB0), table, 8)]
            : []);
    }
}
