// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Tests;

public sealed class StreamTableTests : IStreamTableSync
{
    private readonly ObservedMemory _memory = new(0x8_4000_0000);
    private readonly ulong[] _entry = Vector.Of("ste/stage1-64k-leaf").Padded(8);
    private int _failCall;
    private int _calls;

    OpResult IStreamTableSync.StreamChanged(uint sid, bool leafOnly)
    {
        _memory.Note(leafOnly ? StepKind.Configuration : StepKind.Path, sid);
        return ++_calls == _failCall ? OpResult.Refuse(Errno.ETIMEDOUT, "refused") : OpResult.Ok;
    }

    [Theory]
    [InlineData(1, 0x00000001u, 128), InlineData(8, 0x00000008u, 16384), InlineData(9, 0x00010209u, 64)]
    [InlineData(16, 0x00010210u, 2048), InlineData(25, 0x00010219u, 1048576), InlineData(32, 0x00010219u, 1048576)]
    public void Shape_size_and_configuration_follow_the_width_of_stream_ids(int bits, uint configuration, int bytes)
    {
        using StreamTable table = Create(bits);

        Assert.Equal(configuration, table.BaseConfiguration);
        Assert.Equal(0UL, table.Root % (ulong)bytes);
        Assert.Equal(table.Root | (1UL << 62), table.Base);
        Assert.Equal((bytes + 4095) & ~4095, _memory.AllocatedBytes);
    }

    [Fact]
    public void Without_two_levels_the_table_is_linear_up_to_a_limit()
    {
        using StreamTable table = StreamTable.Create(_memory, 12, hasTwoLevels: false, this).Value!;
        Assert.Equal(12u, table.BaseConfiguration);
        Refused(Errno.ENODEV, "ST_LEVEL", StreamTable.Create(_memory, 17, hasTwoLevels: false, this));
    }

    [Theory]
    [InlineData(8), InlineData(16)]
    public void D2_whatever_step_a_walker_reads_at_it_sees_no_entry_or_a_whole_one(int bits)
    {
        using StreamTable table = Create(bits);
        uint sid = (1u << bits) - 2;
        int whole = 0;
        _memory.OnStep = _ =>
        {
            ulong entry = table.Root + (sid * 64UL);
            if (bits > 8)
            {
                ulong l1 = _memory.Walker.ReadQword(table.Root + ((sid >> 8) * 8UL));
                if (l1 == 0)
                {
                    return;
                }

                Assert.Equal(9UL, l1 & 0x1F);
                entry = (l1 & 0x000F_FFFF_FFFF_FFC0) + ((sid & 0xFF) * 64UL);
            }

            ulong[] words = _memory.WalkerWords(entry, 8);
            if (DecodedSte.From(words).Valid)
            {
                Assert.Equal(_entry, words);
                whole++;
            }
        };

        Assert.True(table.Set(sid, _entry).IsOk);
        Assert.True(table.Clear(sid).IsOk);

        _memory.OnStep = null;
        Assert.True(whole > 0);
        Assert.Equal(Errno.ENOENT, table.Clear(sid).Errno);
    }

    [Fact]
    public void D2_removal_clears_the_word_with_the_valid_bit_and_synchronises()
    {
        using StreamTable table = Create(8);
        table.Set(3, _entry);
        _memory.Steps.Clear();

        Assert.True(table.Clear(3).IsOk);

        Assert.Equal(new MemoryStep(StepKind.Store, table.Root + (3 * 64), 0), _memory.Steps[0]);
        Assert.Equal([StepKind.Store, StepKind.Flush, StepKind.Configuration], _memory.Steps.Select(s => s.Kind));
        Assert.Equal(0UL, _memory.Walker.ReadQword(table.Root + (3 * 64)));
        Assert.True(table.Set(3, Vector.Of("ste/stage1-linear").Padded(8)).IsOk);
        Assert.Equal(Vector.Of("ste/stage1-linear").Padded(8), _memory.WalkerWords(table.Root + (3 * 64), 8));
    }

    [Fact]
    public void D3_a_new_leaf_is_zero_and_visible_before_the_descriptor_that_points_to_it()
    {
        using StreamTable table = Create(16);
        bool seen = false;
        _memory.OnStep = _ =>
        {
            ulong l1 = _memory.Walker.ReadQword(table.Root + (2 * 8));
            if (!seen && l1 != 0)
            {
                seen = true;
                ulong[] leaf = _memory.WalkerWords(l1 & ~0x3FUL, 2048);
                Assert.Equal(_entry, leaf[^8..]);
                Assert.All(leaf[..^8], w => Assert.Equal(0UL, w));
            }
        };

        table.Set(0x2FF, _entry);

        _memory.OnStep = null;
        Assert.True(seen);
        Assert.Equal(1, _memory.Steps.Count(s => s.Kind == StepKind.Path));
        table.Set(0x201, _entry);
        Assert.Equal(1, _memory.Steps.Count(s => s.Kind == StepKind.Path));
    }

    [Fact]
    public void D4_a_valid_entry_is_not_overwritten()
    {
        using StreamTable table = Create(16);
        table.Set(5, _entry);
        _memory.Steps.Clear();
        Assert.Equal(Errno.EEXIST, table.Set(5, _entry).Errno);
        Assert.Empty(_memory.Steps);
    }

    [Fact]
    public void The_last_stream_id_is_accepted_and_the_next_refused()
    {
        using StreamTable table = Create(12);
        Assert.True(table.Set(0xFFF, _entry).IsOk);
        Refused(Errno.EINVAL, "0x1000", table.Set(0x1000, _entry));
        Assert.Equal(Errno.ENOENT, table.Clear(0x1000).Errno);
    }

    [Fact]
    public void Memory_that_runs_out_leaves_the_first_level_alone_and_nothing_leaks()
    {
        StreamTable table = Create(16);
        long before = _memory.AllocatedBytes;
        _memory.Steps.Clear();
        _memory.FailAllocation = 1;
        Assert.Equal(Errno.ENOMEM, table.Set(0x300, _entry).Errno);
        Assert.Empty(_memory.Steps);
        Assert.Equal(before, _memory.AllocatedBytes);
        Assert.True(table.Set(0x300, _entry).IsOk);
        table.Dispose();
        table.Dispose();
        Assert.Equal(0, _memory.AllocatedBytes);
    }

    [Theory]
    [InlineData(16, 1), InlineData(8, 1), InlineData(8, 2)]
    public void A_synchronisation_that_fails_leaves_no_valid_entry(int bits, int failing)
    {
        using StreamTable table = Create(bits);
        _failCall = failing;
        Assert.Equal(Errno.ETIMEDOUT, table.Set(0x30, _entry).Errno);
        Assert.Equal(Errno.ENOENT, table.Clear(0x30).Errno);
        _memory.Steps.Clear();
        Assert.True(table.Set(0x30, _entry).IsOk);
        Assert.Equal(bits > 8, _memory.Steps.Any(s => s.Kind == StepKind.Path));
    }

    private StreamTable Create(int bits) => StreamTable.Create(_memory, bits, hasTwoLevels: true, this).Value!;
}
