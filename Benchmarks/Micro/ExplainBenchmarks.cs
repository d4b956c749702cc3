// SPDX-License-Identifier: Apache-2.0
using BenchmarkDotNet.Attributes;
using PasidFramework.Drivers.IntelVtd.Formats;
using PasidFramework.Records;

namespace PasidFramework.Benchmarks.Micro;

/// <summary>What one line of <c>explain</c> asks of a VT-d PASID entry: every named field's value and meaning, and
/// everything that is wrong.</summary>
[MemoryDiagnoser]
public class ExplainBenchmarks
{
    private readonly Layout _layout = IntelVtdLayouts.All.Single(l => l.Id == "intel-vtd/pasid_entry");
    private readonly ulong[] _words = [0x49, 0x800001, 0x1_0abc_d001, 0, 0, 0, 0, 0];

    [GlobalSetup]
    public void Start()
    {
        if (Check() != 0 || Fields() == 0)
        {
            throw new InvalidOperationException("The example is not a well-formed entry with meanings.");
        }
    }

    [Benchmark]
    public int Fields()
    {
        int explained = 0;
        foreach (LayoutField field in _layout.Fields)
        {
            if (field.IsNamed)
            {
                explained += field.Get(_words) != 0 && field.Explain(_words) is not null ? 1 : 0;
            }
        }

        return explained;
    }

    [Benchmark]
    public int Check() => _layout.Check(_words).Count;
}
