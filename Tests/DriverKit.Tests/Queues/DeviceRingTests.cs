// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Tests.Queues;

public class DeviceRingTests
{
    private readonly SystemMemory _memory = new();

    [Theory]
    [InlineData(0), InlineData(3)]
    public void Entries_are_found_again_over_wraps_and_full_and_empty_differ(int log2)
    {
        var ring = new DeviceRing(_memory, _memory.AllocatePages(4096).Value, log2, 16);
        uint producer = 0;
        uint consumer = 0;
        Span<ulong> entry = stackalloc ulong[2];
        for (ulong round = 0; round < 5; round++)
        {
            Assert.True(ring.IsEmpty(producer, consumer));
            for (ulong i = 0; i < ring.Slots; i++)
            {
                Assert.False(ring.IsFull(producer, consumer));
                Assert.True(ring.TryWrite(producer, [round, i]));
                producer = ring.Next(producer);
            }

            // Flags beside the position do not matter.
            Assert.True(ring.IsFull(producer | 0x8000_0000, consumer));
            for (ulong i = 0; i < ring.Slots; i++)
            {
                Assert.False(ring.IsEmpty(producer, consumer));
                Assert.True(ring.TryRead(consumer, entry));
                Assert.Equal([round, i], entry.ToArray());
                consumer = ring.Next(consumer);
            }
        }
    }

    [Fact]
    public void Where_no_memory_is_nothing_is_read_or_written()
    {
        var ring = new DeviceRing(_memory, 0x7000_0000_0000, 1, 16);
        Span<ulong> entry = [7, 7];

        Assert.False(ring.TryRead(1, entry));
        Assert.Equal([7UL, 7UL], entry.ToArray());
        Assert.False(ring.TryWrite(3, entry));
    }
}
