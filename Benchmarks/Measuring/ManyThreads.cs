// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Benchmarks.Measuring;

/// <summary>
/// Several threads at once, by wall clock, each kept on one CPU. With a CPU for each: chunks of at least 20 us, of
/// which only those count during which every other thread went on; the result is one over the sum of the median rates.
/// With more threads than CPUs no chunk is undisturbed: operations of all over the time of all.
/// </summary>
internal static class ManyThreads
{
    private const int ChunkTime = 20_000;
    private const int MaxChunks = 8192;
    private const int EnoughChunks = 30;
    private const int FewestChunks = 10;

    /// <summary>Times <c>pair</c> or churn.</summary>
    /// <param name="make">Makes the work of the first thread.</param>
    /// <param name="count">How many are live, of all threads together.</param>
    /// <param name="step">Operations between two readings of the others: fewer where one costs microseconds, as a chunk
    /// should end before the thread's time slice.</param>
    /// <returns>Nanoseconds per operation of all threads together, 0 where too few chunks were undisturbed.</returns>
    public static (double Nanoseconds, string Note) Run<T>(
        Func<int, T> make, int threads, int count, bool churn, int step, Effort effort)
        where T : struct, IWork<T>
    {
        GC.Collect();
        T first = make(count);
        int[] live = GC.AllocateArray<int>(count + 64, pinned: true);
        T[] works = [.. Enumerable.Range(0, threads).Select(i => i == 0 ? first : first.ForThread(i))];
        if (!first.HasOwnItems)
        {
            Loops.Fill(ref first, live.AsSpan(0, count));
            Numbers.Shuffle(live.AsSpan(0, count));
            if (count < effort.Space / 2)
            {
                Measurement.Settle(ref first, live.AsSpan(0, count));
            }
        }

        using var start = new Barrier(threads + 1);
        var sides = new Side<T>[threads];
        var running = new Thread[threads];
        for (int i = 0; i < threads; i++)
        {
            int from = count / threads * i;
            Memory<int> part = live.AsMemory(from, i == threads - 1 ? count - from : count / threads);
            if (first.HasOwnItems)
            {
                Loops.Fill(ref works[i], part.Span);
                Measurement.Settle(ref works[i], part.Span);
            }

            sides[i] = new Side<T>(works[i], part, churn, step, i);
        }

        for (int i = 0; i < threads; i++)
        {
            Side<T> own = sides[i];
            Side<T>[] others = [.. sides.Where(s => s != own)];
            running[i] = new Thread(() => own.Run(start, others)) { IsBackground = true };
            running[i].Start();
        }

        start.SignalAndWait();
        long began = ThreadClock.WallTime;
        bool hasCpus = threads <= Environment.ProcessorCount;
        for (int wait = 0; wait < 64; wait++)
        {
            Thread.Sleep(10);
            if (hasCpus ? sides.All(s => s.Count >= EnoughChunks) : ThreadClock.WallTime - began > effort.SlowLimit)
            {
                break;
            }
        }

        long ended = ThreadClock.WallTime;
        long operations = sides.Sum(s => s.Operations);
        foreach (Side<T> side in sides)
        {
            side.Stop();
        }

        foreach (Thread thread in running)
        {
            thread.Join();
        }

        if (!hasCpus)
        {
            int cpus = Environment.ProcessorCount;
            double milliseconds = (ended - began) / 1e6;
            return ((double)(ended - began) / Math.Max(1, operations),
                Text($"{operations} operations in {milliseconds:F0} ms; {threads} threads on {cpus} CPUs"));
        }

        string note = string.Join(' ', sides.Select(s => Text($"{s.Count}/{s.Seen}"))) + " chunks";
        return (sides.Any(s => s.Count < FewestChunks) ? 0 : 1 / sides.Sum(s => 1 / s.Median), note);
    }

    // One thread. What the others read of it lies on a cache line of its own.
    private sealed class Side<T>(T work, Memory<int> live, bool churn, int step, int cpu)
        where T : struct, IWork<T>
    {
        private const int Line = 16;
        private readonly long[] _progress = new long[2 * Line];
        private readonly List<double> _chunks = new(MaxChunks);
        private readonly T _work = work;
        private volatile bool _stop;
        private volatile int _count;

        public int Count => _count;
        public int Seen { get; private set; }
        public double Median => Numbers.Median(_chunks);
        public long Operations => Volatile.Read(ref _progress[Line]) * step;

        public void Stop() => _stop = true;

        public void Run(Barrier start, Side<T>[] others)
        {
            ThreadClock.PinTo(cpu);
            T own = _work;
            Span<int> items = live.Span;
            int at = cpu * 4096;
            int repeats = 4;
            long progress = 0;
            Span<long> before = stackalloc long[others.Length];
            start.SignalAndWait();
            _ = HaveGoneOn(others, before);
            while (!_stop)
            {
                long begin = ThreadClock.WallTime;
                for (int i = 0; i < repeats; i++)
                {
                    if (churn)
                    {
                        Loops.Churn(ref own, items, Numbers.Random.AsSpan(at), step);
                    }
                    else
                    {
                        Loops.Pair(ref own, step);
                    }

                    at = (at + step) & (Numbers.Space - 1);
                    Volatile.Write(ref _progress[Line], ++progress);
                }

                long elapsed = ThreadClock.WallTime - begin;
                bool went = HaveGoneOn(others, before);
                Seen++;
                if (elapsed < ChunkTime && repeats < 256)
                {
                    repeats *= 2;
                    _chunks.Clear();
                }
                else if (went && _chunks.Count < MaxChunks)
                {
                    _chunks.Add(elapsed / ((double)step * repeats));
                }

                _count = _chunks.Count;
            }
        }

        private static bool HaveGoneOn(Side<T>[] others, Span<long> before)
        {
            bool all = true;
            for (int i = 0; i < others.Length; i++)
            {
                long now = Volatile.Read(ref others[i]._progress[Line]);
                all &= now - before[i] >= 2;
                before[i] = now;
            }

            return all;
        }
    }
}
