// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Tests;

/// <summary>The initialisation sequence of OASIS virtio 1.2 section 3.1.1, and the unit's start.</summary>
public sealed class StartTests
{
    [Fact]
    public void The_status_goes_through_the_steps_of_the_specification()
    {
        using Fixture fixture = Fixture.Start("B");

        uint[] statuses = [.. fixture.Hardware.Writes.Where(w => w.Offset == MmioRegister.Status).Select(w => w.Value)];

        Assert.Equal([0u, 1u, 3u, 11u, 15u], statuses);
    }

    [Fact]
    public void Queues_are_set_up_between_FEATURES_OK_and_DRIVER_OK_and_notified_only_after()
    {
        using Fixture fixture = Fixture.Start("B");
        List<(int Offset, uint Value)> writes = fixture.Hardware.Writes;
        int featuresOk = writes.IndexOf((MmioRegister.Status, 11));
        int driverOk = writes.IndexOf((MmioRegister.Status, 15));

        int[] ready = [.. Positions(writes, w => w.Offset == MmioRegister.QueueReady)];
        int[] notified = [.. Positions(writes, w => w.Offset == MmioRegister.QueueNotify)];
        int[] features = [.. Positions(writes, w => w.Offset == MmioRegister.DriverFeatures)];

        Assert.Equal(2, ready.Length);
        Assert.All(ready, at => Assert.InRange(at, featuresOk, driverOk));
        Assert.All(notified, at => Assert.True(at > driverOk));
        Assert.All(features, at => Assert.True(at < featuresOk));
        Assert.NotEmpty(notified);
    }

    [Theory]
    [InlineData("none", FeatureBits.MapUnmap | FeatureBits.Probe | FeatureBits.Mmio | FeatureBits.BypassConfig)]
    [InlineData("B", FeatureBits.MapUnmap | FeatureBits.Probe | FeatureBits.ProposalBAttachTable)]
    [InlineData(
        "E",
        FeatureBits.MapUnmap | FeatureBits.Probe | FeatureBits.Mmio | FeatureBits.BypassConfig
            | FeatureBits.ProposalEAttachTable)]
    public void Only_features_that_both_sides_know_are_accepted(string dialect, ulong expected)
    {
        using var hardware = new TestHardware(new ObservedMemory(), Fixture.Setup(dialect));
        hardware.ReadOverrides[MmioRegister.DeviceFeatures] = offered => offered | 0xFFFF_FF00 & ~0x100u;
        hardware.ReadOverrides[MmioRegister.Status] = status => status;
        var written = new uint[2];
        uint half = 0;
        hardware.AcceptsWrite = (offset, value) =>
        {
            if (offset == MmioRegister.DriverFeaturesSel)
            {
                half = value;
            }
            else if (offset == MmioRegister.DriverFeatures)
            {
                written[half] = value;
            }

            return true;
        };

        using StartedDevice device = Fixture.StartDevice(hardware, dialect);

        Assert.Equal(expected | FeatureBits.Version1, written[0] | ((ulong)written[1] << 32));
    }

    [Theory]
    [InlineData(MmioRegister.MagicValue, 0u, "MagicValue"), InlineData(MmioRegister.Version, 1u, "version")]
    [InlineData(MmioRegister.DeviceId, 1u, "device id"), InlineData(MmioRegister.DeviceFeatures, 0u, "VERSION_1")]
    [InlineData(MmioRegister.QueueNumMax, 0u, "queue 0"), InlineData(MmioRegister.QueueReady, 1u, "in use")]
    [InlineData(MmioRegister.Config + ConfigOffset.ProbeSize, 0x7FFF_FFFFu, "probe_size")]
    public void Hardware_that_is_not_what_is_needed_is_ENODEV(int register, uint value, string named)
    {
        var memory = new ObservedMemory();
        using var hardware = new TestHardware(memory, Fixture.Setup("none"));
        hardware.ReadOverrides[register] = _ => value;

        Refused(Errno.ENODEV, named, Start(hardware));
        Assert.Equal(0, memory.AllocatedBytes);
    }

    [Fact]
    public void A_page_size_mask_of_0_is_ENODEV()
    {
        using var hardware = new TestHardware(new ObservedMemory(), Fixture.Setup("none"));
        hardware.ReadOverrides[MmioRegister.Config] = _ => 0;
        hardware.ReadOverrides[MmioRegister.Config + 4] = _ => 0;

        Assert.Equal(Errno.ENODEV, Start(hardware).Errno);
    }

    [Fact]
    public void A_device_that_refuses_the_features_is_ENODEV_and_left_reset()
    {
        using var hardware = new TestHardware(new ObservedMemory(), Fixture.Setup("none"));
        hardware.ReadOverrides[MmioRegister.Status] = status => status & ~DeviceStatus.FeaturesOk;

        OpResult<StartedDevice> started = Start(hardware);

        Assert.Equal(Errno.ENODEV, started.Errno);
        uint[] statuses = [.. hardware.Writes.Where(w => w.Offset == MmioRegister.Status).Select(w => w.Value)];
        Assert.Equal(DeviceStatus.Failed, statuses[^2] & DeviceStatus.Failed);
        Assert.Equal(0u, statuses[^1]);
    }

    [Fact]
    public void The_device_takes_FEATURES_OK_back_for_a_feature_that_it_did_not_offer()
    {
        using var hardware = new TestHardware(new ObservedMemory(), Fixture.Setup("none"));
        hardware.Write32(MmioRegister.Status, 3);
        hardware.Write32(MmioRegister.DriverFeaturesSel, 1);
        hardware.Write32(MmioRegister.DriverFeatures, 1);
        hardware.Write32(MmioRegister.DriverFeaturesSel, 0);
        hardware.Write32(MmioRegister.DriverFeatures, 1u << 7);

        hardware.Write32(MmioRegister.Status, 11);

        Assert.Equal(3u, hardware.Read32(MmioRegister.Status));
    }

    [Fact]
    public void A_reset_that_does_not_end_is_ETIMEDOUT_and_touches_no_memory()
    {
        var memory = new ObservedMemory();
        using var hardware = new TestHardware(memory, Fixture.Setup("none"));
        hardware.ReadOverrides[MmioRegister.Status] = _ => 1;

        Assert.Equal(Errno.ETIMEDOUT, Start(hardware).Errno);
        Assert.Equal(0, memory.Allocations);
    }

    [Fact]
    public void A_configuration_that_changes_while_it_is_read_is_read_again()
    {
        using var hardware = new TestHardware(new ObservedMemory(), Fixture.Setup("none"));
        uint reads = 0;
        hardware.ReadOverrides[MmioRegister.ConfigGeneration] = _ => reads++ < 3 ? reads : 99;
        hardware.ReadOverrides[MmioRegister.Config] = mask => reads < 4 ? 1u << 16 : mask;

        using StartedDevice device = Fixture.StartDevice(hardware, "none");

        Assert.Equal(12, device.Config.GranuleLog2);
    }

    [Fact]
    public void A_configuration_that_never_stops_changing_is_ETIMEDOUT()
    {
        using var hardware = new TestHardware(new ObservedMemory(), Fixture.Setup("none"));
        uint generation = 0;
        hardware.ReadOverrides[MmioRegister.ConfigGeneration] = _ => generation++;

        Assert.Equal(Errno.ETIMEDOUT, Start(hardware).Errno);
    }

    [Fact]
    public void A_domain_range_is_read_only_where_it_was_negotiated()
    {
        using var hardware = new TestHardware(new ObservedMemory(), Fixture.Setup("none"));
        hardware.ReadOverrides[MmioRegister.Config + ConfigOffset.DomainRangeStart] = _ => 5;
        hardware.ReadOverrides[MmioRegister.Config + ConfigOffset.DomainRangeEnd] = _ => 9;

        using StartedDevice device = Fixture.StartDevice(hardware, "none");

        Assert.Equal((0u, uint.MaxValue), (device.Config.DomainFirst, device.Config.DomainLast));
        OpResult<DeviceConfig> config = new MmioTransport(hardware, Fixture.Short).ReadConfig(FeatureBits.DomainRange);
        Assert.Equal((5u, 9u), (config.Value.DomainFirst, config.Value.DomainLast));
    }

    [Theory]
    [InlineData(0u, 9u, 1, 1u), InlineData(1u, 9u, 1, 1u), InlineData(5u, 9u, 1, 5u), InlineData(5u, 9u, 5, 9u)]
    [InlineData(0u, uint.MaxValue, int.MaxValue, (uint)int.MaxValue)]
    public void A_domain_gets_a_number_in_the_devices_range(uint first, uint last, int id, uint expected) =>
        Assert.Equal(expected, new DeviceConfig(4096, 0, ulong.MaxValue, first, last, 0).DomainNumber(id).Value);

    [Theory]
    [InlineData(5u, 9u, 6), InlineData(0u, 0u, 1)]
    public void A_domain_beyond_the_devices_range_is_ENOSPC(uint first, uint last, int id) =>
        Assert.Equal(Errno.ENOSPC, new DeviceConfig(4096, 0, ulong.MaxValue, first, last, 0).DomainNumber(id).Errno);

    [Fact]
    public void A_start_that_fails_at_any_allocation_leaves_nothing()
    {
        for (int failing = 0; ; failing++)
        {
            var memory = new ObservedMemory { FailAllocation = failing + 1 };
            using var hardware = new TestHardware(memory, Fixture.Setup("B"));
            var driver = new VirtioIommuDriver { ArmSmmuV3Format = new FakeArmFormat(),
                ArmSmmuV3Reader = new ArmSmmu.Reader.SmmuTableReader() };

            OpResult<IIommuUnit> unit = driver.CreateUnit(new UnitSetup { Name = "viommu0", Hardware = hardware });

            if (unit.IsOk)
            {
                Assert.Equal(3, failing);
                unit.Value.Dispose();
                Assert.Equal(0, memory.AllocatedBytes);
                break;
            }

            Assert.Equal(Errno.ENOMEM, unit.Errno);
            Assert.Equal(0, memory.AllocatedBytes);
        }
    }

    [Fact]
    public void A_probe_that_is_never_answered_keeps_its_memory_until_the_reset()
    {
        using var hardware = new TestHardware(new ObservedMemory(), Fixture.Setup("B"));
        StartedDevice device = Fixture.StartDevice(hardware, "B");
        long before = hardware.TestMemory.AllocatedBytes;
        hardware.Deafen();

        Assert.Equal(Errno.ETIMEDOUT, device.Probe(1).Errno);

        Assert.True(hardware.TestMemory.AllocatedBytes > before);
        device.Dispose();
        Assert.Equal(0, hardware.TestMemory.AllocatedBytes);
    }

    [Fact]
    public void Memory_of_a_device_that_cannot_be_reset_is_never_freed()
    {
        using var hardware = new TestHardware(new ObservedMemory(), Fixture.Setup("B"));
        StartedDevice device = Fixture.StartDevice(hardware, "B");
        hardware.ReadOverrides[MmioRegister.Status] = _ => 1;

        device.Dispose();

        Assert.True(hardware.TestMemory.AllocatedBytes > 0);
    }

    private static OpResult<StartedDevice> Start(TestHardware hardware) =>
        StartedDevice.Start("viommu0", hardware, (TableDialect?)null, NullLogger.Instance, Fixture.Short);

    private static IEnumerable<int> Positions<T>(List<T> list, Func<T, bool> where)
    {
        for (int i = 0; i < list.Count; i++)
        {
            if (where(list[i]))
            {
                yield return i;
            }
        }
    }
}
