// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Benchmarks.Measuring;

/// <summary>One thread's work: CPU time of the thread, one lap in segments, the median segment without the
/// first.</summary>
internal static class Measurement
{
    private static readonly int[] s_live = GC.AllocateUninitializedArray<int>(Numbers.Space, pinned: true);

    /// <summary>Runs work until it has been compiled with what is known of it; compilation needs pauses.</summary>
    /// <param name="make">Makes work that can have so many live.</param>
    public static void WarmUp<T>(Func<int, T> make, Effort effort)
        where T : struct, IWork<T>
    {
        Span<int> live = s_live.AsSpan(0, Math.Min(2048, effort.Space / 2));
        T work = make(live.Length);
        Loops.Fill(ref work, live);
        long end = ThreadClock.WallTime + effort.WarmUp;
        for (int round = 1; ThreadClock.WallTime < end; round++)
        {
            Loops.Pair(ref work, 32);
            Loops.Churn(ref work, live, Numbers.Random, 32);
            Loops.Drain(ref work, live[..64]);
            Loops.Fill(ref work, live[..64]);
            if (round % 32 == 0)
            {
                Thread.Sleep(10);
            }
        }
    }

    /// <summary>Work with so many live, in the state that churning leaves.</summary>
    /// <param name="live">Receives what is live.</param>
    public static T Prepare<T>(Func<int, T> make, Span<int> live, Effort effort)
        where T : struct, IWork<T>
    {
        T work = make(live.Length);
        Loops.Fill(ref work, live);
        Numbers.Shuffle(live);
        if (live.Length < effort.Space / 2)
        {
            Settle(ref work, live);
        }

        return work;
    }

    /// <summary>Churns until nothing of the order of filling is left.</summary>
    public static void Settle<T>(ref T work, Span<int> live)
        where T : struct, IWork<T>
    {
        for (int left = live.IsEmpty ? 0 : 4 * live.Length; left > 0; left -= Numbers.Space)
        {
            Loops.Churn(ref work, live, Numbers.Random, Math.Min(left, Numbers.Space));
        }
    }

    /// <summary>Times <c>pair</c> (nothing else changes) or churn with so many live.</summary>
    /// <returns>Nanoseconds per operation, and the note with bytes per operation.</returns>
    public static (double Nanoseconds, string Note) Lap<T>(
        Func<int, T> make, int count, bool churn, long limit, Effort effort)
        where T : struct, IWork<T>
    {
        GC.Collect();
        Span<int> live = s_live.AsSpan(0, count);
        T work = Prepare(make, live, effort);
        var segments = new List<double>();
        long total = 0;
        long spent = 0;
        long bytes = 0;
        int at = 0;
        while (total < effort.Lap && spent < limit)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            long start = ThreadClock.CpuTime;
            long elapsed = 0;
            int done = 0;

            // Small steps until the speed is known, so that a slow case ends in time.
            int step = segments.Count == 0 || segments[0] > 2000 ? 16 : Math.Min(4096, effort.Segment);
            while (done < effort.Segment && elapsed < 15_000_000)
            {
                at = at + step > Numbers.Space ? 0 : at;
                if (churn)
                {
                    Loops.Churn(ref work, live, Numbers.Random.AsSpan(at), step);
                }
                else
                {
                    Loops.Pair(ref work, step);
                }

                done += step;
                at += step;
                if (step < 4096)
                {
                    elapsed = ThreadClock.CpuTime - start;
                    step = done == 256 && elapsed < 256 * 1000 ? Math.Min(4080, effort.Segment) : step;
                }
                else if (done % 16384 == 0)
                {
                    elapsed = ThreadClock.CpuTime - start;
                }
            }

            elapsed = ThreadClock.CpuTime - start;
            bytes += GC.GetAllocatedBytesForCurrentThread() - before;
            segments.Add((double)elapsed / done);
            total += done;
            spent += elapsed;
        }

        if (segments.Count > 3)
        {
            segments.RemoveAt(0);
        }

        return (Numbers.Median(segments), RowWriter.BytesEach(bytes, total));
    }

    /// <summary>Times filling the whole space, after it was full and empty once, and giving all back in random
    /// order.</summary>
    public static (double Fill, string FillNote, double Drain) FillAndDrain<T>(Func<int, T> make, Effort effort)
        where T : struct, IWork<T>
    {
        GC.Collect();
        T work = make(effort.Space);
        Span<int> live = s_live.AsSpan(0, effort.Space);
        Loops.Fill(ref work, live);
        Loops.Drain(ref work, live);
        long before = GC.GetAllocatedBytesForCurrentThread();
        long start = ThreadClock.CpuTime;
        Loops.Fill(ref work, live);
        long filled = ThreadClock.CpuTime - start;
        string note = RowWriter.BytesEach(GC.GetAllocatedBytesForCurrentThread() - before, live.Length);
        Numbers.Shuffle(live);
        start = ThreadClock.CpuTime;
        Loops.Drain(ref work, live);
        return ((double)filled / live.Length, note, (double)(ThreadClock.CpuTime - start) / live.Length);
    }
}
