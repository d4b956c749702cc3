// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Tests;

/// <summary>What tests of several projects check.</summary>
internal static class Checks
{
    /// <summary>Fails unless the result is refused with this error, and the reason contains the text.</summary>
    public static void Refused(Errno errno, string text, OpResult result)
    {
        Assert.Equal(errno, result.Errno);
        Assert.Contains(text, result.Reason, StringComparison.Ordinal);
    }

    public static void Refused<T>(Errno errno, string text, OpResult<T> result) => Refused(errno, text, result.Outcome);

    /// <summary>Fails if a body allocates managed memory in each of some rounds.</summary>
    public static void AllocatesNothing(int rounds, Action body)
    {
        // The runtime may charge this thread for something of its own once in a while: the best round counts, since
        // what a call allocates, it allocates in each.
        long least = long.MaxValue;
        for (int round = 0; round < rounds; round++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            body();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.Equal(0, least);
    }
}
