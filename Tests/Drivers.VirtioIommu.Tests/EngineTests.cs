// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Tests;

/// <summary>The unit under the real core: what the thin adapter passes on.</summary>
public sealed class EngineTests
{
    public static TheoryData<string> Dialects => Fixture.BothDialects;

    [Theory]
    [MemberData(nameof(Dialects))]
    public void D1_a_bound_number_leads_to_the_process_and_an_unbound_one_nowhere(string dialect)
    {
        using var system = new SystemUnderTest(dialect);
        Device device = system.AddDevice(system.AddDomain("npu", 16), 0x18, 16);
        IAddressSpace process = system.Processes.Start(100, "a").Value!;
        system.Hardware.Device.TakeLog();

        Pasid pasid = system.Bind(device, process);

        Assert.Equal(new Pasid(1), pasid);
        Assert.Equal(process.PageTableRoot, system.Access(0x18, pasid).PageTableRoot);
        Assert.Equal(["config 1/1"], system.TakeInvalidations());

        Assert.Equal(OpResult.Ok, system.Core.Invalidate(process, 0x1000, 0x3000));
        Assert.Equal(["pages 1/1 asid 1 1000+2"], system.TakeInvalidations());

        Assert.Equal(OpResult.Ok, system.Core.Unbind(device, pasid));
        Assert.Equal(["config 1/1", "tlb 1/1 asid 1"], system.TakeInvalidations());
        Assert.Equal(TranslationStatus.Faulted, system.Access(0x18, pasid).Status);
    }

    [Theory]
    [MemberData(nameof(Dialects))]
    public void C5_two_devices_of_one_domain_share_the_entry_until_the_last_is_unbound(string dialect)
    {
        using var system = new SystemUnderTest(dialect);
        Domain domain = system.AddDomain("npu", 16);
        Device a = system.AddDevice(domain, 0x18, 16);
        Device b = system.AddDevice(domain, 0x19, 16);
        IAddressSpace process = system.Processes.Start(100, "a").Value!;
        Pasid pasid = system.Bind(a, process);
        Assert.Equal(pasid, system.Bind(b, process));
        system.TakeInvalidations();

        Assert.Equal(OpResult.Ok, system.Core.Unbind(a, pasid));

        Assert.Empty(system.TakeInvalidations());
        Assert.Equal(process.PageTableRoot, system.Access(0x19, pasid).PageTableRoot);
        Assert.Equal(OpResult.Ok, system.Core.RemoveDevice(b));
        Assert.Equal(TranslationStatus.Faulted, system.Access(0x18, pasid).Status);
    }

    [Theory]
    [MemberData(nameof(Dialects))]
    public void D12_a_process_that_dies_is_quiet_until_its_device_drivers_know(string dialect)
    {
        using var system = new SystemUnderTest(dialect);
        Device device = system.AddDevice(system.AddDomain("npu", 16), 0x18, 16);
        IAddressSpace process = system.Processes.Start(100, "a").Value!;
        Pasid bound = system.Bind(device, process);
        var seen = new List<TranslationStatus>();
        device.ProcessExited = (_, _, pasid) => seen.Add(system.Access(0x18, pasid).Status);

        system.Processes.Exit(100);

        Assert.Equal([TranslationStatus.AbortedQuietly], seen);
        Assert.Equal(TranslationStatus.Faulted, system.Access(0x18, bound).Status);
    }

    [Theory]
    [MemberData(nameof(Dialects))]
    public void Each_domain_has_numbers_of_its_own_where_the_driver_owns_them(string dialect)
    {
        using var system = new SystemUnderTest(dialect);
        Device a = system.AddDevice(system.AddDomain("npu", 16), 0x18, 16);
        Device b = system.AddDevice(system.AddDomain("gpu", 8), 0x19, 8);

        Assert.Equal(new Pasid(1), system.Bind(a, system.Processes.Start(100, "a").Value!));
        Assert.Equal(new Pasid(1), system.Bind(b, system.Processes.Start(101, "b").Value!));
        Assert.Equal(2, system.Unit.LiveAsids);
    }

    [Theory]
    [InlineData("none", "none"), InlineData("none", "B"), InlineData("none", "E")]
    public void A_standard_only_device_refuses_PASIDs_through_the_core_with_a_clear_error(string device, string asked)
    {
        using var system = new SystemUnderTest(device, asked);

        Refused(Errno.EOPNOTSUPP, "the standard has none", system.Core.CreateDomain(system.Instance, "npu", 16));
    }

    [Theory]
    [MemberData(nameof(Dialects))]
    public void C6_a_bind_whose_leaf_has_no_memory_leaves_nothing(string dialect)
    {
        using var system = new SystemUnderTest(dialect);
        Device device = system.AddDevice(system.AddDomain("npu", 16), 0x18, 16);
        IAddressSpace process = system.Processes.Start(100, "a").Value!;
        long before = system.Memory.AllocatedBytes;
        system.Memory.FailAllocation = 1;

        Assert.Equal(Errno.ENOMEM, system.Core.Bind(device, process).Errno);

        Assert.Equal(before, system.Memory.AllocatedBytes);
        Assert.Equal(0, system.Unit.LiveAsids);
        system.Memory.FailAllocation = 0;
        Assert.Equal(new Pasid(1), system.Bind(device, process));
    }

    [Theory]
    [MemberData(nameof(Dialects))]
    public void Threads_that_bind_and_processes_that_exit_leave_nothing_behind(string dialect)
    {
        const int Rounds = 100;
        using var system = new SystemUnderTest(dialect);
        Device[] devices =
        [
            system.AddDevice(system.AddDomain("npu", 16), 0x18, 16),
            system.AddDevice(system.AddDomain("gpu", 8), 0x19, 8),
        ];
        IAddressSpace[] processes =
            [.. Enumerable.Range(0, Rounds).Select(i => system.Processes.Start(1000 + i, "p").Value!)];
        Race.Run(3, (t, barrier) =>
        {
            for (int round = 0; round < Rounds; round++)
            {
                barrier.SignalAndWait();
                if (t == 2)
                {
                    system.Processes.Exit(1000 + round);
                }
                else if (system.Core.Bind(devices[t], processes[round]) is { IsOk: true } bound)
                {
                    _ = system.Core.Unbind(devices[t], bound.Value);
                }
            }
        });

        Assert.Equal(0, system.Core.ProcessCount);
        Assert.Equal(0, system.Unit.LiveAsids);
    }

    [Fact]
    public void A_domain_of_another_unit_is_misuse()
    {
        using var system = new SystemUnderTest("B");
        Domain domain = system.AddDomain("npu", 16);
        object? state = domain.DriverState;
        domain.DriverState = null;

        OpResult<Device> added = system.Core.AddDevice(domain, "x", new RequesterId(0x18), PasidRange.OfWidth(16));
        Refused(Errno.EIO, nameof(ArgumentException), added);

        domain.DriverState = state;
    }

    /// <summary>A core with simulated processes and one virtio-iommu; leaving it checks that nothing is left.</summary>
    private sealed class SystemUnderTest : IDisposable
    {
        private readonly string _dialect;

        public SystemUnderTest(string device, string? asked = null)
        {
            _dialect = asked ?? device;
            Memory = new ObservedMemory();
            Hardware = new TestHardware(Memory, Fixture.Setup(device));
            var setup = new UnitSetup
            {
                Name = "viommu0",
                Hardware = Hardware,
                Options = new Dictionary<string, string> { ["dialect"] = _dialect },
            };
            Unit = (VirtioIommuUnit)VirtioIommuUnit.Start(setup, new FakeArmFormat()).Value!;
            Core = new IommuCore(new OptionsWrapper<PasidOptions>(new PasidOptions { Ownership = "vendor" }));
            Processes = new SimulatedProcessSource(Memory);
            Core.Follow(Processes);
            Instance = Core.AddInstance("virtio-iommu", Unit);
        }

        public ObservedMemory Memory { get; }
        public TestHardware Hardware { get; }
        public VirtioIommuUnit Unit { get; }
        public IommuCore Core { get; }
        public IommuInstance Instance { get; }
        public SimulatedProcessSource Processes { get; }

        public Domain AddDomain(string name, int bits)
        {
            OpResult<Domain> domain = Core.CreateDomain(Instance, name, bits);
            Assert.True(domain.IsOk, domain.ToString());
            return domain.Value;
        }

        public Device AddDevice(Domain domain, uint requester, int bits)
        {
            OpResult<Device> device =
                Core.AddDevice(domain, $"dev{requester:x}", new RequesterId(requester), PasidRange.OfWidth(bits));
            Assert.True(device.IsOk, device.ToString());
            return device.Value;
        }

        public Pasid Bind(Device device, IAddressSpace process)
        {
            OpResult<Pasid> bound = Core.Bind(device, process);
            Assert.True(bound.IsOk, bound.ToString());
            return bound.Value;
        }

        public TranslationResult Access(uint requester, Pasid pasid) =>
            Hardware.Translate(new DmaAccess(new RequesterId(requester), pasid, 0x1000, false));

        /// <summary>The invalidations since the last call, as <c>kind domain/pasid ...</c>.</summary>
        public string[] TakeInvalidations() =>
        [.. Hardware.Device.TakeLog().Where(r => r.Bytes[0] == 7).Select(Describe)];

        public void Dispose()
        {
            Processes.Dispose();
            Core.Dispose();
            Assert.Equal(0, Unit.LiveAsids);
            Assert.Equal(0, Memory.AllocatedBytes);
            Hardware.Dispose();
        }

        private string Describe(ConsumedRequest request)
        {
            Assert.Equal((byte)0, request.Status);
            Invalidation sent = WireReader.ReadInvalidation(_dialect, request.Bytes);
            return (sent.Scope, sent.IsConfig) switch
            {
                (Scope.Pasid, true) => $"config {sent.Domain}/{sent.Pasid:x}",
                (Scope.Pasid, false) => $"tlb {sent.Domain}/{sent.Pasid:x} asid {sent.Id}",
                _ => $"pages {sent.Domain}/{sent.Pasid:x} asid {sent.Id} {sent.First:x}+{sent.Pages:x}",
            };
        }
    }
}
