// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Tests.Emulation;

public sealed class ModelMemoryTests
{
    [Fact]
    public void Immediate_and_coherent_a_store_is_seen_at_once()
    {
        var memory = new ModelMemory();
        ulong at = memory.AllocatePages(4096).Value;

        Assert.Equal(0UL, memory.Device.ReadQword(at));
        memory.WriteQword(at, 5);
        Assert.Equal(5UL, memory.Device.ReadQword(at));
        Assert.Equal(0, memory.PendingStores);
    }

    [Fact]
    public void Without_snooping_a_walker_sees_flushed_lines_as_they_were_then()
    {
        var memory = new ModelMemory(isCoherent: false);
        ulong at = memory.AllocatePages(4096).Value;

        Assert.Equal(ModelMemory.Poison, memory.Device.ReadQword(at));
        memory.WriteQword(at, 1);
        memory.WriteQword(at + 56, 2);
        memory.WriteQword(at + 64, 3);
        Assert.Equal(ModelMemory.Poison, memory.Device.ReadQword(at));

        memory.Flush(at + 8, 1);
        memory.WriteQword(at, 4);
        Assert.Equal(1UL, memory.Device.ReadQword(at));
        Assert.Equal(0UL, memory.Device.ReadQword(at + 8));
        Assert.Equal(2UL, memory.Device.ReadQword(at + 56));
        Assert.Equal(ModelMemory.Poison, memory.Device.ReadQword(at + 64));
        Assert.Equal(4UL, memory.ReadQword(at));
    }

    [Theory]
    [InlineData(true), InlineData(false)]
    public void Weakly_ordered_stores_are_certain_only_after_a_barrier(bool isCoherent)
    {
        var memory = new ModelMemory(isCoherent, StoreOrder.Weak);
        ulong at = memory.AllocatePages(4096).Value;
        memory.Flush(at, 4096);
        Assert.Equal(ModelMemory.Poison, memory.Device.ReadQword(at));
        memory.StoreBarrier();
        Assert.Equal(0UL, memory.Device.ReadQword(at));

        memory.WriteQword(at, 1);
        memory.WriteQword(at + 8, 2);
        memory.Flush(at, 16);
        Assert.Equal((0UL, 0UL), (memory.Device.ReadQword(at), memory.Device.ReadQword(at + 8)));
        var seen = new HashSet<(ulong, ulong)>();
        Assert.Equal(4, memory.ForEachVisible(
            () => seen.Add((memory.Device.ReadQword(at), memory.Device.ReadQword(at + 8)))));
        Assert.Equal([(0UL, 0UL), (0UL, 2UL), (1UL, 0UL), (1UL, 2UL)], seen.Order());
        Assert.Equal((0UL, 0UL), (memory.Device.ReadQword(at), memory.Device.ReadQword(at + 8)));

        memory.StoreBarrier();
        Assert.Equal((1UL, 2UL), (memory.Device.ReadQword(at), memory.Device.ReadQword(at + 8)));
        Assert.Equal(1, memory.ForEachVisible(() => { }));
    }

    [Fact]
    public void Many_pending_stores_are_shown_in_prefixes_suffixes_and_one_by_one()
    {
        var memory = new ModelMemory(order: StoreOrder.Weak);
        ulong at = memory.AllocatePages(4096).Value;
        memory.StoreBarrier();
        for (ulong i = 0; i < 8; i++)
        {
            memory.WriteQword(at + (i * 8), 1);
        }

        var seen = new HashSet<int>();
        memory.ForEachVisible(() => seen.Add(
            Enumerable.Range(0, 8).Sum(i => (int)memory.Device.ReadQword(at + ((ulong)i * 8)) << i)));

        for (int i = 0; i < 8; i++)
        {
            Assert.Contains(1 << i, seen);
            Assert.Contains(0xFF & ~(1 << i), seen);
            Assert.Contains((1 << i) - 1, seen);
            Assert.Contains(0xFF & (0xFF << i), seen);
        }
    }

    [Fact]
    public void A_window_holds_every_value_since_the_last_completed_invalidation()
    {
        var memory = new ModelMemory();
        ulong at = memory.AllocatePages(4096).Value;
        memory.WriteQword(at, 1);
        memory.WriteQword(at + 8, 2);
        memory.Settle();

        Assert.Equal(1, memory.ForEachTornRead(at, 2, words => Assert.Equal([1, 2], words.ToArray())));
        memory.WriteQword(at, 3);
        memory.WriteQword(at, 4);
        memory.WriteQword(at + 8, 5);
        var seen = new HashSet<(ulong, ulong)>();
        Assert.Equal(6, memory.ForEachTornRead(at, 2, words => seen.Add((words[0], words[1]))));
        Assert.Equal([(1UL, 2UL), (1UL, 5UL), (3UL, 2UL), (3UL, 5UL), (4UL, 2UL), (4UL, 5UL)], seen.Order());
    }

    [Fact]
    public void A_window_ends_for_the_words_whose_walks_have_ended_and_for_no_other()
    {
        var memory = new ModelMemory(order: StoreOrder.Weak);
        ulong at = memory.AllocatePages(4096).Value;
        memory.StoreBarrier();
        memory.WriteQword(at, 1);
        memory.WriteQword(at + 8, 1);
        memory.StoreBarrier();
        memory.WriteQword(at, 2);

        memory.Settle(at, 8);

        // The word that was settled has what it holds and what is on its way; the other one its whole window.
        var seen = new HashSet<(ulong, ulong)>();
        Assert.Equal(4, memory.ForEachTornRead(at, 2, words => seen.Add((words[0], words[1]))));
        Assert.Equal([(1UL, 0UL), (1UL, 1UL), (2UL, 0UL), (2UL, 1UL)], seen.Order());
    }

    [Fact]
    public void A_walker_that_reads_freed_or_foreign_memory_is_noticed()
    {
        var memory = new ModelMemory();
        ulong at = memory.AllocatePages(4096).Value;
        memory.FreePages(at, 4096);

        Assert.Equal(0UL, memory.Device.ReadQword(at + 8));
        Assert.False(memory.Device.IsBacked(at - 4096, 8));
        Assert.Equal([new StrayRead(at + 8, true), new StrayRead(at - 4096, false)], memory.StrayReads);
        Assert.Throws<ArgumentException>(() => memory.WriteQword(at, 1));
        Assert.False(memory.IsBacked(at, 8));
    }

    [Fact]
    public void What_a_device_writes_is_seen_on_both_sides_and_not_announced()
    {
        var memory = new ModelMemory(isCoherent: false, StoreOrder.Weak);
        ulong at = memory.AllocatePages(4096).Value;
        memory.Flush(at, 4096);
        memory.StoreBarrier();
        var events = new List<MemoryEvent>();
        memory.Changed += events.Add;

        memory.Device.WriteDword(at + 4, 0x11223344);
        memory.Device.Write(at + 16, [1, 2, 3]);

        Assert.Equal(0x1122334400000000UL, memory.ReadQword(at));
        Assert.Equal(0x1122334400000000UL, memory.Device.ReadQword(at));
        Assert.Equal(0x030201UL, memory.Device.ReadQword(at + 16));
        Assert.Empty(events);
    }

    [Fact]
    public void A_walker_that_sets_flags_never_brings_back_what_the_cpu_took_away()
    {
        var memory = new ModelMemory(order: StoreOrder.Weak);
        ulong at = memory.AllocatePages(4096).Value;
        memory.WriteQword(at, 0x1001);
        memory.StoreBarrier();

        Assert.True(memory.TryUpdateByDevice(at, 0x1001, 0x1021));
        Assert.Equal((0x1021UL, 0x1021UL), (memory.ReadQword(at), memory.Device.ReadQword(at)));
        Assert.False(memory.TryUpdateByDevice(at, 0x1001, 0x1041));

        // The CPU unmaps, the walker still sees the old entry and sets a flag in it: the unmap wins.
        memory.WriteQword(at, 0);
        Assert.True(memory.TryUpdateByDevice(at, 0x1021, 0x1061));
        Assert.Equal((0UL, 0x1061UL), (memory.ReadQword(at), memory.Device.ReadQword(at)));
        memory.StoreBarrier();
        Assert.Equal((0UL, 0UL), (memory.ReadQword(at), memory.Device.ReadQword(at)));
        memory.FreePages(at, 4096);
        Assert.False(memory.TryUpdateByDevice(at, 0, 1));
    }

    [Fact]
    public void Everything_the_driver_does_is_reported_in_order()
    {
        var memory = new ModelMemory();
        var events = new List<MemoryEvent>();
        memory.Changed += events.Add;

        ulong at = memory.AllocatePages(4096).Value;
        memory.WriteDword(at + 4, 7);
        memory.Flush(at, 8);
        memory.StoreBarrier();
        memory.FreePages(at, 4096);

        Assert.Equal(
            [
                new MemoryEvent(0, MemoryEventKind.Allocate, at, 4096, 0),
                new MemoryEvent(1, MemoryEventKind.Store, at, 8, 7UL << 32),
                new MemoryEvent(2, MemoryEventKind.Flush, at, 8, 0),
                new MemoryEvent(3, MemoryEventKind.Barrier, 0, 0, 0),
                new MemoryEvent(4, MemoryEventKind.Free, at, 4096, 0),
            ],
            events);
        Assert.Equal(5, memory.EventCount);
    }
}
