// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Benchmarks.Measuring;
using PasidFramework.Benchmarks.Works;

namespace PasidFramework.Benchmarks.Rows;

/// <summary>Whole binds and unbinds through the core.</summary>
internal static class BindRows
{
    private const string TwoDomains = "bind-churn-own-domains";
    private const string OneDevice = "bind-churn-one-device";
    private const string Reader = "bind-pair-open-reader";
    private static readonly string[] s_workloads = ["bind-pair", "bind-churn", OneDevice, TwoDomains];

    public static Row[] Rows { get; } =
    [
        new("project core empty driver", [.. s_workloads, Reader], context =>
        {
            Measure(context, UnitKind.Empty);
            foreach (int pending in context.Effort.Pending)
            {
                context.Write(Reader, pending, 1, WithOpenReader(pending, context.Effort));
            }
        }),
        new("project core intel-vtd", [.. s_workloads, "bind-bulk"], context =>
        {
            Measure(context, UnitKind.IntelVtd);
            context.Write("bind-bulk", context.Effort.Space, 1, Bulk(context.Effort));
        }),
        new("project core arm-smmu", s_workloads, context => Measure(context, UnitKind.ArmSmmu)),
    ];

    private static void Measure(RowContext context, UnitKind kind)
    {
        Effort effort = context.Effort;
        BindWork Make(int count) => new(new BindSystemSetup { Kind = kind, Bindings = count });
        Measurement.WarmUp(Make, effort);
        foreach (int live in effort.BindLives)
        {
            string workload = live == 0 ? "bind-pair" : "bind-churn";
            context.Write(workload, live, 1, Measurement.Lap(Make, live, live != 0, effort.SlowLimit, effort));
        }

        int few = effort.BindLives[1];
        foreach (int threads in effort.Threads)
        {
            foreach (bool own in (bool[])[true, false])
            {
                BindWork MakeMany(int count) => new(new BindSystemSetup
                {
                    Allocator = PasidAllocators.Sharded,
                    Kind = kind,
                    Bindings = count,
                    Threads = threads,
                    DomainPerThread = own,
                });
                context.Write(
                    own ? TwoDomains : OneDevice,
                    few,
                    threads,
                    ManyThreads.Run(MakeMany, threads, few, churn: true, step: 4, effort));
            }
        }
    }

    // A reader that stays keeps every process that was bound since from being freed.
    private static (double Nanoseconds, string Note) WithOpenReader(int pending, Effort effort)
    {
        const int Step = 16;
        GC.Collect();
        var work = new BindWork(new BindSystemSetup { Bindings = 0 });
        Loops.Pair(ref work, 64);
        var segments = new List<double>();
        long bytes = 0;
        int before;
        int after;
        using (work.System.Core.EnterReadSection())
        {
            Loops.Pair(ref work, pending);
            before = work.System.Core.PendingReclaims;
            long start = ThreadClock.CpuTime;
            while (segments.Count < 16 && ThreadClock.CpuTime - start < effort.SlowLimit)
            {
                long allocated = GC.GetAllocatedBytesForCurrentThread();
                long begin = ThreadClock.CpuTime;
                Loops.Pair(ref work, Step);
                segments.Add((double)(ThreadClock.CpuTime - begin) / Step);
                bytes += GC.GetAllocatedBytesForCurrentThread() - allocated;
            }

            after = work.System.Core.PendingReclaims;
        }

        string note = RowWriter.BytesEach(bytes, segments.Count * Step);
        return (Numbers.Median(segments), Text($"{note}; {before} to {after} pending"));
    }

    // Every PASID of a domain bound, one by one.
    private static (double Nanoseconds, string Note) Bulk(Effort effort)
    {
        GC.Collect();
        int count = effort.Space - 1;
        var work = new BindWork(new BindSystemSetup { Kind = UnitKind.IntelVtd, Bindings = count });
        int[] live = new int[count];
        long allocated = GC.GetAllocatedBytesForCurrentThread();
        long begin = ThreadClock.CpuTime;
        Loops.Fill(ref work, live);
        long elapsed = ThreadClock.CpuTime - begin;
        return (
            (double)elapsed / count,
            RowWriter.BytesEach(GC.GetAllocatedBytesForCurrentThread() - allocated, count));
    }
}
