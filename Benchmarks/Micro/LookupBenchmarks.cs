// SPDX-License-Identifier: Apache-2.0
using BenchmarkDotNet.Attributes;
using PasidFramework.Benchmarks.Works;
using PasidFramework.Engine;

namespace PasidFramework.Benchmarks.Micro;

/// <summary>From a PASID to its process, as a fault handler does it: looking, and looking with a reference.</summary>
[MemoryDiagnoser]
public class LookupBenchmarks
{
    private const int Operations = 1024;
    private readonly IommuProcess?[] _array = new IommuProcess?[Operations];
    private PasidSpace _space = null!;

    [GlobalSetup]
    public void Start()
    {
        var work = new BindWork(new BindSystemSetup { Bindings = Operations });
        _space = work.System.Devices[0].Domain.Space;
        for (int i = 0; i < Operations; i++)
        {
            int pasid = work.Take();
            _array[pasid] = _space.Peek(new Pasid((uint)pasid));
        }
    }

    [Benchmark(Baseline = true, OperationsPerInvoke = Operations)]
    public int RawArray()
    {
        int found = 0;
        for (int i = 0; i < Operations; i++)
        {
            found += _array[i] is null ? 0 : 1;
        }

        return found;
    }

    [Benchmark(OperationsPerInvoke = Operations)]
    public int Peek()
    {
        int found = 0;
        for (int i = 0; i < Operations; i++)
        {
            found += _space.Peek(new Pasid((uint)i)) is null ? 0 : 1;
        }

        return found;
    }

    [Benchmark(OperationsPerInvoke = Operations)]
    public void FindAndPut()
    {
        for (int i = 0; i < Operations; i++)
        {
            _space.Find(new Pasid((uint)i))?.Put();
        }
    }
}
