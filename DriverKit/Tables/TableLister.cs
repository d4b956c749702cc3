// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;

namespace PasidFramework.DriverKit.Tables;

/// <summary>
/// Lists tables of any depth as <see cref="ITableView.Items"/> promises, whatever is in memory: it never throws, ends,
/// and remembers no more than the tables that it has walked through. What the tables are its levels say.
/// </summary>
/// <remarks>
/// <para>Entries that are all zero are not listed. A table is known by the address of its first entry. It is not
/// followed, and that is a finding, if its first entry is no memory; if it overlaps a table on the way to it (a loop);
/// if it was met as another kind, with another number of entries, or, where its level is exclusive, from another entry;
/// or if more tables were met than items are asked for. Tables that may be shared are listed for each entry that leads
/// to them.</para>
/// <para>Where memory is missing within a table the first place of each hole is a finding; after
/// <see cref="MaxMissingPages"/> pages in a row the rest of the table is given up. Since zeros are no items and tables
/// may be shared, the words that are read are limited as well: a last finding says that the rest was not
/// read.</para>
/// </remarks>
public static class TableLister
{
    /// <summary>Pages in a row that may be missing from a table before the rest is given up.</summary>
    public const int MaxMissingPages = 64;

    private const int PageBytes = 4096;

    /// <summary>Lists a table and all that it leads to.</summary>
    /// <param name="memory">Where it is.</param>
    /// <param name="root">The table.</param>
    /// <param name="origin">Structure, address, words and field of what says where it is, for the finding that it is no
    /// memory.</param>
    /// <param name="maxItems">Most items, at least 1.</param>
    /// <returns>The items, read as they are asked for, anew each time.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="maxItems"/> is below 1.</exception>
    public static IEnumerable<TableItem> Items(
        IMemoryReader memory, TableReference root, TableItem origin, int maxItems)
    {
        ArgumentNullException.ThrowIfNull(memory);
        ArgumentNullException.ThrowIfNull(root);
        ArgumentNullException.ThrowIfNull(origin);
        return TruncateWithFinding(All(memory, root, origin, maxItems), maxItems);
    }

    /// <summary>Cuts a list: its first items, and a finding in place of the first one that is left out.</summary>
    /// <param name="items">The whole list, made as it is asked for.</param>
    /// <param name="maxItems">Most items, at least 1.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="maxItems"/> is below 1.</exception>
    public static IEnumerable<TableItem> TruncateWithFinding(IEnumerable<TableItem> items, int maxItems)
    {
        ArgumentNullException.ThrowIfNull(items);
        ArgumentOutOfRangeException.ThrowIfLessThan(maxItems, 1);
        return Truncate(items, maxItems);
    }

    // One item is held back: where another follows and only one more may be given, the finding takes its place.
    private static IEnumerable<TableItem> Truncate(IEnumerable<TableItem> items, int maxItems)
    {
        TableItem? held = null;
        int given = 0;
        foreach (TableItem item in items)
        {
            if (held is not null)
            {
                if (++given == maxItems)
                {
                    yield return new TableItem
                    {
                        Kind = TableItemKind.Finding,
                        Structure = held.Structure,
                        Address = held.Address,
                        Text = Text($"there is more than fits into {maxItems} items"),
                    };
                    yield break;
                }

                yield return held;
            }

            held = item;
        }

        if (held is not null)
        {
            yield return held;
        }
    }

    private static IEnumerable<TableItem> All(IMemoryReader memory, TableReference root, TableItem origin, int maxItems)
    {
        var walk = new Walk(memory, maxItems);
        if (walk.Refusal(root, origin.Address) is { } missing)
        {
            yield return origin with { Kind = TableItemKind.Finding, Text = missing };
            yield break;
        }

        walk.Enter(root);
        while (walk.Top is { } table)
        {
            if (table.Steps is { } steps && table.Current is { } current)
            {
                if (!steps.MoveNext())
                {
                    table.Steps = null;
                    continue;
                }

                EntryStep step = steps.Current;
                string? text = step.Text ?? (step.Table is { } next
                    ? walk.Refusal(next, current.Address)
                    : walk.Misfit(step.Address, step.Bytes));
                if (text is not null)
                {
                    yield return current with { Kind = TableItemKind.Finding, Field = step.Field, Text = text };
                }
                else if (step.Table is { } followed)
                {
                    walk.Enter(followed);
                }

                continue;
            }

            switch (table.Read(walk, out TableEntry? entry))
            {
                case ReadOutcome.End:
                    walk.Leave();
                    break;
                case ReadOutcome.Hole:
                    yield return table.ItemOf(entry!, "no memory is there") with { Kind = TableItemKind.Finding };
                    break;
                case ReadOutcome.Spent:
                    yield return table.ItemOf(
                        entry!, "so many entries are 0 or point to the same tables that the rest was not read")
                        with { Kind = TableItemKind.Finding };
                    yield break;
                case ReadOutcome.Entry:
                    EntryReading reading = table.Reference.Level.Read(entry!);
                    TableItem item = table.ItemOf(entry!, reading.Text);
                    yield return item;
                    table.Current = item;
                    table.Steps = reading.Steps.GetEnumerator();
                    if (reading.IsChecked)
                    {
                        foreach (Violation wrong in table.Reference.Level.Layout.Check(entry!.Words))
                        {
                            yield return item with
                            {
                                Kind = TableItemKind.Finding, Field = wrong.Field, Text = wrong.Message,
                            };
                        }
                    }

                    break;
            }
        }
    }

    private enum ReadOutcome
    {
        End,
        Entry,
        Hole,
        Spent,
    }

    /// <summary>The tables on the way to an entry, and all that were met.</summary>
    private sealed class Walk(IMemoryReader memory, int maxTables)
    {
        private readonly Stack<OpenTable> _path = [];
        private readonly Dictionary<ulong, (TableLevel Level, long Entries, ulong From)> _met = [];
        private long _wordsLeft = (1L << 20) + (64L * maxTables);
        public IMemoryReader Memory => memory;
        public OpenTable? Top => _path.TryPeek(out OpenTable? top) ? top : null;
        public bool Spend(long words) => (_wordsLeft -= words) >= 0;
        public void Enter(TableReference table) => _path.Push(new OpenTable(table));
        public void Leave() => _path.Pop();

        /// <summary>Why a table is not followed; null where it is, and then it is remembered.</summary>
        /// <param name="from">Address of the entry that leads to it.</param>
        public string? Refusal(TableReference table, ulong from)
        {
            ulong at = table.Address;
            TableLevel level = table.Level;
            if (table.Entries > 0 && !memory.IsBacked(at, level.Layout.Bytes))
            {
                return Text($"no memory for the {level.Name} at 0x{at:x}");
            }

            if (_path.Any(open => open.Overlaps(table)))
            {
                return Text($"0x{at:x} leads back to a table on the way here: a loop, not followed");
            }

            if (!_met.TryGetValue(at, out (TableLevel Level, long Entries, ulong From) met))
            {
                return _met.Count < maxTables && _met.TryAdd(at, (level, table.Entries, from))
                    ? null
                    : "too many tables to remember them all, not followed";
            }

            return met.Level.Name != level.Name
                ? Text($"0x{at:x} is a {met.Level.Name} as well, not followed")
                : met.Entries != table.Entries
                ? Text($"0x{at:x} is a {met.Level.Name} of {met.Entries} entries as well, not followed")
                : level.IsExclusive && met.From != from
                ? Text($"0x{at:x} is the {met.Level.Name} of the entry at 0x{met.From:x}, not followed")
                : null;
        }

        /// <summary>What is wrong with a page table that is not listed; null for nothing.</summary>
        public string? Misfit(ulong address, long bytes) => !memory.IsBacked(address, bytes)
            ? Text($"no memory for the page table at 0x{address:x}")
            : _met.TryGetValue(address, out (TableLevel Level, long Entries, ulong From) met)
            ? Text($"0x{address:x} is a {met.Level.Name} as well")
            : null;
    }

    /// <summary>A table that is being read, page by page.</summary>
    private sealed class OpenTable(TableReference reference)
    {
        private byte[]? _page;
        private long _next;
        private long _loadedEnd;
        private ulong _loadedAt;
        private int _missing;
        public TableReference Reference => reference;

        /// <summary>The entry whose steps are being taken.</summary>
        public TableItem? Current { get; set; }

        public IEnumerator<EntryStep>? Steps { get; set; }
        private Layout Layout => reference.Level.Layout;

        public bool Overlaps(TableReference other) =>
            other.Address <= LastByte(reference) && reference.Address <= LastByte(other);

        public TableItem ItemOf(TableEntry entry, string text) => new()
        {
            Kind = reference.Level.Kind,
            Structure = Layout.Id,
            Address = entry.Address,
            Words = entry.Words,
            Requester = entry.Requester,
            Pasid = reference.Level.Numbers == EntryNumber.Pasid && entry.Number is >= 0 and <= Pasid.MaxValue
                ? new Pasid((uint)entry.Number) : null,
            Text = text,
        };

        public ReadOutcome Read(Walk walk, out TableEntry? entry)
        {
            entry = null;
            while (_next < reference.Entries)
            {
                ulong at = reference.Address + ((ulong)_next * (ulong)Layout.Bytes);
                if (at < reference.Address)
                {
                    break;
                }

                if (_next >= _loadedEnd)
                {
                    ReadOutcome? missed = Load(walk, at, out long entries);
                    if (missed is not null)
                    {
                        entry = EntryAt(at, []);
                        _next += entries;
                        return missed.Value;
                    }

                    if (_missing >= MaxMissingPages)
                    {
                        break;
                    }

                    if (_loadedEnd <= _next)
                    {
                        _next += entries;
                        continue;
                    }
                }

                ReadOnlySpan<byte> bytes = _page.AsSpan((int)(at - _loadedAt), Layout.Bytes);
                if (bytes.IndexOfAnyExcept((byte)0) < 0)
                {
                    _next++;
                    continue;
                }

                var words = new ulong[Layout.Words];
                for (int i = 0; i < words.Length; i++)
                {
                    words[i] = BinaryPrimitives.ReadUInt64LittleEndian(bytes[(i * 8)..]);
                }

                entry = EntryAt(at, words);
                _next++;
                return ReadOutcome.Entry;
            }

            return ReadOutcome.End;
        }

        // A table that runs over the end of the address space ends there.
        private static ulong LastByte(TableReference table)
        {
            UInt128 last = table.Address + ((UInt128)table.Entries * (ulong)table.Level.Layout.Bytes) - 1;
            return last > ulong.MaxValue ? ulong.MaxValue : (ulong)last;
        }

        private TableEntry EntryAt(ulong at, ulong[] words)
        {
            long number = reference.First + _next;
            return new TableEntry(
                words,
                at,
                number,
                reference.Level.Numbers == EntryNumber.Requester ? new RequesterId((uint)number) : reference.Requester);
        }

        // The entries from here to the end of a page of memory, or of the table. None is loaded where there is nothing
        // to read: zeros, or a hole that was said already.
        private ReadOutcome? Load(Walk walk, ulong at, out long entries)
        {
            int length =
                (int)Math.Min(PageBytes - (long)(at & (PageBytes - 1)), (reference.Entries - _next) * Layout.Bytes);
            entries = Math.Max(1, length / Layout.Bytes);
            length = (int)entries * Layout.Bytes;
            if (!walk.Spend(length / 8))
            {
                return ReadOutcome.Spent;
            }

            if (!walk.Memory.IsBacked(at, length))
            {
                return _missing++ == 0 ? ReadOutcome.Hole : null;
            }

            _missing = 0;
            _page ??= new byte[PageBytes];
            Span<byte> page = _page.AsSpan(0, length);
            walk.Memory.Read(at, page);
            if (page.IndexOfAnyExcept((byte)0) >= 0)
            {
                _loadedAt = at;
                _loadedEnd = _next + entries;
            }

            return null;
        }
    }
}
