// SPDX-License-Identifier: Apache-2.0
using BenchmarkDotNet.Attributes;
using PasidFramework.Benchmarks.Works;
using PasidFramework.DriverKit.PageTables;

namespace PasidFramework.Benchmarks.Micro;

/// <summary>Walks of page tables that map 1024 neighbouring pages, through the one walker of all formats.</summary>
[MemoryDiagnoser]
public class PageTableBenchmarks
{
    private const int Pages = 1024;
    private const ulong First = 0x4000_0000;
    private const ulong Target = 0x8000_0000;
    private readonly SystemMemory _memory = new();
    private RadixFormat _format = null!;
    private IPageTable _table = null!;

    [ParamsSource(nameof(Formats))]
    public string Format { get; set; } = string.Empty;

    public static IEnumerable<string> Formats => CpuPageTables.All.Where(f => f.PageShift == 12).Select(f => f.Name);

    [GlobalSetup]
    public void Start()
    {
        _format = CpuPageTables.All.Single(f => f.Name == Format);
        _table = Units.Ok(_format.Create(_memory));
        for (ulong page = 0; page < Pages; page++)
        {
            Units.Ok(_table.Map(First + (page << 12), Target + (page << 12), writable: true));
        }

        if (WalkAll() != Pages)
        {
            throw new InvalidOperationException($"{Format}: not every page was reached.");
        }
    }

    [GlobalCleanup]
    public void Stop() => _table.Dispose();

    [Benchmark(OperationsPerInvoke = Pages)]
    public int WalkAll()
    {
        var walk = new Walk(_memory);
        for (ulong page = 0; page < Pages; page++)
        {
            PageWalker.Walk(
                _format, _table.Root, _format.Levels, First + (page << 12), PageRights.All, ref walk);
        }

        return walk.Leaves;
    }

    private struct Walk(SystemMemory memory) : IPageWalk
    {
        public int Leaves;

        public readonly bool Read(in WalkStep step, out ulong entry)
        {
            entry = memory.ReadQword(step.Address);
            return true;
        }

        public WalkNext Visit(in WalkStep step, ref ulong entry, EntryKind kind, ref PageRights rights)
        {
            Leaves += kind == EntryKind.Leaf ? 1 : 0;
            return WalkNext.Descend;
        }
    }
}
