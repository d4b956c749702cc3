using System.Globalization;
using PasidFramework.Contracts;
using PasidFramework.Drivers.Reference.Emulation.Functional;
using PasidFramework.Drivers.Reference.Formats;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Records;

namespace PasidFramework.Drivers.Reference.Reader;

/// <summary>The tables behind one device table. It trusts nothing that it reads.</summary>
internal sealed class ReferenceTableView(IMemoryReader memory, ulong deviceTable) : ITableView
{
    /// <inheritdoc/>
    public IEnumerable<TableItem> Items(int maxItems = 1 << 20) => TableItems.TruncateWithFinding(
        Everything(maxItems), maxItems, Text($"there is more than fits into {maxItems} items"));

    /// <inheritdoc/>
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
            steps.Done);
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private static string State(ulong entry) => (entry & 1) != 0 ? "valid" : "not valid";

    private IEnumerable<TableItem> Everything(int maxItems)
    {
        // Entries that are 0 are no items, and many entries may point to one table: without a limit of its own a list
        // of nothing could take hours.
        long wordsLeft = (1L << 20) + (64L * maxItems);
        ulong start = deviceTable.GetAddress(DeviceTable.BASE);
        for (uint requester = 0; requester < 1u << (int)deviceTable.Get(DeviceTable.LOG2); requester++)
        {
            var device = new Place(
                DeviceEntry.Layout,
                start + ((ulong)requester * DeviceEntry.SizeBytes),
                new RequesterId(requester),
                null);
            if (!memory.IsBacked(device.Address, DeviceEntry.SizeBytes))
            {
                yield return device.Finding([], "BASE", Text($"no memory at 0x{device.Address:x}"));
                yield break;
            }

            wordsLeft--;
            ulong entry = memory.ReadQword(device.Address);
            if (entry == 0)
            {
                continue;
            }

            foreach (TableItem item in device.Items(TableItemKind.Device, [entry], Text(
                $"device {device.Requester}: {State(entry)}, PASIDs of {entry.Get(DeviceEntry.WIDTH)} bits")))
            {
                yield return item;
            }

            if (!device.CanFollow([entry]))
            {
                continue;
            }

            foreach (TableItem item in PasidTable(device, entry, () => --wordsLeft >= 0))
            {
                yield return item;
            }

            if (wordsLeft < 0)
            {
                yield return device.Finding(
                    [entry],
                    null,
                    "so many entries are 0 or point to the same tables that the rest was not looked through");
                yield break;
            }
        }
    }

    private IEnumerable<TableItem> PasidTable(Place device, ulong deviceEntry, Func<bool> trySpend)
    {
        ulong table = deviceEntry.GetAddress(DeviceEntry.TABLE);
        int directoryBits = Math.Max(0, (int)deviceEntry.Get(DeviceEntry.WIDTH) - PasidEntry.IndexBits);
        if (!memory.IsBacked(table, DirectoryEntry.SizeBytes << directoryBits))
        {
            yield return device.Finding([deviceEntry], "TABLE", Text($"no memory for the directory at 0x{table:x}"));
            yield break;
        }

        for (uint index = 0; index < 1u << directoryBits && trySpend(); index++)
        {
            var place = new Place(
                DirectoryEntry.Layout, table + ((ulong)index * DirectoryEntry.SizeBytes), device.Requester, null);
            ulong entry = memory.ReadQword(place.Address);
            if (entry == 0)
            {
                continue;
            }

            uint first = index << PasidEntry.IndexBits;
            foreach (TableItem item in place.Items(TableItemKind.Directory, [entry], Text(
                $"PASIDs 0x{first:x} to 0x{first | ((1u << PasidEntry.IndexBits) - 1):x}: {State(entry)}")))
            {
                yield return item;
            }

            if (!place.CanFollow([entry]))
            {
                continue;
            }

            // With a table of fewer bits than a leaf has, the rest of the leaf cannot be reached.
            uint end = Math.Min(first + (1u << PasidEntry.IndexBits), 1u << (int)deviceEntry.Get(DeviceEntry.WIDTH));
            foreach (TableItem item in Leaf(place, entry, first, end, trySpend))
            {
                yield return item;
            }
        }
    }

    private IEnumerable<TableItem> Leaf(
        Place directory, ulong directoryEntry, uint first, uint end, Func<bool> trySpend)
    {
        ulong leaf = directoryEntry.GetAddress(DirectoryEntry.LEAF);
        if (!memory.IsBacked(leaf, PasidEntry.LeafBytes))
        {
            yield return directory.Finding([directoryEntry], "LEAF", Text($"no memory for the leaf at 0x{leaf:x}"));
            yield break;
        }

        for (uint pasid = first; pasid < end && trySpend() && trySpend(); pasid++)
        {
            var place = new Place(
                PasidEntry.Layout, leaf + ((ulong)(pasid - first) * PasidEntry.SizeBytes), directory.Requester,
                new Pasid(pasid));
            ulong[] words = [memory.ReadQword(place.Address), memory.ReadQword(place.Address + 8)];
            if (words[0] == 0 && words[1] == 0)
            {
                continue;
            }

            ulong root = words[0].GetAddress(PasidEntry.ROOT);
            bool leads = words[0].Has(PasidEntry.V) && !words[0].Has(PasidEntry.Q);
            string text = leads ? Text($"ASID {words[1].Get(PasidEntry.ASID)}, page table 0x{root:x}")
                : words[0].Has(PasidEntry.V) ? "quiet"
                : "not valid";
            foreach (TableItem item in place.Items(TableItemKind.Pasid, words, text))
            {
                yield return item;
            }

            if (leads && !memory.IsBacked(root, PageTableEntry.TableBytes))
            {
                yield return place.Finding(words, "ROOT", Text($"no memory for the page table at 0x{root:x}"));
            }
        }
    }

    /// <summary>An entry's place, and the items that it makes.</summary>
    private sealed record Place(Layout Layout, ulong Address, RequesterId Requester, Pasid? Pasid)
    {
        public IEnumerable<TableItem> Items(TableItemKind kind, ulong[] words, string text)
        {
            yield return Item(kind, words, null, text);
            foreach (Violation wrong in Layout.Check(words))
            {
                yield return Finding(words, wrong.Field, wrong.Message);
            }
        }

        public TableItem Finding(ulong[] words, string? field, string text) =>
            Item(TableItemKind.Finding, words, field, text);

        // As the hardware does: what is not valid or ill-formed leads nowhere.
        public bool CanFollow(ulong[] words) => (words[0] & 1) != 0 && Layout.Check(words).Count == 0;

        private TableItem Item(TableItemKind kind, ulong[] words, string? field, string text) => new()
        {
            Kind = kind,
            Structure = Layout.Id,
            Address = Address,
            Words = words,
            Requester = Requester,
            Pasid = Pasid,
            Field = field,
            Text = text,
        };
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
            bool isThere = memory.IsBacked(point.Address, words.Length * 8);
            for (int i = 0; isThere && i < words.Length; i++)
            {
                words[i] = memory.ReadQword(point.Address + ((ulong)i * 8));
            }

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
