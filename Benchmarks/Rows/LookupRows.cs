// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;
using PasidFramework.Benchmarks.Measuring;
using PasidFramework.Benchmarks.Works;
using PasidFramework.Engine;

namespace PasidFramework.Benchmarks.Rows;

/// <summary>
/// From a PASID to its process, against an index into an array of the same objects in the same loop: independent
/// lookups (<c>thr</c>), each of which waits for the last one's result (<c>lat</c>), and with a reference taken and
/// given back (<c>ref</c>).
/// </summary>
internal static class LookupRows
{
    private static readonly string[] s_cases = ["dense", "spread", "all"];
    private static readonly Lazy<Found> s_found = new();
    private static volatile int s_zero;
    private static long s_sink;

    private delegate long Loop<T>(T find, ReadOnlySpan<int> pasids)
        where T : struct, IFind;

    private interface IFind
    {
        IommuProcess? Find(int pasid);
    }

    public static Row[] Rows { get; } =
    [
        new("project raw array", [.. Names("thr"), .. Names("lat")], context =>
            Measure(context, found => new RawArray(found.Processes))),
        new("project lookup", [.. Names("thr"), .. Names("lat"), .. Names("ref"), "lookup-vs-churn"], context =>
        {
            Measure(context, found => new Peek(found.Space));
            context.Write("lookup-vs-churn", context.Effort.Lives[1], 2, BesideChurn(context.Effort));
        }),
    ];

    private static IEnumerable<string> Names(string kind) => s_cases.Select(c => $"lookup-{kind}-{c}");

    private static void Measure<T>(RowContext context, Func<Found, T> make)
        where T : struct, IFind
    {
        Found found = s_found.Value;
        found.Make(context.Effort.Space);
        T find = make(found);
        bool warm = false;

        // Written here so that the compiler cannot know it.
        s_zero = 0;
        int[] sequence = GC.AllocateUninitializedArray<int>(Numbers.Space, pinned: true);
        using var section = found.Core.EnterReadSection();
        foreach ((string name, int count) in Cases(context.Effort))
        {
            for (int i = 0; i < sequence.Length; i++)
            {
                int at = (int)(((ulong)Numbers.Random[i] * (ulong)count) >> 32);
                sequence[i] = name == "spread" ? found.Order[at] : at;
            }

            GC.Collect();
            Time("thr", Independent);
            Time("lat", Dependent);
            if (context.Row.Workloads.Contains("lookup-ref-" + name))
            {
                Time("ref", (_, pasids) => TakeAndDrop(found.Space, pasids));
            }

            warm = true;

            void Time(string kind, Loop<T> loop) =>
                context.Write($"lookup-{kind}-{name}", count, 1, Best(find, sequence, loop, !warm, context.Effort));
        }
    }

    private static IEnumerable<(string Name, int Count)> Cases(Effort effort)
    {
        foreach (int live in effort.BindLives.Skip(1))
        {
            yield return ("dense", live);
            yield return ("spread", live);
        }

        yield return ("all", effort.Space);
    }

    private static (double Nanoseconds, string Note) Best<T>(
        T find, int[] sequence, Loop<T> loop, bool warm, Effort effort)
        where T : struct, IFind
    {
        long end = ThreadClock.WallTime + (warm ? effort.WarmUp / 3 : 0);
        for (int round = 1; ThreadClock.WallTime < end || round < 64; round++)
        {
            s_sink += loop(find, sequence.AsSpan(0, 64));
            if (warm && round % 64 == 0)
            {
                Thread.Sleep(5);
            }
        }

        int length = Math.Min(sequence.Length / 2, effort.Lap);
        int chunk = Math.Min(16384, length);
        s_sink += loop(find, sequence.AsSpan(0, Math.Min(65536, length)));
        long best = long.MaxValue;
        long allocated = GC.GetAllocatedBytesForCurrentThread();
        for (int round = 0; round < 3; round++)
        {
            long begin = ThreadClock.CpuTime;
            for (int at = 0; at < length; at += chunk)
            {
                s_sink += loop(find, sequence.AsSpan(at, chunk));
            }

            best = Math.Min(best, ThreadClock.CpuTime - begin);
        }

        allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
        return ((double)best / length, RowWriter.BytesEach(allocated, 3L * length));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static long Independent<T>(T find, ReadOnlySpan<int> pasids)
        where T : struct, IFind
    {
        long sum = 0;
        for (int i = 0; i < pasids.Length; i++)
        {
            sum += find.Find(pasids[i]) is null ? 0 : 1;
        }

        return sum;
    }

    // The address of what was found, of which nothing is left, goes into the next index.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static long Dependent<T>(T find, ReadOnlySpan<int> pasids)
        where T : struct, IFind
    {
        nint last = 0;
        nint zero = s_zero;
        for (int i = 0; i < pasids.Length; i++)
        {
            IommuProcess? process = find.Find(pasids[i] + (int)(last & zero));
            last = Unsafe.As<IommuProcess?, nint>(ref process);
        }

        return last & 1;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static long TakeAndDrop(PasidSpace space, ReadOnlySpan<int> pasids)
    {
        long sum = 0;
        for (int i = 0; i < pasids.Length; i++)
        {
            if (space.Find(new Pasid((uint)pasids[i])) is { } process)
            {
                sum++;
                process.Put();
            }
        }

        return sum;
    }

    // Lookups on one CPU of PASIDs that stay, while another one takes and gives back others.
    private static (double Nanoseconds, string Note) BesideChurn(Effort effort)
    {
        int count = effort.Lives[1];
        var work = new SpaceWork(effort.Space, PasidAllocators.Cyclic);
        int[] stable = new int[count];
        int[] churned = GC.AllocateArray<int>(count, pinned: true);
        Loops.Fill(ref work, stable);
        Loops.Fill(ref work, churned);
        Numbers.Shuffle(churned);
        int[] sequence = new int[Numbers.Space / 2];
        for (int i = 0; i < sequence.Length; i++)
        {
            sequence[i] = stable[(int)(((ulong)Numbers.Random[i] * (ulong)count) >> 32)];
        }

        long progress = 0;
        bool stop = false;
        using var start = new Barrier(2);
        var other = new Thread(() =>
        {
            ThreadClock.PinTo(1);
            start.SignalAndWait();
            for (int at = 0; !Volatile.Read(ref stop); at = (at + 32) & (Numbers.Space - 1))
            {
                Loops.Churn(ref work, churned, Numbers.Random.AsSpan(at), 32);
                Volatile.Write(ref progress, progress + 1);
            }
        }) { IsBackground = true };
        (double Nanoseconds, string Note) result = default;
        var reader = new Thread(() =>
        {
            ThreadClock.PinTo(0);
            start.SignalAndWait();
            result = Read(new Peek(work.Space), sequence, () => Volatile.Read(ref progress), effort);
        }) { IsBackground = true };
        other.Start();
        reader.Start();
        reader.Join();
        Volatile.Write(ref stop, true);
        other.Join();
        return result;
    }

    private static (double Nanoseconds, string Note) Read(
        Peek find, int[] sequence, Func<long> progress, Effort effort)
    {
        var chunks = new List<double>();
        long end = ThreadClock.WallTime + (4 * effort.SlowLimit);
        long before = progress();
        int length = 1024;
        int seen = 0;
        for (int at = 0; ThreadClock.WallTime < end && chunks.Count < 200; at = (at + length) % (sequence.Length / 2))
        {
            long begin = ThreadClock.WallTime;
            s_sink += Independent(find, sequence.AsSpan(at, length));
            long elapsed = ThreadClock.WallTime - begin;
            long now = progress();
            seen++;
            if (elapsed < 20_000 && length < 65536)
            {
                length *= 2;
                chunks.Clear();
            }
            else if (now - before >= 2)
            {
                chunks.Add((double)elapsed / length);
            }

            before = now;
        }

        return (chunks.Count < 10 ? 0 : Numbers.Median(chunks), Text($"{chunks.Count}/{seen} chunks"));
    }

    private readonly struct RawArray(IommuProcess?[] processes) : IFind
    {
        public IommuProcess? Find(int pasid) => processes[pasid];
    }

    private readonly struct Peek(PasidSpace space) : IFind
    {
        public IommuProcess? Find(int pasid) => space.Peek(new Pasid((uint)pasid));
    }

    // A whole space of bound processes, made once: PASID n was bound as the n-th.
    private sealed class Found
    {
        private BindSystem? _system;

        public IommuCore Core => _system!.Core;
        public PasidSpace Space => _system!.Devices[0].Domain.Space;
        public IommuProcess?[] Processes { get; private set; } = [];
        public int[] Order { get; private set; } = [];

        public void Make(int count)
        {
            if (_system is not null)
            {
                return;
            }

            var work = new BindWork(new BindSystemSetup { Bindings = count });
            _system = work.System;
            Order = new int[count];
            Loops.Fill(ref work, Order);
            Processes = [.. Order.Select(pasid => Space.Peek(new Pasid((uint)pasid)))];
            if (Order.Index().Any(o => o.Index != o.Item))
            {
                throw new InvalidOperationException("PASIDs were not allocated in ascending order.");
            }

            Numbers.Shuffle(Order);
        }
    }
}
