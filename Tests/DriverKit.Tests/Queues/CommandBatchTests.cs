// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Tests.Queues;

public class CommandBatchTests
{
    [Fact]
    public void An_operation_has_one_doorbell_and_ends_with_the_closing_command()
    {
        using TestRing ring = TestRing.Create(8);
        var batch = new CommandBatch(ring);
        CommandRingTests.Add(ref batch, 0x100, 1);
        batch.Fence();
        CommandRingTests.Add(ref batch, 0x100, 2);

        Assert.Equal(OpResult.Ok, batch.Complete(drain: true));

        Assert.Equal(
            [(0x100UL, 1UL), (TestRing.FenceWord, 0UL), (0x100UL, 2UL), (TestRing.ClosingWord | 1, 0UL)], ring.Log);
        Assert.Equal([4u], ring.Doorbells);
    }

    [Fact]
    public void An_empty_batch_sends_nothing()
    {
        using TestRing ring = TestRing.Create(8);
        var batch = new CommandBatch(ring);

        Assert.Equal(OpResult.Ok, batch.Complete());

        Assert.Empty(ring.Doorbells);
        Assert.Equal(0, ring.Polls);
    }

    [Theory]
    [InlineData(16, false, new[] { 17u }), InlineData(17, false, new[] { 16u, 18u })]
    [InlineData(40, false, new[] { 16u, 32u, 41u }), InlineData(16, true, new[] { 17u })]
    [InlineData(17, true, new[] { 17u, 19u }), InlineData(40, true, new[] { 17u, 34u, 43u })]
    public void A_batch_that_outgrows_its_buffer_goes_on_in_order(int count, bool isWhole, uint[] doorbells)
    {
        using TestRing ring = TestRing.Create(8, canFill: !isWhole, isWhole);
        var batch = new CommandBatch(ring);
        for (ulong i = 0; i < (ulong)count; i++)
        {
            CommandRingTests.Add(ref batch, 0x100, i);
        }

        Assert.Equal(OpResult.Ok, batch.Complete());

        Assert.Equal(doorbells, ring.Doorbells);
        Assert.Equal(
            Enumerable.Range(0, count).Select(i => (ulong)i), ring.Log.Where(c => c.Word0 == 0x100)
                .Select(c => c.Word1));
        Assert.Equal(isWhole ? doorbells.Length : 1, ring.Log.Count(c => c.Word0 == TestRing.ClosingWord));
    }

    [Fact]
    public void After_a_failure_nothing_more_is_sent()
    {
        using TestRing ring = TestRing.Create(8, canFill: false, isWhole: true, maxPolls: 2);
        ring.IsEager = false;
        var batch = new CommandBatch(ring);
        for (ulong i = 0; i < 17; i++)
        {
            CommandRingTests.Add(ref batch, 0x100, i);
        }

        Assert.Equal(Errno.ETIMEDOUT, batch.Complete().Errno);
        Assert.Single(ring.Doorbells);
    }

    [Fact]
    public void Words_of_a_command_are_zero_whatever_the_buffer_held()
    {
        using TestRing ring = TestRing.Create(8);
        var batch = new CommandBatch(ring);
        for (ulong i = 0; i < 17; i++)
        {
            CommandRingTests.Add(ref batch, 0x100, ulong.MaxValue);
        }

        Assert.Equal([0UL, 0UL], batch.Add().ToArray());
    }
}
