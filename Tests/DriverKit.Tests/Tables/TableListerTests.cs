// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;
using PasidFramework.Records;

namespace PasidFramework.DriverKit.Tests.Tables;

/// <summary>A made-up format: an entry is a pointer to a page of entries; bit 0 valid, bit 1 a page table.</summary>
public sealed class TableListerTests
{
    private const ulong Base = 0x10_0000;

    private static readonly Layout s_node = new(
        "test/node",
        64,
        "here",
        [
            LayoutField.Value(new Field(0, 0, "V"), "valid"),
            LayoutField.Value(new Field(1, 1, "P"), "a page table"),
            LayoutField.Value(new Field(3, 2, "K"), "kind of the table"),
            LayoutField.Reserved(11, 4),
            LayoutField.Address(new Field(63, 12, "NEXT"), "next"),
        ]);

    private readonly byte[] _bytes = new byte[32 * 4096];
    private readonly MemoryImage _memory = new();
    public TableListerTests() => _memory.Add(Base, _bytes);

    [Fact]
    public void Items_come_in_the_order_of_the_walk_with_violations_before_what_an_entry_leads_to()
    {
        Put(0, 3, At(1) | 0x11);
        Put(0, 5, At(2) | 1);
        Put(1, 2, At(3) | 2);
        Put(2, 0, At(9) | 3);

        Assert.Equal(["3 leads", "3 RSVD[11:4]", "3 RSVD after", "2 ends", "5 leads", "0 page"], List(1000));
        TableItem[] items = [.. Items(1000)];
        Assert.Equal([new RequesterId(3), new RequesterId(5)], items.Where(i => i.Text == "leads")
            .Select(i => i.Requester!.Value));
        Assert.Equal([new Pasid(0x102), new Pasid(0)], items.Where(i => i.Pasid is not null)
            .Select(i => i.Pasid!.Value));
        Assert.Equal([At(2) | 1], items[4].Words);
        Assert.Equal(At(0) + 40, items[4].Address);
    }

    [Fact]
    public void Nothing_is_listed_of_a_table_of_zeros() => Assert.Empty(List(1));

    [Fact]
    public void A_root_that_is_no_memory_is_a_finding_of_what_names_it()
    {
        TableItem only = Assert.Single(TableLister.Items(_memory, Root() with { Address = 0x1000 }, Origin(0x1000), 5));

        Assert.Equal(("test/register", "ROOT", "no memory for the root at 0x1000"),
            (only.Structure, only.Field, only.Text));
        Assert.Equal(TableItemKind.Finding, only.Kind);
    }

    [Theory]
    [InlineData(0, "0x100000 leads back to a table on the way here: a loop, not followed")]
    [InlineData(99, "no memory for the node at 0x163000")]
    public void A_table_that_is_not_followed_is_a_finding_of_the_entry(int page, string text)
    {
        Put(0, 1, At(page) | 1);

        Assert.Equal(["1 leads", $"1 NEXT {text}"], List(1000));
    }

    [Fact]
    public void A_loop_is_found_in_the_middle_of_a_table_too()
    {
        Put(0, 1, At(4) | 4 | 1);
        Put(4, 2, At(5) | 1);

        Assert.Equal(
            ["1 leads", "2 leads", $"2 NEXT 0x{At(5):x} leads back to a table on the way here: a loop, not followed"],
            List(1000));
    }

    [Fact]
    public void A_table_of_one_kind_may_be_shared_and_one_of_two_kinds_or_sizes_may_not()
    {
        Put(0, 1, At(1) | 1);
        Put(0, 2, At(1) | 1);
        Put(0, 3, At(1) | 4 | 1);
        Put(0, 4, At(1) | 8 | 1);
        Put(0, 5, At(1) | 2);
        Put(1, 7, 2 | At(2));

        Assert.Equal(
            [
                "1 leads", "7 ends", "2 leads", "7 ends",
                "3 leads", $"3 NEXT 0x{At(1):x} is a node of 512 entries as well, not followed",
                "4 leads", $"4 NEXT 0x{At(1):x} is a node as well, not followed",
                "5 ends", $"5 NEXT 0x{At(1):x} is a node as well",
            ],
            List(1000));
    }

    [Fact]
    public void An_exclusive_table_belongs_to_the_first_entry()
    {
        Put(0, 1, At(1) | 12 | 1);
        Put(0, 2, At(1) | 12 | 1);
        Put(1, 7, 2 | At(2));

        Assert.Equal(
            ["1 leads", "7 ends", "2 leads",
                $"2 NEXT 0x{At(1):x} is the only of the entry at 0x{At(0) + 8:x}, not followed"],
            List(1000));
    }

    [Fact]
    public void Holes_are_found_once_each_and_what_lies_behind_is_listed_until_too_much_is_missing()
    {
        var memory = new MemoryImage();
        int[] pages = [0, 3, 4 + TableLister.MaxMissingPages - 1, 4 + (2 * TableLister.MaxMissingPages)];
        foreach (int page in pages)
        {
            var bytes = new byte[4096];
            BinaryPrimitives.WriteUInt64LittleEndian(bytes, 2 | Base);
            memory.Add(Base + ((ulong)page * 4096), bytes);
        }

        TableItem[] items = [.. TableLister.Items(memory, Root() with { Entries = 512 * 1000 }, Origin(0), 1000)];

        Assert.Equal(
            pages[..3].Select(page => (ulong)page),
            items.Where(i => i.Text == "ends").Select(i => (i.Address - Base) / 4096));
        Assert.Equal(
            [1UL, 4UL, (ulong)pages[2] + 1],
            items.Where(i => i.Text == "no memory is there").Select(i => (i.Address - Base) / 4096));
    }

    [Fact]
    public void A_table_that_runs_over_the_end_of_the_address_space_ends_there()
    {
        var memory = new MemoryImage();
        memory.Add(ulong.MaxValue - 4095, PageOf(2 | Base));

        Assert.Single(
            TableLister.Items(memory, Root() with { Address = ulong.MaxValue - 4095, Entries = long.MaxValue / 8 },
                Origin(0), 9),
            i => i.Text == "ends");
    }

    [Fact]
    public void A_list_of_nothing_ends_too()
    {
        for (int i = 0; i < 512; i++)
        {
            Put(0, i, At(1) | 1);
            Put(1, i, At(2) | 1);
            Put(2, i, At(3) | 1);
        }

        // 2^27 tables of zeros would be read.
        TableItem last = Items(1 << 20).Last();

        Assert.Contains("the rest was not read", last.Text, StringComparison.Ordinal);
        Assert.Equal(TableItemKind.Finding, last.Kind);
    }

    [Theory]
    [InlineData(1), InlineData(3)]
    public void No_more_tables_are_remembered_than_items_are_asked_for(int most)
    {
        for (int i = 0; i < 4; i++)
        {
            Put(i, 0, At(i + 1) | 1);
        }

        TableItem[] items = [.. Items(most)];

        Assert.Equal(most, items.Length);
        Assert.Contains("there is more than fits", items[^1].Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Any_content_ends_within_the_limit_and_names_only_memory_that_is_there()
    {
        for (int seed = 0; seed < 300; seed++)
        {
            var random = new Random(seed);
            Array.Clear(_bytes);
            for (int i = 0; i < 200; i++)
            {
                ulong value = random.Next(4) == 0
                    ? (ulong)random.NextInt64()
                    : At(random.Next(34)) | (uint)random.Next(16);
                Put(random.Next(32), random.Next(random.Next(2) == 0 ? 4 : 512), value);
            }

            int most = random.Next(1, 3000);
            TableItem[] items = [.. Items(most)];

            Assert.InRange(items.Length, 0, most);
            Assert.All(items.Where(i => i.Words.Count > 0), i =>
                Assert.Equal(_memory.ReadQword(i.Address), i.Words[0]));
        }
    }

    [Theory]
    [InlineData(0, 1, ""), InlineData(1, 1, "0"), InlineData(2, 1, "more at 0"), InlineData(3, 2, "0, more at 1")]
    [InlineData(3, 3, "0, 1, 2"), InlineData(9, 3, "0, 1, more at 2")]
    public void A_list_is_cut_at_the_first_item_that_does_not_fit(int items, int most, string expected)
    {
        int made = 0;
        IEnumerable<TableItem> Endless()
        {
            for (; made < items; made++)
            {
                yield return Origin((ulong)made) with { Kind = TableItemKind.Pasid, Words = [1], Text = $"{made}" };
            }
        }

        TableItem[] cut = [.. TableLister.TruncateWithFinding(Endless(), most)];

        Assert.Equal(expected, string.Join(", ", cut.Select(
            i => i.Kind == TableItemKind.Finding ? $"more at {i.Address}" : i.Text)));
        Assert.InRange(made, 0, most + 1);
        Assert.All(cut.Where(i => i.Kind == TableItemKind.Finding), i => Assert.Empty(i.Words));
    }

    [Fact]
    public void A_list_of_nothing_is_misuse_before_it_is_asked_for() => Assert.Throws<ArgumentOutOfRangeException>(
        () => { _ = TableLister.Items(_memory, Root(), Origin(0), 0); });

    private static byte[] PageOf(ulong word)
    {
        var page = new byte[4096];
        BinaryPrimitives.WriteUInt64LittleEndian(page, word);
        return page;
    }

    private static TableItem Origin(ulong address) => new()
    {
        Kind = TableItemKind.Finding,
        Structure = "test/register",
        Address = address,
        Field = "ROOT",
        Text = string.Empty,
    };

    private static ulong At(int page) => Base + ((ulong)page * 4096);

    private static TableReference Root() => new(
        new TableLevel(s_node, "root", TableItemKind.Device, Read) { Numbers = EntryNumber.Requester }, Base, 512);

    // K: 0 a table of 512, 1 of 1024, 2 of another kind, 3 exclusive.
    private static EntryReading Read(TableEntry entry)
    {
        ulong word = entry.Words[0];
        ulong next = word & ~0xFFFUL;
        var node = new TableLevel(s_node, "node", TableItemKind.Pasid, Read) { Numbers = EntryNumber.Pasid };
        (TableLevel level, long count) = (word >> 2 & 3) switch
        {
            0 => (node, 512),
            1 => (node, 1024),
            2 => (node with { Name = "other" }, 512L),
            _ => (node with { Name = "only", IsExclusive = true }, 512),
        };
        return new EntryReading((word & 3) switch { 1 => "leads", 2 => "ends", 3 => "page", _ => "zero" }, Steps());

        IEnumerable<EntryStep> Steps()
        {
            if ((word & 0xFF0) != 0)
            {
                yield return EntryStep.Finding("RSVD", "after");
            }

            if ((word & 1) != 0 && (word & 2) == 0)
            {
                yield return EntryStep.Follow(
                    "NEXT", new TableReference(level, next, count, (word & 0xFF0) != 0 ? 0x100 : 0, entry.Requester));
            }
            else if ((word & 3) == 2)
            {
                yield return EntryStep.PageTable("NEXT", next, 8);
            }
        }
    }

    private void Put(int page, int index, ulong value) =>
        BinaryPrimitives.WriteUInt64LittleEndian(_bytes.AsSpan((page * 4096) + (index * 8)), value);

    private IEnumerable<TableItem> Items(int most) => TableLister.Items(_memory, Root(), Origin(0), most);

    private string[] List(int most) =>
    [
        .. Items(most).Select(i => i.Kind != TableItemKind.Finding ? $"{i.Address % 4096 / 8} {i.Text}"
            : i.Text.StartsWith("reserved", StringComparison.Ordinal)
                || i.Text.StartsWith("are ", StringComparison.Ordinal)
                ? $"{i.Address % 4096 / 8} {i.Field}"
            : $"{i.Address % 4096 / 8} {i.Field} {i.Text}"),
    ];
}
