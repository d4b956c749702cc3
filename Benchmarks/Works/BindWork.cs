// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Benchmarks.Measuring;
using PasidFramework.Engine;

namespace PasidFramework.Benchmarks.Works;

/// <summary>A whole bind and unbind by the core's public methods.</summary>
internal readonly struct BindWork : IWork<BindWork>
{
    private readonly BindSystem _system;
    private readonly IommuCore _core;
    private readonly Device[] _devices;
    private readonly IAddressSpace[] _spaces;
    private readonly int[] _spaceOf;
    private readonly IndexRing _free;

    public BindWork(BindSystemSetup setup)
        : this(new BindSystem(setup), 0)
    {
    }

    private BindWork(BindSystem system, int thread)
    {
        _system = system;
        _core = system.Core;
        _devices = system.Setup.DomainPerThread ? [system.Devices[thread]] : system.Devices;
        _spaces = system.Spaces;
        _spaceOf = system.SpaceOf;
        _free = system.Rings[thread];
    }

    public BindSystem System => _system;
    public bool HasOwnItems => _system.Setup.DomainPerThread;

    public int Take()
    {
        int space = _free.Take();
        OpResult<Pasid> bound = _core.Bind(DeviceOf(space), _spaces[space]);
        if (!bound.IsOk)
        {
            throw new InvalidOperationException(bound.Outcome.ToString());
        }

        _spaceOf[bound.Value.Value] = space;
        return (int)bound.Value.Value;
    }

    public void Give(int item)
    {
        int space = _spaceOf[item];
        OpResult unbound = _core.Unbind(DeviceOf(space), new Pasid((uint)item));
        if (!unbound.IsOk)
        {
            throw new InvalidOperationException(unbound.ToString());
        }

        _free.Put(space);
    }

    public BindWork ForThread(int thread) => new(_system, thread);

    private Device DeviceOf(int space) => _devices.Length == 1 ? _devices[0] : _devices[space % _devices.Length];
}
