// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace PasidFramework.Benchmarks.Measuring;

/// <summary>The loops that are timed: those of the yardsticks, access for access.</summary>
internal static unsafe class Loops
{
    /// <summary>Takes one and gives it back.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Pair<T>(ref T work, int count)
        where T : struct, IWork<T>
    {
        T own = work;
        while (count-- != 0)
        {
            int item;
            while ((item = own.Take()) < 0)
            {
                Thread.SpinWait(1);
            }

            own.Give(item);
        }
    }

    /// <summary>Gives a random live one back and takes another.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Churn<T>(ref T work, Span<int> live, ReadOnlySpan<uint> random, int count)
        where T : struct, IWork<T>
    {
        T own = work;
        uint length = (uint)live.Length;
        fixed (int* items = live)
        fixed (uint* draws = random)
        {
            for (int i = 0; i < count; i++)
            {
                uint at = (uint)(((ulong)draws[i] * length) >> 32);
                if (Sse.IsSupported)
                {
                    Sse.Prefetch0(&items[((ulong)draws[i + 16] * length) >> 32]);
                }

                own.Give(items[at]);
                int item;
                while ((item = own.Take()) < 0)
                {
                    Thread.SpinWait(1);
                }

                items[at] = item;
            }
        }
    }

    /// <summary>Takes as many as there is room for.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Fill<T>(ref T work, Span<int> items)
        where T : struct, IWork<T>
    {
        T own = work;
        for (int i = 0; i < items.Length; i++)
        {
            items[i] = own.Take();
        }
    }

    /// <summary>Gives all back.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Drain<T>(ref T work, ReadOnlySpan<int> items)
        where T : struct, IWork<T>
    {
        T own = work;
        for (int i = 0; i < items.Length; i++)
        {
            own.Give(items[i]);
        }
    }
}
