// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Tests;

/// <summary>Threads that start each round together.</summary>
internal static class Race
{
    /// <summary>Runs a body on several threads and passes their exceptions on; a thread that fails does not keep the
    /// others waiting at the barrier.</summary>
    public static void Run(int threads, Action<int, Barrier> body)
    {
        using var barrier = new Barrier(threads);
        var thrown = new Exception?[threads];
        Thread[] all = [.. Enumerable.Range(0, threads).Select(index => new Thread(() =>
        {
            thrown[index] = Record.Exception(() => body(index, barrier));
            barrier.RemoveParticipant();
        }))];
        foreach (Thread thread in all)
        {
            thread.Start();
        }

        foreach (Thread thread in all)
        {
            thread.Join();
        }

        Assert.All(thrown, e => Assert.Null(e));
    }
}
