// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Options;
using PasidFramework.Allocation;
using PasidFramework.Engine;

namespace PasidFramework.Drivers.ArmSmmu.Tests;

/// <summary>The unit under the real core: what the thin adapter passes on.</summary>
public sealed class EngineTests : IDisposable
{
    private readonly Fixture _fixture = new();
    private readonly SmmuUnit _unit;
    private readonly IommuCore _core;
    private readonly SimulatedProcessSource _processes;
    private readonly IommuInstance _instance;

    public EngineTests()
    {
        _unit = _fixture.Start();
        _core = new IommuCore(new OptionsWrapper<PasidOptions>(new PasidOptions { Ownership = "vendor" }));
        _processes = new SimulatedProcessSource(_fixture.Memory);
        _core.Follow(_processes);
        _instance = _core.AddInstance("arm-smmu", _unit);
    }

    public void Dispose()
    {
        _processes.Dispose();
        _core.Dispose();
        Assert.Equal(0, _unit.Asids.LiveCount);
        Assert.Equal(0, _fixture.AllocatedBytes);
        _fixture.Dispose();
    }

    [Fact]
    public void D1_a_bound_PASID_leads_to_the_process_and_an_unbound_one_nowhere()
    {
        Device device = AddDevice(AddDomain("npu", 20), 0x18);
        IAddressSpace process = _processes.Start(100, "a").Value!;
        _fixture.TakeLog();

        Pasid pasid = _core.Bind(device, process).Value;

        Assert.Equal(new Pasid(1), pasid);
        Assert.Equal(process.PageTableRoot, _fixture.Read(0x18, pasid.Value).PageTableRoot);
        _fixture.TakeLog();

        Assert.True(_core.Invalidate(process, 0x1000, 0x2000).IsOk);
        Assert.Equal(["TLBI_NH_VA 1", "SYNC", "ATC_INV 18/1 size=0", "SYNC"], _fixture.TakeLog());

        Assert.True(_core.Unbind(device, pasid).IsOk);
        Assert.Equal(
            ["CFGI_CD 18/1 leaf=1", "SYNC", "TLBI_NH_ASID 1", "SYNC", "ATC_INV 18/1 size=52", "SYNC"],
            _fixture.TakeLog());
        Assert.Equal(0x0A, _fixture.Read(0x18, pasid.Value).FaultCode);
    }

    [Fact]
    public void D12_a_process_that_dies_bound_to_two_domains_records_no_event_until_its_device_drivers_know()
    {
        Device a = AddDevice(AddDomain("npu", 20), 0x18);
        Device b = AddDevice(AddDomain("gpu", 8), 0x19);
        IAddressSpace process = _processes.Start(100, "a").Value!;
        Pasid onA = _core.Bind(a, process).Value;
        Pasid onB = _core.Bind(b, process).Value;
        var seen = new List<TranslationStatus>();
        a.ProcessExited = (_, _, pasid) => seen.Add(_fixture.Read(0x18, pasid.Value).Status);
        b.ProcessExited = (_, _, pasid) => seen.Add(_fixture.Read(0x19, pasid.Value).Status);

        _processes.Exit(100);

        Assert.Equal([TranslationStatus.AbortedQuietly, TranslationStatus.AbortedQuietly], seen);
        Assert.Empty(_fixture.Events());
        Assert.Equal(0x0A, _fixture.Read(0x18, onA.Value).FaultCode);
        Assert.Equal(0x0A, _fixture.Read(0x19, onB.Value).FaultCode);
    }

    [Fact]
    public void C5_two_devices_of_one_domain_share_the_entry_until_the_last_is_unbound()
    {
        Domain domain = AddDomain("npu", 20);
        Device a = AddDevice(domain, 0x18);
        Device b = AddDevice(domain, 0x19);
        IAddressSpace process = _processes.Start(100, "a").Value!;
        Pasid pasid = _core.Bind(a, process).Value;
        Assert.Equal(pasid, _core.Bind(b, process).Value);

        Assert.True(_core.Unbind(a, pasid).IsOk);
        Assert.Equal(process.PageTableRoot, _fixture.Read(0x19, pasid.Value).PageTableRoot);
        Assert.True(_core.RemoveDevice(b).IsOk);

        Assert.Equal(0x0A, _fixture.Read(0x18, pasid.Value).FaultCode);
        Assert.Equal(0x04, _fixture.Read(0x19, pasid.Value).FaultCode);
    }

    [Fact]
    public void Refusals_of_the_driver_come_through_the_core()
    {
        OpResult<Device> refused = _core.AddDevice(
            AddDomain("npu", 8), "far", new RequesterId(0x10000), PasidRange.OfWidth(8));
        Refused(Errno.EINVAL, "0x10000", refused);
    }

    [Fact]
    public void Objects_of_another_unit_are_misuse()
    {
        Domain domain = AddDomain("npu", 8);
        domain.DriverState = null;
        OpResult<Device> added = _core.AddDevice(domain, "x", new RequesterId(1), PasidRange.OfWidth(8));
        Refused(Errno.EIO, nameof(ArgumentException), added);
        Assert.Throws<ArgumentException>(() => ((IIommuUnit)_unit).FreeProcess(null!, new object()));
        domain.DriverState = _unit.CreateDomain(8).Value;
    }

    [Fact]
    public void Threads_that_bind_and_processes_that_exit_leave_nothing_behind()
    {
        const int Rounds = 100;
        Device[] devices = [AddDevice(AddDomain("npu", 20), 0x18), AddDevice(AddDomain("gpu", 11), 0x19)];
        var processes = new IAddressSpace[Rounds];
        for (int round = 0; round < Rounds; round++)
        {
            processes[round] = _processes.Start(1000 + round, "p").Value!;
        }

        Race.Run(3, (thread, barrier) =>
        {
            for (int round = 0; round < Rounds; round++)
            {
                barrier.SignalAndWait();
                if (thread == 2)
                {
                    _processes.Exit(1000 + round);
                }
                else if (_core.Bind(devices[thread], processes[round]) is { IsOk: true } bound)
                {
                    _ = _core.Unbind(devices[thread], bound.Value);
                }
            }
        });

        for (uint pasid = 1; pasid < 300; pasid++)
        {
            Assert.NotEqual(TranslationStatus.ReachedPageTable, _fixture.Read(0x18, pasid).Status);
            Assert.NotEqual(TranslationStatus.ReachedPageTable, _fixture.Read(0x19, pasid).Status);
        }
    }

    [Fact]
    public void The_driver_says_what_it_is()
    {
        var attribute = (PasidDriverAttribute)Attribute.GetCustomAttribute(
            typeof(SmmuDriver), typeof(PasidDriverAttribute))!;
        Assert.Equal(
            ("arm-smmu", "arm-smmuv3", 20, "Arm", 1),
            (attribute.Name, attribute.TableFormat, attribute.PasidBits, attribute.Vendor, attribute.ContractMajor));
    }

    private Domain AddDomain(string name, int bits)
    {
        OpResult<Domain> domain = _core.CreateDomain(_instance, name, bits);
        Assert.True(domain.IsOk, domain.ToString());
        return domain.Value;
    }

    private Device AddDevice(Domain domain, uint requester)
    {
        OpResult<Device> device = _core.AddDevice(
            domain,
            $"dev{requester:x}",
            new RequesterId(requester),
            PasidRange.OfWidth(domain.PasidBits),
            DeviceFeatures.Ats);
        Assert.True(device.IsOk, device.ToString());
        return device.Value;
    }
}
