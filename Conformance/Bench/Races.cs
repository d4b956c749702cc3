// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Conformance.Bench;

/// <summary>Threads that begin together.</summary>
internal static class Races
{
    /// <summary>Runs threads to their end; the first exception of one is thrown here.</summary>
    public static void Run(CaseContext context, int threads, Action<int> work)
    {
        Exception? thrown = null;
        Thread[] all =
        [
            .. Enumerable.Range(1, threads).Select(me => new Thread(() =>
            {
                try
                {
                    work(me);
                }
#pragma warning disable CA1031 // Thrown again where the case can be ended.
                catch (Exception e)
#pragma warning restore CA1031
                {
                    Interlocked.CompareExchange(ref thrown, e, null);
                }
            })),
        ];
        foreach (Thread thread in all)
        {
            thread.Start();
        }

        foreach (Thread thread in all)
        {
            thread.Join();
        }

        if (thrown is CaseEnd end)
        {
            throw end;
        }

        if (thrown is not null)
        {
            context.Fail($"{thrown.GetType().Name} while several threads ran: {thrown.Message}");
        }
    }
}
