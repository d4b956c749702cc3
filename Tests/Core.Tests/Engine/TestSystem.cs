// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Core.Tests.Engine;

/// <summary>A core with simulated processes and recording drivers.</summary>
internal sealed class TestSystem : IDisposable
{
    public TestSystem(Action<PasidOptions>? configure = null, ICoreObserver? observer = null)
    {
        var options = new PasidOptions();
        configure?.Invoke(options);
        Core = new IommuCore(new OptionsWrapper<PasidOptions>(options), null, observer);
        Memory = new SystemMemory();
        Processes = new SimulatedProcessSource(Memory);
        Core.Follow(Processes);
    }

    public IommuCore Core { get; }
    public SystemMemory Memory { get; }
    public SimulatedProcessSource Processes { get; }

    public RecordingUnit AddUnit(RecordingUnit? unit = null, string driver = "test")
    {
        unit ??= new RecordingUnit { Name = $"unit{Core.Instances.Count}" };
        Core.AddInstance(driver, unit);
        return unit;
    }

    public Domain AddDomain(RecordingUnit unit, string name = "domain", int bits = 20, bool nesting = false)
    {
        IommuInstance instance = Core.Instances.Single(i => ReferenceEquals(i.Unit, unit));
        OpResult<Domain> made = Core.CreateDomain(instance, name, bits, nesting);
        Assert.True(made.IsOk, made.ToString());
        return made.Value;
    }

    public Device AddDevice(Domain domain, uint requester, int bits = 20)
    {
        OpResult<Device> made = Core.AddDevice(
            domain, $"dev{requester}", new RequesterId(requester), bits == 0 ? PasidRange.Empty
                : PasidRange.OfWidth(bits));
        Assert.True(made.IsOk, made.ToString());
        return made.Value;
    }

    /// <summary>One unit, one domain, as many devices as asked for.</summary>
    public (RecordingUnit Unit, Domain Domain, Device[] Devices) AddSimple(int devices = 1)
    {
        RecordingUnit unit = AddUnit();
        Domain domain = AddDomain(unit);
        return (unit, domain, [.. Enumerable.Range(1, devices).Select(i => AddDevice(domain, (uint)i))]);
    }

    public IAddressSpace Start(int pid, string tenant = "")
    {
        OpResult<IAddressSpace> made = Processes.Start(pid, $"p{pid}", tenant);
        Assert.True(made.IsOk, made.ToString());
        return made.Value;
    }

    public Pasid Bind(Device device, IAddressSpace process)
    {
        OpResult<Pasid> bound = Core.Bind(device, process);
        Assert.True(bound.IsOk, bound.ToString());
        return bound.Value;
    }

    public void Dispose()
    {
        Processes.Dispose();
        Core.Dispose();
    }
}
