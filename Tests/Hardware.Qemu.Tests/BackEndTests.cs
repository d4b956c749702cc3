// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Qemu.Tests;

/// <summary>What each back end says of itself, and which machines it refuses.</summary>
public sealed class BackEndTests
{
    [Theory]
    [MemberData(nameof(Installed.Names), MemberType = typeof(Installed))]
    public void Every_installation_offers_three_architectures_under_its_version(string name)
    {
        QemuInstallation installation = Installed.Get(name);

        IReadOnlyList<IHardwareBackEnd> all = QemuBackEnds.For(installation);

        Assert.Equal(
            [("intel-vtd", "x86-64"), ("arm-smmuv3", "arm-lpae-4k"), ("virtio-iommu", "x86-64")],
            all.Select(b => (b.Architecture, b.PageTables)));
        Assert.All(all, b => Assert.Equal($"qemu-{installation.Version}", b.Name));
        Assert.All(all, b => Assert.EndsWith(".", b.Limits, StringComparison.Ordinal));
        Assert.DoesNotContain(all, b => b.Name.Contains(' ', StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Installed.Names), MemberType = typeof(Installed))]
    public void What_QEMU_cannot_be_is_refused_with_the_reason(string name)
    {
        foreach (IHardwareBackEnd backEnd in QemuBackEnds.For(Installed.Get(name)))
        {
            OpResult<ITestHardware> incoherent = backEnd.Start(new HardwareSetup { Coherent = false });
            OpResult<ITestHardware> option = backEnd.Start(
                new HardwareSetup { Options = new Dictionary<string, string> { ["domains"] = "3" } });

            Refused(Errno.EOPNOTSUPP, "coherent", incoherent);
            Refused(Errno.EOPNOTSUPP, "'domains'", option);
            Assert.Throws<ArgumentOutOfRangeException>(() => backEnd.Start(new HardwareSetup { PasidBits = 21 }));
        }
    }

    [Theory]
    [MemberData(nameof(Installed.Names), MemberType = typeof(Installed))]
    public void Virtio_iommu_cannot_report_a_PASID_width(string name)
    {
        OpResult<ITestHardware> hardware = Installed.BackEnd(name, "virtio-iommu")
            .Start(new HardwareSetup { PasidBits = 8 });

        Refused(Errno.EOPNOTSUPP, "8 bits", hardware);
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void A_driver_sees_the_width_that_was_asked_for(string name, string architecture)
    {
        foreach (int bits in (int[])[1, 7, 16])
        {
            using ITestHardware hardware = Installed.Start(name, architecture, new HardwareSetup { PasidBits = bits });
            OpResult<IIommuUnit> unit = Fixture.Driver(architecture)
                .CreateUnit(new UnitSetup { Name = "u", Hardware = hardware });

            Assert.True(unit.IsOk, unit.ToString());
            Assert.Equal(bits, unit.Value!.PasidBits);
            unit.Value.Dispose();
        }
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void Hardware_without_PASIDs_is_refused_by_the_driver(string name, string architecture)
    {
        using ITestHardware hardware = Installed.Start(name, architecture, new HardwareSetup { PasidBits = 0 });

        OpResult<IIommuUnit> unit = Fixture.Driver(architecture)
            .CreateUnit(new UnitSetup { Name = "u", Hardware = hardware });

        Assert.Equal(Errno.ENODEV, unit.Errno);
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void Nothing_is_left_in_memory_when_driver_and_test_are_done(string name, string architecture)
    {
        QemuMemory memory;
        long before;
        using (var fixture = new Fixture(name, architecture))
        {
            memory = ((QemuHardware)fixture.Hardware).Ram;
            fixture.Core.Dispose();
            before = memory.AllocatedBytes;
            IIommuUnit unit = Fixture.Driver(architecture)
                .CreateUnit(new UnitSetup { Name = "u", Hardware = fixture.Hardware }).Value!;
            Assert.True(memory.AllocatedBytes > before);
            OpResult<ulong> target = fixture.Hardware.AllocateTarget();
            fixture.Hardware.FreeTarget(target.Value);
            Assert.Throws<ArgumentException>(() => fixture.Hardware.FreeTarget(target.Value));
            unit.Dispose();
        }

        Assert.Equal(before, memory.AllocatedBytes);
    }
}
