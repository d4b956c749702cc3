// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Tests;

public sealed class InvalidationPlanTests : IDisposable
{
    private readonly SmmuHardware _hardware;
    private readonly CommandQueue _queue;

    public InvalidationPlanTests()
    {
        var memory = new SystemMemory();
        _hardware = new SmmuHardware(
            memory,
            SmmuHardwareOptions.Parse(
                new HardwareSetup { Options = new Dictionary<string, string> { ["log"] = "1000" } }));
        _queue = CommandQueue.Create(
            memory, _hardware.Registers, 8, new PollTimeout(TimeProvider.System, TimeSpan.FromSeconds(1))).Value!;
        _hardware.Registers.Write64(0x90, _queue.Base);
        _hardware.Registers.Write32(0x20, 8);
    }

    public void Dispose()
    {
        _queue.Dispose();
        _hardware.Dispose();
    }

    private static readonly Gen<ulong> s_word =
        from high in Gen.Choose(int.MinValue, int.MaxValue)
        from low in Gen.Choose(int.MinValue, int.MaxValue)
        from bits in Gen.Choose(0, 64)
        select bits == 0 ? 0 : (((ulong)(uint)high << 32) | (uint)low) >> (64 - bits);

    // Any start, and lengths of every magnitude.
    private static readonly Gen<(ulong Start, ulong End)> s_range =
        from start in s_word
        from length in s_word
        select (start, start + length);

    [Theory]
    [InlineData(true), InlineData(false)]
    public void D6_tlb_commands_cover_the_range_and_no_other_page_unless_they_name_the_whole_space(bool hasRange) =>
        Prop.ForAll(s_range.Where(r => r.Start != r.End).ToArbitrary(), range =>
        {
            List<SmmuCommand> commands = Plan(hasRange, range.Start, range.End);
            Assert.All(commands, c => Assert.True(Commands.IsLegal(c, hasRange), c.ToString()));
            (ulong First, ulong Count)[] pages = [.. commands.Select(c => DecodedCommand.Pages(c.Word0, c.Word1))];
            ulong last = range.End - 1;
            if (pages is [(0, 1UL << 52)])
            {
                // One command for everything: only where the range is large or wraps.
                Assert.True(
                    last < range.Start || (last >> 12) - (range.Start >> 12) + 1 > (hasRange ? 1UL << 35 : 512),
                    $"[{range.Start:x}, {range.End:x})");
                return;
            }

            ulong next = range.Start >> 12;
            foreach ((ulong first, ulong count) in pages.OrderBy(p => p.First))
            {
                Assert.Equal(next, first);
                next = first + count;
            }

            Assert.Equal((last >> 12) + 1, next);
            Assert.InRange(commands.Count, 1, hasRange ? 16 : 512);
            Assert.All(commands, c => Assert.Equal(0x2au, DecodedCommand.From(c.Word0, c.Word1).Asid));
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void D6_the_device_command_covers_the_range_with_the_smallest_aligned_power_of_two() =>
        Prop.ForAll(s_range.Where(r => r.Start != r.End).ToArbitrary(), range =>
        {
            (ulong address, int size) = InvalidationPlan.AtcSpan(IovaRange.FromStartEnd(range.Start, range.End));
            SmmuCommand command = Commands.AtcInv(0x18, 1, address, size);
            Assert.True(Commands.IsLegal(command, hasRange: false));
            (ulong first, ulong count) = DecodedCommand.Pages(command.Word0, command.Word1);
            ulong last = range.End - 1;
            if (last < range.Start)
            {
                Assert.Equal((0UL, 1UL << 52), (first, count));
                return;
            }

            Assert.InRange(range.Start >> 12, first, first + count - 1);
            Assert.InRange(last >> 12, first, first + count - 1);
            if (count > 1)
            {
                // Half of it would not do.
                Assert.NotEqual((range.Start >> 12) / (count / 2), (last >> 12) / (count / 2));
            }
        }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData(0UL, 0UL), InlineData(0UL, ulong.MaxValue), InlineData(0x2000UL, 0x1000UL)]
    [InlineData(0x1800UL, 0x1400UL), InlineData(0UL, 1UL << 48)]
    public void D6_everything_and_what_runs_over_the_top_is_one_command_for_the_asid(ulong start, ulong end)
    {
        SmmuCommand command = Assert.Single(Plan(true, start, end));

        ulong[] words = [command.Word0, command.Word1];
        Assert.Equal(Vector.Of("cmd/tlbi-nh-asid").Padded(2), words);
        (ulong _, int size) = InvalidationPlan.AtcSpan(IovaRange.FromStartEnd(start, end));
        Assert.Equal(end == 1UL << 48 ? 36 : 52, size);
    }

    [Fact]
    public void D6_the_top_of_memory_is_reached_by_an_end_of_0()
    {
        SmmuCommand command = Assert.Single(Plan(true, 0xFFFF_FFFF_FFFF_F000, 0));

        Assert.Equal((ulong.MaxValue >> 12, 1UL), DecodedCommand.Pages(command.Word0, command.Word1));
        Assert.Equal((0xFFFF_FFFF_FFFF_F000UL, 0),
            InvalidationPlan.AtcSpan(new IovaRange(0xFFFF_FFFF_FFFF_F000, ulong.MaxValue)));
    }

    [Theory]
    [InlineData(512, 512), InlineData(513, 1)]
    public void D6_without_range_commands_a_bound_separates_pages_from_the_asid(int pages, int commands) =>
        Assert.Equal(commands, Plan(false, 0x7000_0000, 0x7000_0000 + ((ulong)pages << 12)).Count);

    private List<SmmuCommand> Plan(bool hasRange, ulong start, ulong end)
    {
        var batch = new CommandBatch(_queue);
        InvalidationPlan.AddTlb(ref batch, hasRange, 0x2a, IovaRange.FromStartEnd(start, end));
        Assert.True(batch.Complete().IsOk);
        List<SmmuCommand> commands = [.. _hardware.RegisterFile.Log().Where(c => c.Opcode != SmmuOpcode.SYNC)];
        _hardware.RegisterFile.ClearLog();
        return commands;
    }
}
