// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Core.Tests;

public sealed class IovaRangeTests
{
    private const ulong Top = ulong.MaxValue;

    [Theory]
    [InlineData(0ul, 0ul, 0ul, Top)] // everything
    [InlineData(0x1000ul, 0ul, 0x1000ul, Top)] // to the top of memory
    [InlineData(Top, 0ul, Top, Top)]
    [InlineData(0ul, 1ul, 0ul, 0ul)] // one byte
    [InlineData(0ul, Top, 0ul, Top - 1), InlineData(0x1000ul, 0x3000ul, 0x1000ul, 0x2FFFul)]
    [InlineData(0x3000ul, 0x1000ul, 0ul, Top)] // over the top
    [InlineData(2ul, 1ul, 0ul, Top)]
    public void D6_the_corners_of_start_and_end(ulong start, ulong end, ulong first, ulong last)
    {
        var range = IovaRange.FromStartEnd(start, end);

        Assert.Equal(new IovaRange(first, last), range);
        Assert.False(range.IsEmpty);
    }

    [Theory]
    [InlineData(1ul), InlineData(0x1000ul), InlineData(Top)]
    public void D6_another_end_that_equals_the_start_is_empty(ulong at) =>
        Assert.True(IovaRange.FromStartEnd(at, at).IsEmpty);

    [Fact]
    public void D6_no_byte_is_lost_and_none_is_added_unless_the_range_runs_over_the_top() =>
        Prop.ForAll<ulong, ulong, ulong>((start, end, at) =>
        {
            var range = IovaRange.FromStartEnd(start, end);
            UInt128 stop = end == 0 ? UInt128.One << 64 : end;
            Assert.Equal(stop < start || (at >= start && at < stop), at >= range.First && at <= range.Last);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void It_is_written_with_both_ends() =>
        Assert.Equal("[0x1000, 0x1fff]", new IovaRange(0x1000, 0x1FFF).ToString());
}
