// SPDX-License-Identifier: Apache-2.0
using BenchmarkDotNet.Attributes;
using PasidFramework.Benchmarks.Works;

namespace PasidFramework.Benchmarks.Micro;

/// <summary>A PASID table entry set and cleared, without core and queue.</summary>
[MemoryDiagnoser]
public class EntryBenchmarks
{
    private EntryWork _work;

    [Params("intel-vtd", "arm-smmu")]
    public string Format { get; set; } = string.Empty;

    [GlobalSetup]
    public void Start() =>
        _work = new EntryWork(Enum.GetValues<UnitKind>().Single(k => Units.NameOf(k) == Format), 1024);

    [Benchmark]
    public void SetAndClear() => _work.Give(_work.Take());
}
