// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Benchmarks.Measuring;

/// <summary>What every row draws from: the seeds are the yardsticks', so that all see the same sequence.</summary>
internal static class Numbers
{
    /// <summary>PASIDs in a space of 20 bits, and operations of one lap.</summary>
    public const int Space = 1 << 20;

    /// <summary>Random 32-bit numbers; a loop may read 16 ahead of a lap's last one.</summary>
    public static uint[] Random { get; } = Fill();

    /// <summary>Puts items into an order that is always the same.</summary>
    public static void Shuffle(Span<int> items)
    {
        ulong state = 0x9E3779B97F4A7C15;
        for (int i = items.Length; i > 1; i--)
        {
            int j = (int)(((Next(ref state) >> 32) * (ulong)i) >> 32);
            (items[i - 1], items[j]) = (items[j], items[i - 1]);
        }
    }

    /// <summary>The median; 0 of nothing.</summary>
    public static double Median(List<double> values)
    {
        if (values.Count == 0)
        {
            return 0;
        }

        values.Sort();
        int half = values.Count / 2;
        return values.Count % 2 != 0 ? values[half] : (values[half - 1] + values[half]) / 2;
    }

    private static uint[] Fill()
    {
        uint[] random = GC.AllocateUninitializedArray<uint>(Space + 8192, pinned: true);
        ulong state = 0x2545F4914F6CDD1D;
        for (int i = 0; i < random.Length; i++)
        {
            random[i] = (uint)(Next(ref state) >> 32);
        }

        return random;
    }

    private static ulong Next(ref ulong state)
    {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return state;
    }
}
