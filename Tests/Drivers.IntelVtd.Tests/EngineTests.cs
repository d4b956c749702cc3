// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Options;
using PasidFramework.Allocation;
using PasidFramework.Engine;

namespace PasidFramework.Drivers.IntelVtd.Tests;

/// <summary>The unit under the real core: what the thin adapter passes on.</summary>
public sealed class EngineTests : IDisposable
{
    private readonly Fixture _fixture = new();
    private readonly long _before;
    private readonly IommuCore _core;
    private readonly SimulatedProcessSource _processes;
    private readonly IommuInstance _instance;

    public EngineTests()
    {
        _before = _fixture.Recorder.AllocatedBytes;
        IIommuUnit unit = Fixture.Ok(new VtdDriver().CreateUnit(_fixture.UnitSetup));
        _core = new IommuCore(new OptionsWrapper<PasidOptions>(new PasidOptions { Ownership = "vendor" }));
        _processes = new SimulatedProcessSource(_fixture.Memory);
        _core.Follow(_processes);
        _instance = _core.AddInstance("intel-vtd", unit);
    }

    public void Dispose()
    {
        _processes.Dispose();
        _core.Dispose();
        Assert.Equal(_before, _fixture.Recorder.AllocatedBytes);
        _fixture.Dispose();
    }

    [Fact]
    public void D1_D5_a_bound_PASID_leads_to_the_process_and_an_unbound_one_nowhere()
    {
        Device device = AddDevice(AddDomain("dsa", 20), Fixture.Nic, DeviceFeatures.Ats);
        IAddressSpace process = _processes.Start(100, "a").Value!;
        Pasid pasid = default;

        Assert.Equal(string.Empty, _fixture.Sequence(() => pasid = Fixture.Ok(_core.Bind(device, process))));
        Assert.Equal(new Pasid(1), pasid);
        Assert.Equal(process.PageTableRoot, _fixture.Read(Fixture.Nic, pasid.Value).PageTableRoot);

        string changed = _fixture.Sequence(() => Fixture.Ok(_core.Invalidate(process, 0x1000, 0x2000)));
        Assert.StartsWith("PIOTLB3", changed, StringComparison.Ordinal);
        Assert.Contains("PDEV:0118", changed, StringComparison.Ordinal);

        string unbound = _fixture.Sequence(() => Fixture.Ok(_core.Unbind(device, pasid)));
        string[] order = ["PC1", "PIOTLB2", "PDEV:0118"];
        Assert.Equal(order, unbound.Split(' ').Where(d => order.Contains(d)));
        Assert.Equal(0x59, _fixture.Read(Fixture.Nic, pasid.Value).FaultCode);
    }

    [Fact]
    public void D12_a_process_that_dies_is_quiet_until_its_device_drivers_know()
    {
        Device a = AddDevice(AddDomain("dsa", 20), Fixture.Nic, DeviceFeatures.Ats);
        Device b = AddDevice(AddDomain("gpu", 8), Fixture.Gpu, DeviceFeatures.None);
        IAddressSpace process = _processes.Start(100, "a").Value!;
        Pasid pasid = Fixture.Ok(_core.Bind(a, process));
        Assert.Equal(pasid, Fixture.Ok(_core.Bind(b, process)));
        var seen = new List<TranslationStatus>();
        a.ProcessExited = (_, _, pasid) => seen.Add(_fixture.Read(Fixture.Nic, pasid.Value).Status);
        b.ProcessExited = (_, _, pasid) => seen.Add(_fixture.Read(Fixture.Gpu, pasid.Value).Status);

        _processes.Exit(100);

        Assert.Equal([TranslationStatus.AbortedQuietly, TranslationStatus.AbortedQuietly], seen);
        Assert.Equal(0x59, _fixture.Read(Fixture.Nic, pasid.Value).FaultCode);
    }

    [Fact]
    public void C5_two_devices_of_one_domain_share_the_entry_until_the_last_is_unbound()
    {
        Domain domain = AddDomain("dsa", 20);
        Device a = AddDevice(domain, Fixture.Nic, DeviceFeatures.Ats);
        Device b = AddDevice(domain, Fixture.Gpu, DeviceFeatures.Ats | DeviceFeatures.Pri);
        IAddressSpace process = _processes.Start(100, "a").Value!;
        Pasid pasid = Fixture.Ok(_core.Bind(a, process));
        Assert.Equal(pasid, Fixture.Ok(_core.Bind(b, process)));

        Fixture.Ok(_core.Unbind(a, pasid));
        Assert.Equal(process.PageTableRoot, _fixture.Read(Fixture.Gpu, pasid.Value).PageTableRoot);
        Fixture.Ok(_core.RemoveDevice(b));

        Assert.Equal(0x59, _fixture.Read(Fixture.Nic, pasid.Value).FaultCode);
        Assert.NotEqual(TranslationStatus.ReachedPageTable, _fixture.Read(Fixture.Gpu, pasid.Value).Status);
    }

    [Fact]
    public void Vendor_ownership_is_one_space_over_all_domains_and_units()
    {
        Device a = AddDevice(AddDomain("dsa", 20), Fixture.Nic, DeviceFeatures.None);
        Device b = AddDevice(AddDomain("gpu", 16), Fixture.Gpu, DeviceFeatures.None);

        Pasid first = Fixture.Ok(_core.Bind(a, _processes.Start(100, "a").Value!));
        Pasid second = Fixture.Ok(_core.Bind(b, _processes.Start(101, "b").Value!));

        Assert.Same(a.Domain.Space, b.Domain.Space);
        Assert.Equal("intel-vtd", a.Domain.Space.Name);
        Assert.NotEqual(first, second);
    }

    [Fact]
    public void C6_a_bind_whose_leaf_has_no_memory_leaves_nothing()
    {
        Device device = AddDevice(AddDomain("dsa", 20), Fixture.Nic, DeviceFeatures.Ats);
        IAddressSpace process = _processes.Start(100, "a").Value!;
        _fixture.Recorder.AllocationsLeft = 0;

        Assert.Equal(Errno.ENOMEM, _core.Bind(device, process).Errno);

        _fixture.Recorder.AllocationsLeft = null;
        Assert.Equal(0, device.Domain.Space.LiveCount);
        Assert.Equal(new Pasid(1), Fixture.Ok(_core.Bind(device, process)));
    }

    [Fact]
    public void Threads_that_bind_and_processes_that_exit_leave_nothing_behind()
    {
        _fixture.Recorder.IsRecording = false;
        Device[] devices =
        [
            AddDevice(AddDomain("dsa", 20), Fixture.Nic, DeviceFeatures.Ats),
            AddDevice(AddDomain("gpu", 20), Fixture.Gpu, DeviceFeatures.None),
        ];
        const int Rounds = 400;
        Race.Run(2, (thread, barrier) =>
        {
            for (int round = 0; round < Rounds; round++)
            {
                IAddressSpace process = _processes.Start((thread * 10_000) + round + 1, "p").Value!;
                barrier.SignalAndWait();
                OpResult<Pasid> bound = _core.Bind(devices[thread], process);
                Assert.True(bound.IsOk, bound.ToString());
                Assert.Equal(
                    process.PageTableRoot,
                    _fixture.Read(devices[thread].Requester, bound.Value.Value).PageTableRoot);
                if ((round & 1) == 0)
                {
                    _core.Unbind(devices[thread], bound.Value);
                }

                _processes.Exit(process.Pid);
            }
        });

        Assert.Equal(0, devices[0].Domain.Space.LiveCount);
    }

    private Domain AddDomain(string name, int bits) => Fixture.Ok(_core.CreateDomain(_instance, name, bits));

    private Device AddDevice(Domain domain, RequesterId requester, DeviceFeatures features) => Fixture.Ok(
        _core.AddDevice(domain, requester.ToString(), requester, PasidRange.OfWidth(domain.PasidBits), features));
}
