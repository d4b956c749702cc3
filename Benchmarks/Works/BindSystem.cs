// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Options;
using PasidFramework.Benchmarks.Measuring;
using PasidFramework.Engine;

namespace PasidFramework.Benchmarks.Works;

/// <summary>What a system is made of.</summary>
internal sealed record BindSystemSetup
{
    public UnitKind Kind { get; init; }

    /// <summary>Processes that will be bound at once.</summary>
    public required int Bindings { get; init; }

    /// <summary>Name of the policy.</summary>
    public string Allocator { get; init; } = PasidAllocators.Cyclic;

    /// <summary>Threads that bind at once.</summary>
    public int Threads { get; init; } = 1;

    /// <summary>Whether each thread has a domain and a device of its own.</summary>
    public bool DomainPerThread { get; init; }

    /// <summary>Largest PASID.</summary>
    public long LastPasid { get; init; } = Pasid.MaxValue;

    /// <summary>Wraps each unit before the core gets it.</summary>
    public Func<IIommuUnit, IIommuUnit> Wrap { get; init; } = unit => unit;
}

/// <summary>A whole system: core, units, domains, devices, and the address spaces that are bound.</summary>
internal sealed class BindSystem
{
    /// <summary>Address spaces per thread beyond those that are bound: the one that comes is not the one that just
    /// left.</summary>
    private const int Spare = 64;

    /// <summary>Sets a system up.</summary>
    public BindSystem(BindSystemSetup setup)
    {
        Setup = setup;
        int first = setup.Kind == UnitKind.Empty ? 0 : 1;
        Core = new IommuCore(Options.Create(new PasidOptions
        {
            Allocator = setup.Allocator,
            First = first,
            Last = setup.LastPasid,
        }));
        int total = setup.Bindings + (Spare * setup.Threads);
        int most = Units.MaxProcesses(setup.Kind);
        int units = Math.Max(1, (setup.Bindings + most - 1) / most);
        int devices = setup.DomainPerThread ? setup.Threads : units;
        IommuInstance[] instances =
        [
            .. Enumerable.Range(0, units).Select(i =>
                Core.AddInstance(Units.NameOf(setup.Kind), setup.Wrap(Units.Start(setup.Kind, Text($"unit{i}"))))),
        ];
        Devices =
        [
            .. Enumerable.Range(0, devices).Select(i =>
            {
                Domain domain = Units.Ok(
                    Core.CreateDomain(instances[i % instances.Length], Text($"domain{i}"), Pasid.MaxBits));
                return Units.Ok(Core.AddDevice(
                    domain, Text($"device{i}"), new RequesterId((uint)i + 1), PasidRange.OfWidth(Pasid.MaxBits)));
            }),
        ];
        Spaces = new IAddressSpace[total];
        for (int i = 0; i < total; i++)
        {
            Spaces[i] = new BenchmarkSpace(i);
        }

        // A thread without a domain of its own gives back what another took, so the first one brings all.
        Rings = new IndexRing[setup.Threads];
        int next = 0;
        for (int i = 0; i < setup.Threads; i++)
        {
            int bound = setup.DomainPerThread ? (setup.Bindings / setup.Threads) + 1 : i == 0 ? setup.Bindings : 0;
            Rings[i] = new IndexRing(total);
            for (int count = bound + Spare; count > 0 && next < total; count--)
            {
                Rings[i].Put(next++);
            }
        }
    }

    public BindSystemSetup Setup { get; }
    public IommuCore Core { get; }
    public Device[] Devices { get; }
    public IAddressSpace[] Spaces { get; }

    /// <summary>Per thread the address spaces that are not bound, by index.</summary>
    public IndexRing[] Rings { get; }

    /// <summary>Index of the address space that has a PASID.</summary>
    public int[] SpaceOf { get; } = new int[Numbers.Space];
}
