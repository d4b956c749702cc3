// SPDX-License-Identifier: Apache-2.0
using System.Composition.Hosting;
using Moq;

namespace PasidFramework.Drivers.VirtioIommu.Tests;

/// <summary>The plug-in as a host sees it.</summary>
public sealed class DriverTests
{
    [Fact]
    public void The_table_format_arrives_as_an_import_by_its_name()
    {
        using CompositionHost host = new ContainerConfiguration()
            .WithPart<VirtioIommuDriver>().WithPart<FakeArmFormat>().CreateContainer();

        Lazy<IPasidDriver, DriverMetadata> export = host.GetExport<Lazy<IPasidDriver, DriverMetadata>>();

        Assert.Equal(
            ("virtio-iommu", "virtio-iommu", 20, "OASIS", DriverContract.Major),
            (export.Metadata.Name, export.Metadata.TableFormat, export.Metadata.PasidBits, export.Metadata.Vendor,
                export.Metadata.ContractMajor));
        Assert.IsType<FakeArmFormat>(Assert.IsType<VirtioIommuDriver>(export.Value).ArmSmmuV3Format);
    }

    [Theory]
    [InlineData("B"), InlineData("E")]
    public void Without_the_format_a_unit_is_refused_with_ENODEV_naming_format_and_plug_in(string dialect)
    {
        using CompositionHost host = new ContainerConfiguration().WithPart<VirtioIommuDriver>().CreateContainer();
        IPasidDriver driver = host.GetExport<IPasidDriver>();
        using IIommuHardware hardware = driver.CreateHardware(new SystemMemory(), Fixture.Setup(dialect));

        OpResult<IIommuUnit> unit = driver.CreateUnit(Setup(hardware, dialect));

        Refused(Errno.ENODEV, "'arm-smmuv3'", unit);
        Assert.Contains("arm-smmu plug-in", unit.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_the_format_the_standard_alone_still_works()
    {
        var driver = new VirtioIommuDriver();
        using IIommuHardware hardware = driver.CreateHardware(new SystemMemory(), Fixture.Setup("none"));

        using IIommuUnit unit = Start(driver, Setup(hardware, "none"));

        Assert.Equal(0, unit.PasidBits);
    }

    [Theory]
    [InlineData("none", "none", "the option dialect is none")]
    [InlineData("none", "B", "does not offer the feature of dialect v0.9-devel")]
    [InlineData("none", "E", "does not offer the feature of dialect vsmmu")]
    [InlineData("E", "none", "the option dialect is none")]
    [InlineData("B", "E", "does not offer the feature of dialect vsmmu")]
    public void A_device_without_the_dialect_has_no_PASIDs_and_says_why(string device, string asked, string why)
    {
        using VirtioIommuUnit unit = StartUnit(device, asked);

        OpResult<DomainTable> table = unit.AddDomain(1, 8);

        Assert.Equal(0, unit.PasidBits);
        Refused(Errno.EOPNOTSUPP, why, table);
        Assert.Contains("dialect v0.9-devel (feature bit 5) and vsmmu (feature bit 7)", table.Reason,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_standard_device_that_offers_MMIO_is_not_taken_for_proposal_B()
    {
        // The standard's MMIO and proposal B's attach are the same bit 5: only the properties tell them apart.
        using VirtioIommuUnit unit = StartUnit("none", "B", deviceOptions: "B-like bit");

        Assert.Equal(0, unit.PasidBits);
    }

    [Theory]
    [InlineData("B", 20, 20, 20), InlineData("B", 10, 20, 10), InlineData("B", 20, 8, 8), InlineData("B", 0, 20, 0)]
    [InlineData("E", 16, 20, 16), InlineData("E", 20, 12, 12)]
    public void The_width_is_the_narrower_of_device_and_limit(string dialect, int device, int limit, int expected)
    {
        var driver = new VirtioIommuDriver { ArmSmmuV3Format = new FakeArmFormat(),
            ArmSmmuV3Reader = new ArmSmmu.Reader.SmmuTableReader() };
        using IIommuHardware hardware = driver.CreateHardware(new SystemMemory(), Fixture.Setup(dialect, device));

        using IIommuUnit unit = Start(driver, Setup(hardware, dialect) with { PasidBits = limit });

        Assert.Equal(expected, unit.PasidBits);
        Assert.Equal(PasidScope.Domain, unit.VendorScope);
        Assert.Equal([new Pasid(0)], unit.ReservedPasids);
    }

    [Fact]
    public void An_endpoint_that_cannot_be_asked_leaves_the_width_to_the_limit()
    {
        var driver = new VirtioIommuDriver { ArmSmmuV3Format = new FakeArmFormat(),
            ArmSmmuV3Reader = new ArmSmmu.Reader.SmmuTableReader() };
        using IIommuHardware hardware =
            driver.CreateHardware(new SystemMemory(), Fixture.Setup("B", 9, endpoints: "00:03.0"));
        UnitSetup setup = Setup(hardware, "B") with { PasidBits = 14 };

        using (IIommuUnit blind = Start(driver, setup))
        {
            Assert.Equal(14, blind.PasidBits);
        }

        var options = new Dictionary<string, string> { ["dialect"] = "B", ["probe-endpoint"] = "0x18" };
        using IIommuUnit asked = Start(driver, setup with { Options = options });
        Assert.Equal(9, asked.PasidBits);
    }

    [Fact]
    public void The_dialect_of_unit_and_hardware_is_the_first_proposal_unless_one_is_chosen()
    {
        var driver = new VirtioIommuDriver { ArmSmmuV3Format = new FakeArmFormat(),
            ArmSmmuV3Reader = new ArmSmmu.Reader.SmmuTableReader() };
        using IIommuHardware hardware = driver.CreateHardware(new SystemMemory(), new HardwareSetup { PasidBits = 11 });

        using IIommuUnit unit = Start(driver, new UnitSetup { Name = "viommu0", Hardware = hardware });

        Assert.Equal(11, unit.PasidBits);
    }

    [Theory]
    [InlineData("v0.9-devel", "B"), InlineData("vsmmu", "E")]
    public void A_proposal_has_a_name_and_its_letter_means_the_same(string name, string letter)
    {
        Assert.True(TableDialect.TryParse(name, out TableDialect? named));
        Assert.True(TableDialect.TryParse(letter, out TableDialect? lettered));
        Assert.Same(named, lettered);
        using VirtioIommuUnit unit = StartUnit(letter, name);
        Assert.NotEqual(0, unit.PasidBits);
    }

    [Theory]
    [InlineData("dialect", "C", "none, v0.9-devel, vsmmu, map, B, E")]
    [InlineData("dialect", "b", "none, v0.9-devel, vsmmu, map, B, E")]
    [InlineData("probe-endpoint", "nine", "32-bit number")]
    [InlineData("colour", "red", "it has dialect, pages, probe-endpoint")]
    public void An_unknown_option_of_a_unit_is_EINVAL_naming_what_is_allowed(string name, string value, string allowed)
    {
        // A strict mock: a refused option must not touch the hardware.
        IIommuHardware hardware = new Mock<IIommuHardware>(MockBehavior.Strict).Object;
        var driver = new VirtioIommuDriver { ArmSmmuV3Format = new FakeArmFormat(),
            ArmSmmuV3Reader = new ArmSmmu.Reader.SmmuTableReader() };
        var options = new Dictionary<string, string> { [name] = value };

        OpResult<IIommuUnit> unit =
            driver.CreateUnit(new UnitSetup { Name = "viommu0", Hardware = hardware, Options = options });

        Refused(Errno.EINVAL, value == "red" ? name : value, unit);
        Assert.Contains(allowed, unit.Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0), InlineData(21)]
    public void A_width_limit_that_is_no_width_is_EINVAL(int limit)
    {
        IIommuHardware hardware = new Mock<IIommuHardware>(MockBehavior.Strict).Object;
        var driver = new VirtioIommuDriver { ArmSmmuV3Format = new FakeArmFormat(),
            ArmSmmuV3Reader = new ArmSmmu.Reader.SmmuTableReader() };

        OpResult<IIommuUnit> unit =
            driver.CreateUnit(new UnitSetup { Name = "viommu0", Hardware = hardware, PasidBits = limit });

        Assert.Equal(Errno.EINVAL, unit.Errno);
    }

    [Theory]
    [InlineData("dialect", "Z"), InlineData("bypass", "maybe"), InlineData("endpoints", "0x18,huh")]
    [InlineData("colour", "red")]
    public void An_unknown_option_of_the_hardware_throws(string name, string value)
    {
        var setup = new HardwareSetup { Options = new Dictionary<string, string> { [name] = value } };

        ArgumentException thrown =
            Assert.Throws<ArgumentException>(() => new VirtioIommuDriver().CreateHardware(new SystemMemory(), setup));

        Assert.Contains(name, thrown.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(-1), InlineData(21)]
    public void Hardware_of_an_impossible_width_throws(int bits)
    {
        Assert.Throws<ArgumentException>(() => new VirtioIommuDriver().CreateHardware(
            new SystemMemory(), new HardwareSetup { PasidBits = bits }));
    }

    [Theory]
    [InlineData(0), InlineData(-3), InlineData(11)]
    public void A_domain_of_a_width_that_the_unit_lacks_is_EINVAL(int bits)
    {
        using VirtioIommuUnit unit = StartUnit("B", "B", pasidBits: 10);

        Assert.Equal(Errno.EINVAL, unit.AddDomain(1, bits).Errno);
    }

    [Fact]
    public void Statistics_count_tables_leaves_and_requests()
    {
        var memory = new ObservedMemory();
        using VirtioIommuUnit unit = StartUnit("B", "B", memory: memory);
        long started = unit.Statistics.Commands;
        Assert.Equal(1, started);
        DomainTable table = unit.AddDomain(1, 10).Value!;
        table.AddEndpoint(0x18);

        table.Install(new Pasid(1), 0x1000, 1);
        table.Install(new Pasid(2), 0x1000, 1);
        table.Install(new Pasid(100), 0x1000, 1);

        // PROBE, ATTACH and three configuration changes; a top table and two leaves.
        Assert.Equal(new UnitStatistics(3 * 4096, 2, started + 5), unit.Statistics);
        table.RemoveEndpoint(0x18);
        unit.RemoveDomain(table);
        Assert.Equal(new UnitStatistics(0, 0, started + 6), unit.Statistics);
    }

    [Fact]
    public void D13_disposing_a_unit_resets_the_device_and_frees_everything()
    {
        var memory = new ObservedMemory();
        VirtioIommuUnit unit = StartUnit("B", "B", memory: memory);
        DomainTable kept = unit.AddDomain(1, 16).Value!;
        kept.AddEndpoint(0x18);
        kept.Install(new Pasid(7), 0x1000, 1);

        unit.Dispose();

        Assert.Equal(0, memory.AllocatedBytes);
        unit.RemoveDomain(kept);
        unit.Dispose();
        Assert.Equal(0, memory.AllocatedBytes);
    }

    [Fact]
    public void Each_process_gets_its_own_ASID_and_gives_it_back()
    {
        using VirtioIommuUnit unit = StartUnit("B", "B");

        UnitProcess? one = unit.AllocateProcess().Value;
        UnitProcess? two = unit.AllocateProcess().Value;

        Assert.NotEqual(one, two);
        Assert.Equal(2, unit.LiveAsids);
        unit.FreeProcess(one);
        unit.FreeProcess(two);
        Assert.Equal(0, unit.LiveAsids);
        Assert.Throws<ArgumentException>(() => unit.FreeProcess(two));
    }

    [Fact]
    public void When_all_ASIDs_are_taken_the_next_is_ENOSPC()
    {
        using VirtioIommuUnit unit = StartUnit("B", "B");
        for (int i = 1; i <= 65535; i++)
        {
            Assert.True(unit.AllocateProcess().Outcome.IsOk);
        }

        Refused(Errno.ENOSPC, "65535", unit.AllocateProcess());
    }

    [Fact]
    public void The_driver_references_Core_and_never_another_driver()
    {
        string[] ours = [.. typeof(VirtioIommuDriver).Assembly.GetReferencedAssemblies()
            .Select(a => a.Name!).Where(n => n.StartsWith("PasidFramework", StringComparison.Ordinal))];

        Assert.Equal(["PasidFramework.Core", "PasidFramework.DriverKit"], ours.Order());
    }

    [Fact]
    public void Properties_of_unknown_types_are_skipped_and_a_list_may_not_run_over()
    {
        // Type 0x1005 is 5 in its low 12 bits; then an unknown one of 3 bytes; then one that is longer than the rest.
        byte[] list = [0x05, 0x10, 4, 0, 9, 0, 0, 0, 0x34, 0x02, 3, 0, 1, 2, 3, 7, 0, 4, 0, 2, 0, 0, 0, 5, 0, 40, 0, 1];

        EndpointProperties found = EndpointProperties.Parse(list, V09Dialect.Instance);

        Assert.Equal(9, found.PasidBits);
        Assert.Equal([2], found.PasidTableFormats);
        Assert.Null(EndpointProperties.Parse(list, null).PasidBits);
        Assert.Null(EndpointProperties.Parse([0, 0, 0, 0, .. list], V09Dialect.Instance).PasidBits);
        Assert.Null(EndpointProperties.Parse([], V09Dialect.Instance).PasidBits);
    }

    [Fact]
    public void Proposal_B_without_the_SMMUv3_format_and_proposal_E_without_two_levels_are_refused()
    {
        EndpointProperties other = EndpointProperties.Parse(
            [5, 0, 4, 0, 20, 0, 0, 0, 7, 0, 4, 0, 9, 0, 0, 0], V09Dialect.Instance);
        Assert.Equal(Errno.EOPNOTSUPP, V09Dialect.Instance.Check(other, 1)!.Value.Errno);

        byte[] arm = [.. Vector.All["e_arm"].Bytes];
        Assert.Null(VsmmuDialect.Instance.Check(EndpointProperties.Parse(arm, VsmmuDialect.Instance), 1));
        arm[5] = arm[6] = 0;
        EndpointProperties linear = EndpointProperties.Parse(arm, VsmmuDialect.Instance);
        Assert.Equal((20, 8), (linear.PasidBits, linear.AsidBits));
        Assert.Equal(Errno.EOPNOTSUPP, VsmmuDialect.Instance.Check(linear, 1)!.Value.Errno);
        Assert.Null(VsmmuDialect.Instance.Check(linear, 0));
    }

    private static UnitSetup Setup(IIommuHardware hardware, string dialect) => new()
    {
        Name = "viommu0",
        Hardware = hardware,
        Options = new Dictionary<string, string> { ["dialect"] = dialect },
    };

    private static IIommuUnit Start(VirtioIommuDriver driver, UnitSetup setup)
    {
        OpResult<IIommuUnit> unit = driver.CreateUnit(setup);
        Assert.True(unit.IsOk, unit.ToString());
        return unit.Value;
    }

    private static VirtioIommuUnit StartUnit(
        string device, string asked, int pasidBits = 20, ObservedMemory? memory = null, string deviceOptions = "")
    {
        var hardware = new TestHardware(memory ?? new ObservedMemory(), Fixture.Setup(device, pasidBits));
        if (device == "none" && asked == "B" && deviceOptions.Length == 0)
        {
            // Otherwise the device's MMIO bit would pass for the proposal's.
            hardware.ReadOverrides[MmioRegister.DeviceFeatures] = offered => offered & ~(1u << 5);
        }

        OpResult<IIommuUnit> unit = VirtioIommuUnit.Start(Setup(hardware, asked), new FakeArmFormat(), Fixture.Short);
        Assert.True(unit.IsOk, unit.ToString());
        return (VirtioIommuUnit)unit.Value;
    }
}
