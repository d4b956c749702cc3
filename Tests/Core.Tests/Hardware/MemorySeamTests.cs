// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Core.Tests.Hardware;

/// <summary>What one call does for a whole entry: the same where single stores are observed and where they are
/// not.</summary>
public sealed class MemorySeamTests
{
    private const ulong FrameBytes = 1 << 16;

    [Fact]
    public void Plain_memory_does_in_one_step_what_observed_memory_does_word_by_word()
    {
        var random = new Random(7);
        var plain = new SystemMemory();
        var observed = new Observed(new SystemMemory());
        ulong at = plain.AllocatePages(3 << 16, 1 << 16).Value;
        Assert.Equal(at, observed.AllocatePages(3 << 16, 1 << 16).Value);
        for (int round = 0; round < 5000; round++)
        {
            // Around the seam of two frames as well.
            ulong address = at + FrameBytes - 128 + ((ulong)random.Next(32) * 8);
            ulong[] words = new ulong[random.Next(2, 33)];
            for (int i = 0; i < words.Length; i++)
            {
                words[i] = (ulong)random.Next(2);
            }

            switch (random.Next(3))
            {
                case 0:
                    Assert.Equal(
                        ((IPhysicalMemory)observed).WriteWords(address, words), plain.WriteWords(address, words));
                    break;
                case 1:
                    ((IPhysicalMemory)observed).WriteEntry(address, words);
                    plain.WriteEntry(address, words);
                    break;
                default:
                    ((IPhysicalMemory)observed).FillWords(address, words.Length, words[0]);
                    plain.FillWords(address, words.Length, words[0]);
                    break;
            }

            ulong[] one = new ulong[70];
            ulong[] other = new ulong[70];
            plain.ReadWords(address & ~511UL, one);
            ((IMemoryReader)observed).ReadWords(address & ~511UL, other);
            Assert.Equal(other, one);
        }
    }

    [Fact]
    public void D2_observed_memory_sees_words_that_differ_then_a_flush_a_barrier_and_the_valid_word()
    {
        var observed = new Observed(new SystemMemory());
        ulong at = observed.AllocatePages(4096).Value;
        observed.WriteQword(at + 16, 5);
        observed.Events.Clear();

        ((IPhysicalMemory)observed).WriteEntry(at, [1, 2, 5, 7]);

        Assert.Equal(
            [$"store {at + 8:x} 2", $"store {at + 24:x} 7", $"flush {at:x} 32", "barrier", $"store {at:x} 1",
                $"flush {at:x} 8"],
            observed.Events);
    }

    [Fact]
    public void What_is_misaligned_or_not_there_is_refused_and_reads_as_zero()
    {
        var memory = new SystemMemory(capacityBytes: 1 << 17);
        ulong at = memory.AllocatePages(4096).Value;
        ulong end = at + FrameBytes;
        ulong[] words = [1, 2, 3, 4, 5, 6, 7, 8];
        Assert.Throws<ArgumentException>(() => memory.WriteWords(at + 4, words));
        Assert.Throws<ArgumentException>(() => memory.WriteEntry(at + 4, words));
        Assert.Throws<ArgumentException>(() => memory.WriteWords(end - 8, words));
        Assert.Throws<ArgumentException>(() => memory.WriteEntry(end, words));
        Assert.Throws<ArgumentException>(() => memory.FillWords(end - 8, 2, 1));

        memory.ReadWords(end - 16, words);
        Assert.Equal([0, 1, 0, 0, 0, 0, 0, 0], words);
    }

    private sealed class Observed(SystemMemory inner) : IPhysicalMemory
    {
        public List<string> Events { get; } = [];

        public OpResult<ulong> AllocatePages(int bytes, int alignmentBytes = 4096) =>
            inner.AllocatePages(bytes, alignmentBytes);

        public void FreePages(ulong address, int bytes) => inner.FreePages(address, bytes);
        public ulong ReadQword(ulong address) => inner.ReadQword(address);
        public uint ReadDword(ulong address) => inner.ReadDword(address);
        public void Read(ulong address, Span<byte> destination) => inner.Read(address, destination);
        public bool IsBacked(ulong address, long bytes) => inner.IsBacked(address, bytes);
        public void WriteDword(ulong address, uint value) => inner.WriteDword(address, value);
        public void Write(ulong address, ReadOnlySpan<byte> source) => inner.Write(address, source);

        public void WriteQword(ulong address, ulong value)
        {
            Events.Add($"store {address:x} {value:x}");
            inner.WriteQword(address, value);
        }

        public void Flush(ulong address, int bytes) => Events.Add($"flush {address:x} {bytes}");

        public void StoreBarrier() => Events.Add("barrier");
    }
}
