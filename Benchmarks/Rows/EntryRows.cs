// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Benchmarks.Measuring;
using PasidFramework.Benchmarks.Works;

namespace PasidFramework.Benchmarks.Rows;

/// <summary>What a bind consists of beside the core, each part alone.</summary>
internal static class EntryRows
{
    private const string Cold = "bind-bulk-cold";

    public static Row[] Rows { get; } =
    [
        Entry("project vtd entry", UnitKind.IntelVtd),
        Entry("project smmu entry", UnitKind.ArmSmmu),
        .. Parts(UnitKind.IntelVtd),
        .. Parts(UnitKind.ArmSmmu),
    ];

    private static Row Entry(string name, UnitKind kind) =>
        new(name, ["bind-pair", "bind-churn", "bind-bulk", Cold], context =>
        {
            Measure(context, count => new EntryWork(kind, count));
            context.Write("bind-bulk", context.Effort.Space, 1, Bulk(kind, cold: false, context.Effort));
            context.Write(Cold, context.Effort.Space, 1, Bulk(kind, cold: true, context.Effort));
        });

    private static Row[] Parts(UnitKind kind) =>
    [
        new($"project {Units.NameOf(kind)} without core", ["bind-pair", "bind-churn"], context =>
            Measure(context, count => new AttachWork(kind, count))),
        new($"project {Units.NameOf(kind)} queue", ["bind-pair"], context =>
        {
            QueueWork Make(int count) => new(kind);
            Measurement.WarmUp(Make, context.Effort);
            context.Write(
                "bind-pair", 0, 1, Measurement.Lap(Make, 0, false, context.Effort.SlowLimit, context.Effort));
        }),
    ];

    private static void Measure<T>(RowContext context, Func<int, T> make)
        where T : struct, IWork<T>
    {
        Effort effort = context.Effort;
        Measurement.WarmUp(make, effort);
        foreach (int live in effort.BindLives)
        {
            string workload = live == 0 ? "bind-pair" : "bind-churn";
            context.Write(workload, live, 1, Measurement.Lap(make, live, live != 0, effort.SlowLimit, effort));
        }
    }

    // Every entry of a table set, one by one: in leaves that are there already, or in memory that was never touched.
    private static (double Nanoseconds, string Note) Bulk(UnitKind kind, bool cold, Effort effort)
    {
        double best = double.MaxValue;
        string note = string.Empty;
        int count = effort.Space - 1;
        int[] items = new int[count];
        var work = new EntryWork(kind, count - 64);
        if (!cold)
        {
            Loops.Fill(ref work, items);
            Loops.Drain(ref work, items);
        }

        for (int round = 0; round < 3; round++)
        {
            if (cold && round > 0)
            {
                work = new EntryWork(kind, count - 64);
            }

            GC.Collect();
            long allocated = GC.GetAllocatedBytesForCurrentThread();
            long begin = ThreadClock.CpuTime;
            Loops.Fill(ref work, items);
            best = Math.Min(best, (double)(ThreadClock.CpuTime - begin) / count);
            note = RowWriter.BytesEach(GC.GetAllocatedBytesForCurrentThread() - allocated, count);
            if (!cold)
            {
                Loops.Drain(ref work, items);
            }
        }

        return (best, Text($"{note}; {best * count / 1e6:F1} ms"));
    }
}
