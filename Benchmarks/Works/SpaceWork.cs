// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Benchmarks.Measuring;
using PasidFramework.Engine;

namespace PasidFramework.Benchmarks.Works;

/// <summary>
/// A PASID space as the core uses it: take a PASID and publish its process; withdraw it and give the PASID back. What a
/// kernel's <c>idr_alloc</c> and <c>idr_remove</c> under a lock do. As there, the object that is published is always
/// the same.
/// </summary>
internal readonly struct SpaceWork : IWork<SpaceWork>
{
    private readonly IommuCore _core;
    private readonly PasidSpace _space;
    private readonly ProcessRecord _process;
    private readonly PasidRange _range;

    /// <summary>Makes a core with a space.</summary>
    /// <param name="space">PASIDs in it, from 0.</param>
    /// <param name="allocator">Name of the policy.</param>
    public SpaceWork(int space, string allocator)
        : this(System(space, allocator))
    {
    }

    private SpaceWork(BindSystem system)
        : this(system.Core, system.Devices[0].Domain.Space, 0)
    {
    }

    private SpaceWork(IommuCore core, PasidSpace space, int thread)
    {
        _core = core;
        _space = space;
        _range = space.Range;
        _process = new ProcessRecord();
        _process.Begin(core, new BenchmarkSpace(thread));
    }

    /// <summary>Where a reader finds what is published.</summary>
    public PasidSpace Space => _space;

    public int Take()
    {
        OpResult<Pasid> taken = _space.Take(_process.AddressSpace, _range, 0);
        if (!taken.IsOk)
        {
            return -1;
        }

        _space.Publish(taken.Value, _process);
        return (int)taken.Value.Value;
    }

    public void Give(int item)
    {
        var pasid = new Pasid((uint)item);
        _space.Withdraw(pasid);
        _space.Return(pasid, _process.AddressSpace, isRetired: false);
    }

    public SpaceWork ForThread(int thread) => new(_core, _space, thread);

    private static BindSystem System(int space, string allocator) =>
        new(new BindSystemSetup { Bindings = 0, LastPasid = space - 1, Allocator = allocator });
}
