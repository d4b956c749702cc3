// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Tests.Tables;

/// <summary>What a table of any format does: when it calls its sync, and what a refusal leaves behind.</summary>
public sealed class PasidTableTests
{
    private static readonly Pasid s_one = new(1);
    private static readonly Pasid s_next = new(2);
    private readonly ModelMemory _memory = new();
    private readonly Recording _sync = new();

    [Fact]
    public void The_sync_hears_of_each_change_once()
    {
        using SmallTable table = Create();

        Assert.True(table.Set(s_one, new PasidTableEntry(0x1000, 7)).IsOk);
        Assert.True(table.Set(s_next, new PasidTableEntry(0x2000, 8)).IsOk);
        Assert.True(table.Quiet(s_one).IsOk);
        Assert.True(table.Clear(s_one).IsOk);
        Assert.True(table.Clear(s_next).IsOk);

        // A quiet entry that was confirmed leads to no translation, so only its configuration goes.
        Assert.Equal(["path 1", "entry 2", "entry 1", "tag 7", "entry 1", "entry 2", "tag 8"], _sync.Calls);
        Assert.Equal(0, table.Entries);
    }

    [Fact]
    public void A_quiet_entry_that_was_not_confirmed_is_invalidated_whole_by_its_removal()
    {
        using SmallTable table = Create();
        Assert.True(table.Set(s_one, new PasidTableEntry(0x1000, 7)).IsOk);
        _sync.Refused = "tag 7";
        Assert.Equal(Errno.ETIMEDOUT, table.Quiet(s_one).Errno);
        Assert.Equal(SmallTable.Silence, table.Word(s_one));
        _sync.Refused = null;
        _sync.Calls.Clear();

        Assert.True(table.Clear(s_one).IsOk);

        Assert.Equal(["entry 1", "tag 7"], _sync.Calls);
    }

    [Theory]
    [InlineData(true), InlineData(false)]
    public void C6_an_entry_that_was_not_confirmed_does_not_stay(bool inNewLeaf)
    {
        using SmallTable table = Create();
        if (!inNewLeaf)
        {
            Assert.True(table.Set(s_next, new PasidTableEntry(0x2000, 8)).IsOk);
        }

        _sync.Refused = inNewLeaf ? "path 1" : "entry 1";
        Assert.Equal(Errno.ETIMEDOUT, table.Set(s_one, new PasidTableEntry(0x1000, 7)).Errno);

        Assert.Equal((0UL, false), (table.Word(s_one), table.Has(s_one)));
        Assert.Equal(Errno.ENOENT, table.Clear(s_one).Errno);
        _sync.Refused = null;
        _sync.Calls.Clear();
        Assert.True(table.Set(s_one, new PasidTableEntry(0x1000, 7)).IsOk);

        // The path is confirmed first, where it was not.
        Assert.Equal(inNewLeaf ? ["path 1", "entry 1"] : ["entry 1"], _sync.Calls);
    }

    [Fact]
    public void D4_D7_what_is_taken_or_beyond_is_refused_and_changes_nothing()
    {
        using SmallTable table = Create();
        Assert.True(table.Set(s_one, new PasidTableEntry(0x1000, 7)).IsOk);
        Assert.True(table.Quiet(s_one).IsOk);
        long events = _memory.EventCount;

        Assert.Equal(Errno.EEXIST, table.Set(s_one, new PasidTableEntry(0x2000, 8)).Errno);
        Assert.Equal(Errno.EINVAL, table.Set(new Pasid(0x400), new PasidTableEntry(0x2000, 8)).Errno);
        Assert.Equal(Errno.EINVAL, table.Set(s_next, new PasidTableEntry(0x2001, 8)).Errno);
        Assert.Equal(Errno.ENOENT, table.Quiet(s_next).Errno);
        Assert.Equal(Errno.EINVAL, table.Clear(new Pasid(0x400)).Errno);
        Assert.Equal(events, _memory.EventCount);
    }

    [Fact]
    public void D12_a_format_without_quiet_entries_says_so_and_leaves_the_entry_alone()
    {
        using SmallTable table = Create(canQuiet: false);
        Assert.True(table.Set(s_one, new PasidTableEntry(0x1000, 7)).IsOk);

        Assert.False(((IPasidTable)table).CanQuiet);
        Assert.Equal(Errno.EOPNOTSUPP, table.Quiet(s_one).Errno);
        Assert.Equal(0x1001UL, table.Word(s_one));
    }

    private SmallTable Create(bool canQuiet = true) => new(_memory, _sync, canQuiet);

    // 10 bits, two words, leaves of 256.
    private sealed class SmallTable(IPhysicalMemory memory, IPasidTableSync sync, bool canQuiet)
        : PasidTable<TwoLevelTableTests.OddLink>(
            memory,
            TwoLevelTable<TwoLevelTableTests.OddLink>.Create(memory, new TableGeometry(10, 16, 8, 4096)).Value!,
            10,
            2,
            sync)
    {
        public const ulong Silence = 3;
        public override IReadOnlyDictionary<string, ulong> AttachParameters => new Dictionary<string, ulong>();
        public override bool CanQuiet => canQuiet;
        protected override ulong QuietWord => Silence;
        public ulong Word(Pasid pasid) => Memory.ReadQword(Table.Find(pasid.Value));

        protected override OpResult Check(Pasid pasid, in PasidTableEntry entry) => (entry.PageTableRoot & 0xFFF) == 0
            ? OpResult.Ok
            : OpResult.Refuse(Errno.EINVAL, "misaligned");

        protected override void Encode(Span<ulong> words, in PasidTableEntry entry)
        {
            words[0] = entry.PageTableRoot | 1;
            words[1] = entry.ArchId;
        }
    }

    private sealed class Recording : IPasidTableSync
    {
        public List<string> Calls { get; } = [];
        public string? Refused { get; set; }

        public OpResult ConfigurationChanged(Pasid pasid, bool leafOnly) =>
            Call($"{(leafOnly ? "entry" : "path")} {pasid.Value}");

        public OpResult TranslationsChanged(Pasid pasid, uint archId) => Call($"tag {archId}");

        private OpResult Call(string call)
        {
            Calls.Add(call);
            return call == Refused ? OpResult.Refuse(Errno.ETIMEDOUT, "no answer") : OpResult.Ok;
        }
    }
}
