using System.Buffers.Binary;
using System.Globalization;
using PasidFramework.Contracts;
using PasidFramework.Drivers.ArmSmmu.Emulation.Functional;
using PasidFramework.Drivers.ArmSmmu.Formats;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Records;

namespace PasidFramework.Drivers.ArmSmmu.Reader;

/// <summary>The tables behind one stream table, whatever is in memory.</summary>
/// <remarks>
/// Depth is fixed (first level, STE, first level, CD), so nothing loops; a table that was met before as something else,
/// or twice in one place, is a finding and not followed. Entries of a context descriptor table that several devices share
/// are remembered and listed for each. Where a table runs through <see cref="MaxMissingPages"/> pages that are no memory
/// the rest of it is not looked for.
/// </remarks>
/// <param name="memory">Memory or a dump.</param>
/// <param name="root">Where the stream table is.</param>
/// <param name="attached">The entry of one stream instead; null for a stream table.</param>
/// <param name="options">What the hardware supports.</param>
/// <param name="walksPages">Whether a walk goes on below the root of a page table.</param>
internal sealed class SmmuTableView(
    IMemoryReader memory, StreamRoot root, AttachedStream? attached, SmmuHardwareOptions options, bool walksPages)
    : ITableView
{
    /// <summary>Pages in a row that may be missing from a table before the rest is given up.</summary>
    public const int MaxMissingPages = 64;

    private const int PageBytes = 4096;

    /// <inheritdoc/>
    public IEnumerable<TableItem> Items(int maxItems = 1 << 20) => TableItems.TruncateWithFinding(
        Everything(), maxItems, Text($"there are more than {maxItems} items"));

    /// <inheritdoc/>
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

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    // A lister remembers the tables that it has met: each time that the list is asked for there is a new one.
    private IEnumerable<TableItem> Everything()
    {
        var lister = new Lister(memory, root, options);
        foreach (TableItem item in attached is null ? lister.Streams() : lister.Attached(attached))
        {
            yield return item;
        }
    }

    private sealed class Lister(IMemoryReader memory, StreamRoot root, SmmuHardwareOptions options)
    {
        private readonly byte[] _page = new byte[PageBytes];
        private readonly Dictionary<ulong, string> _tables = [];
        private readonly Dictionary<(ulong Table, ulong Format, int Bits), List<TableItem>> _contexts = [];

        public IEnumerable<TableItem> Streams()
        {
            if (!root.IsTwoLevel)
            {
                _tables[root.Table] = "stream table";
                return Entries(
                    root.Table, 1L << root.Log2Size, StreamTableEntry.Layout, null, null,
                    (number, address, words) => Stream((uint)number, address, words));
            }

            _tables[root.Table] = "first level of the stream table";
            long count = 1L << Math.Max(0, root.Log2Size - root.Split);
            return Entries(
                root.Table, count, L1StreamDescriptor.Layout, null, null,
                (number, address, words) => Leaf((ulong)number, address, words));
        }

        public IEnumerable<TableItem> Attached(AttachedStream attached)
        {
            ReadOnlySpan<ulong> ste = attached.Entry;
            ulong table = ste.GetAddress(StreamTableEntry.S1ContextPtr);
            SmmuFault fault = SmmuRules.CheckStreamEntry(options, ste);
            return fault.IsFault
                ? [Finding(StreamTableEntry.Layout.Id, table, attached.Entry, null, $"{fault.Event}: {fault.Reason}") with
                    { Requester = attached.Stream }]
                : Contexts(
                    attached.Stream,
                    table,
                    attached.Entry,
                    table,
                    ste.Get(StreamTableEntry.S1Fmt),
                    (int)ste.Get(StreamTableEntry.S1CDMax));
        }

        private static TableItem Finding(
            string structure, ulong address, IReadOnlyList<ulong> words, string? field, string text) => new()
        {
            Kind = TableItemKind.Finding,
            Structure = structure,
            Address = address,
            Words = words,
            Field = field,
            Text = text,
        };

        private static IEnumerable<TableItem> Check(Layout layout, ulong address, ulong[] words) =>
            layout.Check(words).Select(v => Finding(layout.Id, address, words, v.Field, v.Message));

        // Every entry of a table that is not all zero, read by pages.
        private IEnumerable<TableItem> Entries(
            ulong table,
            long count,
            Layout layout,
            RequesterId? requester,
            Func<long, Pasid?>? pasid,
            Func<long, ulong, ulong[], IEnumerable<TableItem>> read)
        {
            int bytes = layout.Bytes;
            int missing = 0;
            for (long first = 0; first < count;)
            {
                ulong start = table + ((ulong)first * (ulong)bytes);
                int length = (int)Math.Min(
                    PageBytes - (long)(start & (PageBytes - 1)), (count - first) * bytes);
                int entries = Math.Max(1, length / bytes);
                if (start < table || !memory.IsBacked(start, length))
                {
                    if (missing++ == 0)
                    {
                        yield return Finding(layout.Id, start, [], null, "no memory is there") with
                        {
                            Requester = requester,
                            Pasid = pasid?.Invoke(first),
                        };
                    }

                    if (missing >= MaxMissingPages || start < table)
                    {
                        yield break;
                    }

                    first += entries;
                    continue;
                }

                missing = 0;
                memory.Read(start, _page.AsSpan(0, length));
                if (_page.AsSpan(0, length).IndexOfAnyExcept((byte)0) < 0)
                {
                    first += entries;
                    continue;
                }

                // The buffer is used again by the tables below.
                byte[] copy = _page.AsSpan(0, length).ToArray();
                for (int entry = 0; entry < entries; entry++, first++)
                {
                    var words = new ulong[layout.Words];
                    for (int word = 0; word < words.Length; word++)
                    {
                        words[word] = BinaryPrimitives.ReadUInt64LittleEndian(copy.AsSpan((entry * bytes) + (word * 8)));
                    }

                    if (words.AsSpan().IndexOfAnyExcept(0UL) < 0)
                    {
                        continue;
                    }

                    foreach (TableItem item in read(first, start + (ulong)(entry * bytes), words))
                    {
                        yield return item;
                    }
                }
            }
        }

        // Whether a table may be followed: it was met nowhere else.
        private TableItem? Enter(Layout from, ulong address, ulong[] words, Field field, ulong table, string kind)
        {
            if (!memory.IsBacked(table, 8))
            {
                return Finding(from.Id, address, words, field.Mnemonic, Text($"0x{table:x} is outside of memory"));
            }

            return _tables.TryAdd(table, kind)
                ? null
                : Finding(
                    from.Id, address, words, field.Mnemonic, Text($"0x{table:x} is a {_tables[table]} already: not followed"));
        }

        private IEnumerable<TableItem> Leaf(ulong number, ulong address, ulong[] words)
        {
            Layout layout = L1StreamDescriptor.Layout;
            ReadOnlySpan<ulong> descriptor = words;
            int span = (int)descriptor.Get(L1StreamDescriptor.Span);
            ulong table = descriptor.GetAddress(L1StreamDescriptor.L2Ptr);
            yield return new TableItem
            {
                Kind = TableItemKind.Directory,
                Structure = layout.Id,
                Address = address,
                Words = words,
                Text = span == 0
                    ? "invalid"
                    : Text($"StreamIDs from 0x{number << root.Split:x}, Span {span}, leaf 0x{table:x}"),
            };
            if (span == 0)
            {
                yield break;
            }

            foreach (TableItem item in Check(layout, address, words))
            {
                yield return item;
            }

            if (span > root.Split + 1)
            {
                yield return Finding(
                    layout.Id, address, words, nameof(L1StreamDescriptor.Span),
                    Text($"is {span}, the limit is SPLIT + 1 = {root.Split + 1}: C_BAD_STREAMID"));
                yield break;
            }

            if (Enter(layout, address, words, L1StreamDescriptor.L2Ptr, table, "leaf of the stream table") is { } wrong)
            {
                yield return wrong;
                yield break;
            }

            foreach (TableItem item in Entries(
                table, 1L << (span - 1), StreamTableEntry.Layout, null, null,
                (index, at, ste) => Stream((uint)((number << root.Split) + (ulong)index), at, ste)))
            {
                yield return item;
            }
        }

        private IEnumerable<TableItem> Stream(uint sid, ulong address, ulong[] words)
        {
            var requester = new RequesterId(sid);
            ReadOnlySpan<ulong> ste = words;
            ulong config = ste.Get(StreamTableEntry.Config);
            bool isValid = ste.Get(StreamTableEntry.V) != 0;
            SmmuFault fault = SmmuRules.CheckStreamEntry(options, ste);
            int bits = (int)ste.Get(StreamTableEntry.S1CDMax);
            ulong format = ste.Get(StreamTableEntry.S1Fmt);
            ulong table = ste.GetAddress(StreamTableEntry.S1ContextPtr);
            yield return new TableItem
            {
                Kind = TableItemKind.Device,
                Structure = StreamTableEntry.Layout.Id,
                Address = address,
                Words = words,
                Requester = requester,
                Text = !isValid ? "invalid" : config switch
                {
                    < StreamTableEntry.ConfigBypass => "abort",
                    StreamTableEntry.ConfigBypass => "bypass",
                    StreamTableEntry.ConfigStage2 => "stage 2",
                    StreamTableEntry.ConfigStage1 => Text($"stage 1, {bits} PASID bits, contexts at 0x{table:x}"),
                    _ => Text($"stages 1 and 2, {bits} PASID bits, contexts at 0x{table:x}"),
                },
            };
            if (!isValid)
            {
                yield break;
            }

            foreach (TableItem item in Check(StreamTableEntry.Layout, address, words))
            {
                yield return item with { Requester = requester };
            }

            if (fault.IsFault)
            {
                yield return Finding(
                    StreamTableEntry.Layout.Id, address, words, null, $"{fault.Event}: {fault.Reason}") with
                {
                    Requester = requester,
                };
                yield break;
            }

            if (config == StreamTableEntry.ConfigNested)
            {
                // Addresses of these tables are intermediate ones; a walk translates them.
                yield return Finding(
                    StreamTableEntry.Layout.Id, address, words, nameof(StreamTableEntry.S1ContextPtr),
                    "is an intermediate address: the contexts are not listed") with
                {
                    Requester = requester,
                };
                yield break;
            }

            if (config != StreamTableEntry.ConfigStage1)
            {
                yield break;
            }

            foreach (TableItem item in Contexts(requester, address, words, table, format, bits))
            {
                yield return item;
            }
        }

        private IEnumerable<TableItem> Contexts(
            RequesterId? requester, ulong address, ulong[] words, ulong table, ulong format, int bits)
        {
            bool isLinear = format == StreamTableEntry.S1FmtLinear || bits == 0;
            var key = (table, isLinear ? StreamTableEntry.S1FmtLinear : format, bits);
            if (_contexts.TryGetValue(key, out List<TableItem>? known))
            {
                foreach (TableItem item in known)
                {
                    yield return item with { Requester = requester };
                }

                yield break;
            }

            if (Enter(
                StreamTableEntry.Layout, address, words, StreamTableEntry.S1ContextPtr, table,
                "table of context descriptors") is { } wrong)
            {
                yield return wrong with { Requester = requester };
                yield break;
            }

            _contexts[key] = known = [];
            int leafBits = format == StreamTableEntry.S1Fmt64KLeaf ? 10 : 6;
            IEnumerable<TableItem> items = isLinear
                ? Entries(
                    table, 1L << bits, ContextDescriptor.Layout, requester, n => new Pasid((uint)n),
                    (number, at, cd) => Context(requester, (uint)number, at, cd, words))
                : Entries(
                    table, 1L << Math.Max(0, bits - leafBits), L1ContextDescriptor.Layout, requester, null,
                    (number, at, link) => ContextLeaf(requester, (uint)number, leafBits, at, link, words));
            foreach (TableItem item in items)
            {
                known.Add(item);
                yield return item;
            }
        }

        private IEnumerable<TableItem> ContextLeaf(
            RequesterId? requester, uint number, int leafBits, ulong address, ulong[] words, ulong[] ste)
        {
            Layout layout = L1ContextDescriptor.Layout;
            ReadOnlySpan<ulong> descriptor = words;
            bool isValid = descriptor.Get(L1ContextDescriptor.V) != 0;
            ulong table = descriptor.GetAddress(L1ContextDescriptor.L2Ptr);
            yield return new TableItem
            {
                Kind = TableItemKind.Directory,
                Structure = layout.Id,
                Address = address,
                Words = words,
                Requester = requester,
                Text = isValid ? Text($"PASIDs from 0x{number << leafBits:x}, leaf 0x{table:x}") : "invalid",
            };
            if (!isValid)
            {
                yield break;
            }

            foreach (TableItem item in Check(layout, address, words))
            {
                yield return item with { Requester = requester };
            }

            if (Enter(layout, address, words, L1ContextDescriptor.L2Ptr, table, "leaf of context descriptors") is { } wrong)
            {
                yield return wrong with { Requester = requester };
                yield break;
            }

            uint first = number << leafBits;
            foreach (TableItem item in Entries(
                table, 1L << leafBits, ContextDescriptor.Layout, requester, n => new Pasid(first + (uint)n),
                (index, at, cd) => Context(requester, first + (uint)index, at, cd, ste)))
            {
                yield return item;
            }
        }

        private IEnumerable<TableItem> Context(
            RequesterId? requester, uint ssid, ulong address, ulong[] words, ulong[] ste)
        {
            var pasid = new Pasid(ssid);
            ReadOnlySpan<ulong> cd = words;
            bool isValid = cd.Get(ContextDescriptor.V) != 0;
            bool isWalked = cd.Get(ContextDescriptor.EPD0) == 0;
            ulong table = cd.GetAddress(ContextDescriptor.TTB0);
            yield return new TableItem
            {
                Kind = TableItemKind.Pasid,
                Structure = ContextDescriptor.Layout.Id,
                Address = address,
                Words = words,
                Requester = requester,
                Pasid = pasid,
                Text = !isValid
                    ? "invalid"
                    : isWalked
                        ? Text($"ASID {cd.Get(ContextDescriptor.ASID)}, page table 0x{table:x}")
                        : Text($"ASID {cd.Get(ContextDescriptor.ASID)}, not walked (EPD0)"),
            };
            if (!isValid)
            {
                yield break;
            }

            foreach (TableItem item in Check(ContextDescriptor.Layout, address, words))
            {
                yield return item with { Requester = requester, Pasid = pasid };
            }

            SmmuFault fault = SmmuRules.CheckContext(options, ste, words);
            if (fault.IsFault)
            {
                yield return Finding(
                    ContextDescriptor.Layout.Id, address, words, null, $"{fault.Event}: {fault.Reason}") with
                {
                    Requester = requester,
                    Pasid = pasid,
                };
            }
            else if (isWalked && !memory.IsBacked(table, 8))
            {
                yield return Finding(
                    ContextDescriptor.Layout.Id, address, words, nameof(ContextDescriptor.TTB0),
                    Text($"0x{table:x} is outside of memory")) with
                {
                    Requester = requester,
                    Pasid = pasid,
                };
            }
        }
    }
}
