// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Core.Tests.Hardware;

public sealed class MemoryImageTests
{
    [Fact]
    public void Pieces_read_as_one_memory_and_holes_as_zero()
    {
        var image = new MemoryImage();
        image.Add(0x1008, new byte[] { 1, 2, 3, 4, 5, 6, 7, 8 });
        image.Add(0x1000, new byte[] { 9, 9, 9, 9, 9, 9, 9, 9 });
        image.Add(0x1014, new byte[] { 0xAA, 0xBB });

        Assert.Equal(0x0909090909090909UL, image.ReadQword(0x1000));
        Assert.Equal(0x0807060504030201UL, image.ReadQword(0x1008));
        Assert.Equal(0x0000BBAA_00000000UL, image.ReadQword(0x1010));
        Assert.Equal(0x0807_0605u, image.ReadDword(0x100C));
        Span<byte> bytes = stackalloc byte[10];
        bytes.Fill(0xFF);
        image.Read(0x100E, bytes);
        Assert.Equal([7, 8, 0, 0, 0, 0, 0xAA, 0xBB, 0, 0], bytes.ToArray());
        Assert.Equal(0UL, image.ReadQword(0));
    }

    [Theory]
    [InlineData(0x1000, 16, true), InlineData(0x1004, 8, true), InlineData(0x1000, 17, false)]
    [InlineData(0x0FFF, 2, false), InlineData(0x2000, 0, true)]
    public void Backed_is_what_lies_in_pieces_without_a_hole(ulong address, long bytes, bool expected)
    {
        var image = new MemoryImage();
        image.Add(0x1000, new byte[8]);
        image.Add(0x1008, new byte[8]);

        Assert.Equal(expected, image.IsBacked(address, bytes));
    }

    [Fact]
    public void The_end_of_the_address_space_does_not_wrap()
    {
        var image = new MemoryImage();
        image.Add(0xFFFF_FFFF_FFFF_FFF8, new byte[] { 1, 0, 0, 0, 0, 0, 0, 0 });
        image.Add(0, new byte[8]);

        Assert.Equal(1UL, image.ReadQword(0xFFFF_FFFF_FFFF_FFF8));
        Assert.True(image.IsBacked(0xFFFF_FFFF_FFFF_FFF8, 8));
        Assert.False(image.IsBacked(0xFFFF_FFFF_FFFF_FFF8, 9));
        Assert.Throws<ArgumentException>(() => image.Add(0xFFFF_FFFF_FFFF_FFF0, new byte[17]));
    }

    [Fact]
    public void Overlaps_and_misaligned_words_are_refused()
    {
        var image = new MemoryImage();
        image.Add(0x1000, new byte[16]);

        Assert.Throws<ArgumentException>(() => image.Add(0x0FFF, new byte[2]));
        Assert.Throws<ArgumentException>(() => image.Add(0x100F, new byte[2]));
        Assert.Throws<ArgumentException>(() => image.Add(0x0F00, new byte[0x1000]));
        Assert.Throws<ArgumentException>(() => image.ReadQword(0x1004));
        Assert.Throws<ArgumentException>(() => image.ReadDword(0x1002));
        image.Add(0x1010, new byte[1]);
    }
}
