// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Benchmarks.Measuring;
using PasidFramework.Benchmarks.Works;

namespace PasidFramework.Benchmarks.Rows;

/// <summary>PASIDs alone, and PASIDs with the process that is published.</summary>
internal static class AllocationRows
{
    private const int Step = 64;
    private static readonly string[] s_workloads = ["pair", "churn", "fill-warm", "drain-random"];

    public static Row[] Rows { get; } =
    [
        new("project cyclic one owner", s_workloads, context => Measure(
            context, _ => new SingleOwnerWork(new SingleOwnerPasidAllocator(All(context))), false)),
        Allocator("project cyclic", range => new CyclicPasidAllocator(range), shared: true),
        Allocator("project lowest", range => new LowestPasidAllocator(range), shared: true),
        new("project cyclic with quarantine", ["pair", "churn"], MeasureQuarantine),
        Allocator("project sharded", range => new ShardedPasidAllocator(range), shared: true),
        Space("project space", PasidAllocators.Sharded),
        Space("project cyclic space", PasidAllocators.Cyclic),
    ];

    private static Row Space(string name, string allocator) => new(
        name, s_workloads, context => Measure(context, _ => new SpaceWork(context.Effort.Space, allocator), true));

    private static PasidRange All(RowContext context) => new(0, (uint)context.Effort.Space - 1);

    private static Row Allocator<T>(string name, Func<PasidRange, T> make, bool shared)
        where T : class, IPasidAllocator =>
        new(name, s_workloads, context => Measure(
            context,
            _ => new AllocatorWork<T>(make(All(context))),
            shared));

    // Not near full: nothing is free there while the last PASID that was freed waits.
    private static void MeasureQuarantine(RowContext context)
    {
        const int Frees = 64;
        Effort effort = context.Effort;
        var range = new PasidRange(0, (uint)effort.Space - 1);
        AllocatorWork<QuarantinePasidAllocator> Make(int count) =>
            new(new QuarantinePasidAllocator(new CyclicPasidAllocator(range), Frees, 0, TimeProvider.System));
        Measurement.WarmUp(Make, effort);
        foreach (int live in effort.BindLives)
        {
            string workload = live == 0 ? "pair" : "churn";
            context.Write(workload, live, 1, Measurement.Lap(Make, live, live != 0, effort.Limit, effort));
        }
    }

    private static void Measure<T>(RowContext context, Func<int, T> make, bool shared)
        where T : struct, IWork<T>
    {
        Effort effort = context.Effort;
        Measurement.WarmUp(make, effort);
        foreach (int live in effort.Lives)
        {
            bool isEnd = live == 0 || live == effort.Lives[^1];
            if (isEnd)
            {
                context.Write("pair", live, 1, Measurement.Lap(make, live, churn: false, effort.Limit, effort));
            }

            if (live != 0)
            {
                context.Write("churn", live, 1, Measurement.Lap(make, live, churn: true, effort.Limit, effort));
            }

            if (shared && (live != 0 || isEnd))
            {
                string workload = live == 0 ? "pair" : "churn";
                context.Write(workload, live, 2, ManyThreads.Run(make, 2, live, live != 0, Step, effort));
            }
        }

        if (shared)
        {
            foreach (int threads in effort.Threads.Skip(1))
            {
                int live = effort.Lives[1];
                context.Write("churn", live, threads, ManyThreads.Run(make, threads, live, churn: true, Step, effort));
            }
        }

        (double fill, string note, double drain) = Measurement.FillAndDrain(make, effort);
        context.Write("fill-warm", effort.Space, 1, (fill, note));
        context.Write("drain-random", effort.Space, 1, (drain, string.Empty));
    }
}
