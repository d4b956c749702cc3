// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Core.Tests.Allocation;

public sealed class PasidBitmapTests
{
    [Theory]
    [InlineData(0u, 1u), InlineData(5u, 64u), InlineData(0u, 65u), InlineData(63u, 4096u), InlineData(1u, 4097u)]
    [InlineData(0u, 262144u), InlineData(7u, 262145u), InlineData(0u, 1048576u)]
    public void The_only_free_PASID_is_found_from_every_level_in_both_directions(uint first, uint count)
    {
        uint last = first + count - 1;
        PasidBitmap bitmap = Full(first, last);
        uint[] holes = [.. Edges(count).Select(o => first + o)];

        foreach (uint hole in holes)
        {
            Assert.Equal(PasidBitmap.None, bitmap.FindNext(first, last));
            Assert.Equal(PasidBitmap.None, bitmap.FindPrevious(last, first));
            Assert.True(bitmap.TryRelease(hole));
            foreach (uint from in holes)
            {
                Assert.Equal(from <= hole ? hole : PasidBitmap.None, bitmap.FindNext(from, last));
                Assert.Equal(from >= hole ? hole : PasidBitmap.None, bitmap.FindPrevious(from, first));
                Assert.Equal(hole <= from ? hole : PasidBitmap.None, bitmap.FindNext(first, from));
                Assert.Equal(hole >= from ? hole : PasidBitmap.None, bitmap.FindPrevious(last, from));
            }

            bitmap.Take(hole);
        }

        bitmap.AssertInvariants();
    }

    [Fact]
    public void Summaries_follow_when_whole_words_fill_and_empty()
    {
        PasidBitmap bitmap = new(new PasidRange(3, 9002));
        for (uint pasid = 3; pasid <= 9002; pasid++)
        {
            Assert.Equal(pasid, bitmap.FindNext(3, 9002));
            bitmap.Take(pasid);
            if (pasid % 61 == 0)
            {
                bitmap.AssertInvariants();
            }
        }

        Assert.Equal(9000, bitmap.LiveCount);
        for (uint pasid = 9002; pasid >= 3; pasid--)
        {
            Assert.True(bitmap.TryRelease(pasid));
            Assert.False(bitmap.TryRelease(pasid));
            Assert.Equal(pasid, bitmap.FindNext(3, 9002));
            if (pasid % 61 == 0)
            {
                bitmap.AssertInvariants();
            }
        }

        Assert.Equal(9000, bitmap.FreeCount);
    }

    [Fact]
    public void Broken_books_are_noticed()
    {
        PasidBitmap bitmap = new(new PasidRange(0, 100));
        bitmap.Take(5);

        // Taking a PASID twice is what a broken policy would do.
        bitmap.Take(5);

        InvalidOperationException e = Assert.Throws<InvalidOperationException>(() => bitmap.AssertInvariants());
        Assert.Contains("live + free + reserved", e.Message, StringComparison.Ordinal);
    }

    private static PasidBitmap Full(uint first, uint last)
    {
        PasidBitmap bitmap = new(new PasidRange(first, last));
        for (uint pasid = first; pasid <= last; pasid++)
        {
            bitmap.Take(pasid);
        }

        return bitmap;
    }

    // Where the words of the four levels end and begin.
    private static IEnumerable<uint> Edges(uint count) =>
        new uint[] { 0, 1, 62, 63, 64, 65, 4095, 4096, 4097, 8191, 262143, 262144, 262145, 786431, 1048574, 1048575 }
            .Append(count - 1).Append(count / 2).Where(o => o < count).Distinct();
}
