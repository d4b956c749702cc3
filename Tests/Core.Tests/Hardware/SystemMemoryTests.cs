// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Core.Tests.Hardware;

public sealed class SystemMemoryTests
{
    [Fact]
    public void Pages_are_zeroed_aligned_and_used_again()
    {
        var memory = new SystemMemory();
        ulong first = memory.AllocatePages(100_000, 65_536).Value;
        Assert.Equal(0UL, first & 65_535);
        memory.WriteQword(first + 99_992, 0x1122334455667788);
        Assert.Equal(102_400, memory.AllocatedBytes);

        memory.FreePages(first, 100_000);
        Assert.Equal(0, memory.AllocatedBytes);
        ulong second = memory.AllocatePages(100_000, 65_536).Value;

        Assert.Equal(first, second);
        Assert.Equal(0UL, memory.ReadQword(second + 99_992));
    }

    [Fact]
    public void Bytes_words_and_double_words_are_one_little_endian_memory()
    {
        var memory = new SystemMemory();
        ulong at = memory.AllocatePages(4096).Value;
        memory.Write(at + 3, [1, 2, 3, 4, 5, 6, 7, 8, 9]);

        Assert.Equal(0x0504030201000000UL, memory.ReadQword(at));
        Assert.Equal(0x05040302u, memory.ReadDword(at + 4));
        memory.WriteDword(at + 4, 0xAABBCCDD);
        Span<byte> bytes = stackalloc byte[12];
        memory.Read(at + 2, bytes);
        Assert.Equal([0, 1, 0xDD, 0xCC, 0xBB, 0xAA, 6, 7, 8, 9, 0, 0], bytes.ToArray());
    }

    [Fact]
    public void What_is_not_memory_reads_as_zero_and_refuses_stores()
    {
        var memory = new SystemMemory(capacityBytes: 65_536);
        Assert.Equal(0UL, memory.ReadQword(8));
        Assert.Equal(0UL, memory.ReadQword(ulong.MaxValue & ~7UL));
        Assert.False(memory.IsBacked(0, 8));
        Assert.False(memory.IsBacked(ulong.MaxValue - 8, 64));
        Assert.Throws<ArgumentException>(() => memory.WriteQword(8, 1));
        Assert.Throws<ArgumentException>(() => memory.ReadQword(0x1_0000_0001));

        ulong at = memory.AllocatePages(65_536).Value;
        Assert.True(memory.IsBacked(at, 65_536));
        Assert.False(memory.IsBacked(at, 65_537));
        OpResult<ulong> full = memory.AllocatePages(1);
        Assert.Equal(Errno.ENOMEM, full.Errno);
        Assert.Throws<ArgumentException>(() => memory.FreePages(at, 4096));
        Assert.Throws<ArgumentException>(() => memory.FreePages(at + 4096, 4096));
        memory.FreePages(at, 65_536);
        Assert.Throws<ArgumentException>(() => memory.FreePages(at, 65_536));
    }
}
