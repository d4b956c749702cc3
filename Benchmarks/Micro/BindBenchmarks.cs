// SPDX-License-Identifier: Apache-2.0
using BenchmarkDotNet.Attributes;
using PasidFramework.Benchmarks.Works;

namespace PasidFramework.Benchmarks.Micro;

/// <summary>Binds and unbinds through the core, one after another, over each kind of unit.</summary>
[MemoryDiagnoser]
public class BindBenchmarks
{
    private const int Operations = 4096;
    private readonly int[] _pasids = new int[Operations];
    private BindWork _work;

    [Params("empty driver", "intel-vtd", "arm-smmu")]
    public string Driver { get; set; } = string.Empty;

    [GlobalSetup]
    public void Start() =>
        _work = new BindWork(new BindSystemSetup
        {
            Kind = Enum.GetValues<UnitKind>().Single(k => Units.NameOf(k) == Driver),
            Bindings = Operations,
        });

    [IterationSetup(Target = nameof(Unbind))]
    public void BindAll() => Bind();

    [IterationCleanup(Target = nameof(Bind))]
    public void UnbindAll() => Unbind();

    [Benchmark(OperationsPerInvoke = Operations)]
    public void Bind()
    {
        for (int i = 0; i < Operations; i++)
        {
            _pasids[i] = _work.Take();
        }
    }

    [Benchmark(OperationsPerInvoke = Operations)]
    public void Unbind()
    {
        for (int i = 0; i < Operations; i++)
        {
            _work.Give(_pasids[i]);
        }
    }
}
