// SPDX-License-Identifier: Apache-2.0
using BenchmarkDotNet.Attributes;
using PasidFramework.Benchmarks.Works;

namespace PasidFramework.Benchmarks.Micro;

/// <summary>A change of a process's mappings, passed through the core to the unit's queue.</summary>
[MemoryDiagnoser]
public class InvalidateBenchmarks
{
    private BindSystem _system = null!;

    [Params("empty driver", "intel-vtd", "arm-smmu")]
    public string Driver { get; set; } = string.Empty;

    [Params(1, 16)]
    public int Pages { get; set; }

    [GlobalSetup]
    public void Start()
    {
        var work = new BindWork(new BindSystemSetup
        {
            Kind = Enum.GetValues<UnitKind>().Single(k => Units.NameOf(k) == Driver),
            Bindings = 1,
        });
        _ = work.Take();
        _system = work.System;
    }

    [Benchmark]
    public OpResult Invalidate() =>
        _system.Core.Invalidate(_system.Spaces[0], 0x7000_0000, 0x7000_0000 + ((ulong)Pages * 4096));
}
