// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Tests;

/// <summary>What counts in an entry is written down twice, for the writer and for the model that judges it. Where the
/// two differ a person decides which of them is wrong.</summary>
public sealed class CountedBitsTests
{
    private static readonly int s_rounds = Effort.Of(200_000);

    [Theory]
    [InlineData(false), InlineData(true)]
    public void D4_writer_and_model_count_the_same_bits_in_any_entry(bool isContext)
    {
        var random = new Random(20_261);
        var kinds = new HashSet<ulong>();
        var old = new ulong[8];
        for (int round = 0; round < s_rounds; round++)
        {
            ulong[] entry = Entry(random, isContext);
            var counted = new ulong[8];
            CountedBits.Find(entry, isContext, counted);
            var free = new ulong[8];
            CountedBits.FindFree(old, entry, isContext, free);
            var used = new ulong[8];
            var safe = new ulong[8];
            if (isContext)
            {
                ContextRules.Used(entry, used);
                ContextRules.Safe(old, entry, safe);
            }
            else
            {
                StreamEntryRules.Used(entry, used);
                StreamEntryRules.Safe(old, entry, safe);
            }

            Assert.Equal(used, counted);
            Assert.Equal(safe, free);
            kinds.Add(counted.Aggregate(0UL, (sum, word) => (sum * 31) + word));
            old = entry;
        }

        // Not valid; valid; with EPD0. Not valid; abort; bypass; stage 1 with and without bypass; stage 2; both, which
        // count SHCFG anyway.
        Assert.Equal(isContext ? 3 : 7, kinds.Count);
    }

    // Sparse words in half of the rounds: the bits that decide would otherwise be set in all but a few.
    private static ulong[] Entry(Random random, bool isContext)
    {
        var words = new ulong[8];
        bool isSparse = random.Next(2) == 0;
        for (int i = 0; i < words.Length; i++)
        {
            words[i] = (ulong)random.NextInt64() ^ ((ulong)random.NextInt64() << 1);
            words[i] &= isSparse ? (ulong)random.NextInt64() & (ulong)random.NextInt64() : ulong.MaxValue;
        }

        words[0] |= random.Next(4) != 0 ? 1UL << (isContext ? 31 : 0) : 0;
        return words;
    }
}
