// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Tests.Tables;

public sealed class TwoLevelTableTests
{
    // 2^10 entries of 32 bytes in leaves of 128.
    private static readonly TableGeometry s_shape = new(10, 32, 7, 64, 8192, 4096);
    private readonly ModelMemory _memory = new();
    private readonly List<MemoryEvent> _events = [];
    public TwoLevelTableTests() => _memory.Changed += _events.Add;

    [Fact]
    public void D3_a_leaf_is_complete_and_visible_before_one_store_links_it()
    {
        using TwoLevelTable<OddLink> table = Create(s_shape);
        Assert.Equal(0UL, table.Find(0x3FF));
        Assert.Equal(0UL, table.Root & 8191);
        _events.Clear();

        Assert.True(table.AddLeaf(0x3FF, [1, 0, 3, 0]).IsOk);

        ulong leaf = _events[0].Address;
        Assert.Equal(leaf + (127 * 32), table.Find(0x3FF));
        Assert.Equal(
            [
                (MemoryEventKind.Allocate, leaf, 4096, 0UL),
                (MemoryEventKind.Store, leaf + 0xFE0, 8, 1UL),
                (MemoryEventKind.Store, leaf + 0xFF0, 8, 3UL),
                (MemoryEventKind.Flush, leaf, 4096, 0UL),
                (MemoryEventKind.Barrier, 0UL, 0, 0UL),
                (MemoryEventKind.Store, table.Root + (7 * 8), 8, leaf | 5),
                (MemoryEventKind.Flush, table.Root + (7 * 8), 8, 0UL),
            ],
            _events.Select(e => (e.Kind, e.Address, e.Bytes, e.Value)));
        Assert.Equal((1, 4096L + 4096), (table.Leaves, table.Bytes));
    }

    [Fact]
    public void Entries_lie_where_their_index_says_and_states_are_their_own()
    {
        using TwoLevelTable<OddLink> table = Create(s_shape);
        Assert.True(table.AddLeaf(0x100, []).IsOk);
        Assert.True(table.AddLeaf(0x85, []).IsOk);

        Assert.Equal(table.Find(0x100) + 32, table.Find(0x101));
        Assert.Equal(table.Find(0x80) + (5 * 32), table.Find(0x85));
        table.State(0x85) = 7;
        Assert.Equal((0u, 7u, 0u), (table.State(0x84), table.State(0x85), table.State(0x105)));
        Assert.Throws<IndexOutOfRangeException>(() => table.Find(0x400));
    }

    [Fact]
    public void A_linear_table_has_all_entries_and_no_leaves()
    {
        TwoLevelTable<OddLink> table = Create(new TableGeometry(4, 64, 7, 1024, IsLinear: true));

        Assert.Equal(table.Root + (15 * 64), table.Find(15));
        Assert.Equal((0u, 0, 4096L), (table.State(15), table.Leaves, table.Bytes));
        table.Dispose();
        Assert.Equal(0, _memory.AllocatedBytes);
    }

    [Fact]
    public void D8_without_memory_nothing_changes()
    {
        var small = new ModelMemory(capacityBytes: 1 << 16);
        using TwoLevelTable<OddLink> table = TwoLevelTable<OddLink>.Create(small, s_shape).Value!;
        while (small.AllocatePages(4096).IsOk)
        {
        }

        Assert.Equal(Errno.ENOMEM, table.AddLeaf(0, [1]).Errno);
        Assert.Equal((0UL, 0UL, 0), (table.Find(0), small.ReadQword(table.Root), table.Leaves));
        Assert.Equal(Errno.ENOMEM, TwoLevelTable<OddLink>.Create(small, s_shape).Errno);
    }

    [Fact]
    public void What_is_freed_is_not_read_from_memory()
    {
        TwoLevelTable<OddLink> table = Create(s_shape);
        Assert.True(table.AddLeaf(0, []).IsOk);
        Assert.True(table.AddLeaf(0x200, []).IsOk);
        _memory.WriteQword(table.Root, 0);
        _memory.WriteQword(table.Root + 32, 0xDEAD_0005);

        table.Dispose();
        table.Dispose();

        Assert.Equal(0, _memory.AllocatedBytes);
        Assert.Throws<ObjectDisposedException>(() => table.Find(0));
    }

    [Fact]
    public void A_path_that_was_not_confirmed_is_remembered_for_its_leaf()
    {
        using TwoLevelTable<OddLink> table = Create(s_shape);
        Assert.True(table.AddLeaf(0, []).IsOk);

        Assert.False(table.Confirm(0, OpResult.Refuse(Errno.ETIMEDOUT, "no answer")).IsOk);
        Assert.True(table.IsUnconfirmed(127));
        Assert.False(table.IsUnconfirmed(128));
        Assert.True(table.Confirm(5, OpResult.Ok).IsOk);
        Assert.False(table.IsUnconfirmed(0));
    }

    private TwoLevelTable<OddLink> Create(in TableGeometry shape) =>
        TwoLevelTable<OddLink>.Create(_memory, shape).Value!;

    internal readonly struct OddLink : ITableLink
    {
        public static ulong Encode(ulong leaf) => leaf | 5;
    }
}
