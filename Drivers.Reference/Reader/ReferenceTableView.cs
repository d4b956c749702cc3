// SPDX-License-Identifier: Apache-2.0
using PasidFramework.DriverKit.Tables;
using PasidFramework.Drivers.Reference.Emulation.Functional;

namespace PasidFramework.Drivers.Reference.Reader;

/// <summary>The tables behind one device table. It trusts nothing that it reads.</summary>
internal sealed class ReferenceTableView(IMemoryReader memory, ulong deviceTable) : ITableView
{
    public IEnumerable<TableItem> Items(int maxItems = 1 << 20)
    {
        ulong table = deviceTable.GetAddress(DeviceTable.BASE);
        return TableLister.Items(
            memory,
            new TableReference(
                new TableLevel(DeviceEntry.Layout, "device table", TableItemKind.Device, Device)
                {
                    Numbers = EntryNumber.Requester,
                },
                table,
                1L << (int)deviceTable.Get(DeviceTable.LOG2)),
            new TableItem
            {
                Kind = TableItemKind.Finding,
                Structure = DeviceTable.Layout.Id,
                Address = table,
                Words = [deviceTable],
                Field = "BASE",
                Text = string.Empty,
            },
            maxItems);
    }

    public TableWalk Walk(in DmaAccess access)
    {
        var steps = new Steps(memory);
        Configured found = Walker.Configure(deviceTable, Pasid.MaxBits, access, steps);
        Page page = found.Fault == FaultCode.None
            ? Walker.Translate(found.Root, access.Address, steps)
            : new Page(found.Fault, 0, false, 0);
        FaultCode fault = page.Fault == FaultCode.None && access.IsWrite && !page.IsWritable
            ? FaultCode.NotWritable
            : page.Fault;
        string reason = FaultCodes.Describe((int)fault);
        return new TableWalk(
            fault switch
            {
                FaultCode.None => new TranslationResult(
                    TranslationStatus.Translated, page.Target | (access.Address & 0xFFF), found.Root, 0, null),
                FaultCode.Quiet => new TranslationResult(TranslationStatus.AbortedQuietly, 0, 0, 0, reason),
                _ => new TranslationResult(TranslationStatus.Faulted, 0, 0, (int)fault, reason),
            },
            steps.Done)
        {
            IsConfigured = found.Fault == FaultCode.None,
        };
    }

    private static string State(ulong entry) => (entry & 1) != 0 ? "valid" : "not valid";

    // As the hardware does: what is not valid or ill-formed leads nowhere.
    private static bool IsFollowed(Layout layout, ulong[] words) => (words[0] & 1) != 0
        && layout.Check(words).Count == 0;

    private static EntryReading Device(TableEntry entry)
    {
        ulong word = entry.Words[0];
        int bits = (int)word.Get(DeviceEntry.WIDTH);
        return new EntryReading(
            Text($"device {entry.Requester}: {State(word)}, PASIDs of {bits} bits"),
            !IsFollowed(DeviceEntry.Layout, entry.Words) ? [] :
            [
                EntryStep.Follow("TABLE", new TableReference(
                    new TableLevel(DirectoryEntry.Layout, "directory", TableItemKind.Directory, e =>
                        Directory(e, bits)),
                    word.GetAddress(DeviceEntry.TABLE),
                    1L << Math.Max(0, bits - PasidEntry.IndexBits),
                    0,
                    entry.Requester)),
            ]);
    }

    // With a table of fewer bits than a leaf has, the rest of the leaf cannot be reached.
    private static EntryReading Directory(TableEntry entry, int bits)
    {
        ulong word = entry.Words[0];
        long first = entry.Number << PasidEntry.IndexBits;
        return new EntryReading(
            Text($"PASIDs 0x{first:x} to 0x{first | ((1L << PasidEntry.IndexBits) - 1):x}: {State(word)}"),
            !IsFollowed(DirectoryEntry.Layout, entry.Words) ? [] :
            [
                EntryStep.Follow("LEAF", new TableReference(
                    new TableLevel(PasidEntry.Layout, "leaf", TableItemKind.Pasid,
                        Leaf) { Numbers = EntryNumber.Pasid },
                    word.GetAddress(DirectoryEntry.LEAF),
                    1L << Math.Min(bits, PasidEntry.IndexBits),
                    first,
                    entry.Requester)),
            ]);
    }

    private static EntryReading Leaf(TableEntry entry)
    {
        ulong[] words = entry.Words;
        ulong root = words[0].GetAddress(PasidEntry.ROOT);
        bool leads = words[0].Has(PasidEntry.V) && !words[0].Has(PasidEntry.Q);
        return new EntryReading(
            leads ? Text($"ASID {words[1].Get(PasidEntry.ASID)}, page table 0x{root:x}")
                : words[0].Has(PasidEntry.V) ? "quiet"
                : "not valid",
            leads ? [EntryStep.PageTable("ROOT", root, PageTableEntry.TableBytes)] : []);
    }

    /// <summary>Memory that notes every step of a walk.</summary>
    private sealed class Steps(IMemoryReader memory) : IEntrySource
    {
        public List<TableStep> Done { get; } = [];

        public bool Read(in WalkPoint point, Span<ulong> words)
        {
            Layout layout = point.Stage switch
            {
                Stage.Device => DeviceEntry.Layout,
                Stage.Directory => DirectoryEntry.Layout,
                Stage.Entry => PasidEntry.Layout,
                _ => PageTableEntry.Layout,
            };
            bool isThere = memory.TryReadWords(point.Address, words);
            IReadOnlyList<Violation> wrong = isThere ? layout.Check(words) : [];
            Done.Add(new TableStep(
                layout.Id,
                point.Address,
                isThere ? words.ToArray() : [],
                !isThere ? "no memory there"
                    : (words[0] & 1) == 0 ? "not valid"
                    : wrong.Count > 0 ? wrong[0].ToString()
                    : point.Stage == Stage.Entry && words[0].Has(PasidEntry.Q) ? "quiet"
                    : Text($"leads to 0x{words[0].GetAddress(PageTableEntry.TARGET):x}")));
            return isThere;
        }
    }
}
