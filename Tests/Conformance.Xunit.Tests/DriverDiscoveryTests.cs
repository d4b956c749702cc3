// SPDX-License-Identifier: Apache-2.0
using System.Security.Cryptography;

namespace PasidFramework.Conformance.Xunit.Tests;

public sealed class DriverDiscoveryTests
{
    [Fact]
    public void A_driver_is_described_by_its_attribute()
    {
        DriverMetadata said = DriverDiscovery.Of(new FakeDriver()).Metadata;

        Assert.Equal(
            ("fake", "fake-v1", 12, "Nobody", DriverCapabilities.Ats, DriverContract.Major, DriverContract.Minor),
            (said.Name, said.TableFormat, said.PasidBits, said.Vendor, said.Capabilities, said.ContractMajor,
                said.ContractMinor));
    }

    [Fact]
    public void What_its_assembly_exports_for_its_table_format_is_found()
    {
        DriverDiscovery found = DriverDiscovery.Of(new FakeDriver());

        Assert.IsType<FakeReader>(found.Reader);
        Assert.IsType<FakeModelFactory>(found.Model);
        Assert.Equal("fake-v1/entry", Assert.Single(found.Structures).Id);
        Assert.IsType<FakePages>(Assert.Single(found.PageTables, p => p.Key == "fake-4k").Value);
        Assert.Equal("fake-4k", Assert.Single(found.SoftwareBackEnds).PageTables);
    }

    [Fact]
    public void A_reader_that_is_lent_goes_where_it_is_imported_by_name()
    {
        var reader = new LentReader();

        Assert.Same(reader, Foreign(DriverDiscovery.Of(new FakeDriver(), reader)));
        Assert.Null(Foreign(DriverDiscovery.Of(new FakeDriver(), new FakeReader())));

        static ITableReader? Foreign(DriverDiscovery found) => Assert.IsType<FakeModelFactory>(found.Model).Foreign;
    }

    [Fact]
    public void What_only_a_host_can_make_is_left_out_by_name()
    {
        DriverDiscovery found = DriverDiscovery.Of(new FakeDriver());

        Assert.Null(found.TableFormat);
        Assert.Equal([typeof(FormatWithImports).FullName!], found.LeftOut);
    }

    [Fact]
    public void The_file_is_named_by_version_and_hash()
    {
        DriverUnderTest subject = DriverDiscovery.Of(new FakeDriver()).ToSubject();

        Assert.StartsWith("0.1.0", subject.Version, StringComparison.Ordinal);
        Assert.Equal(
            Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(typeof(FakeDriver).Assembly.Location))),
            subject.Hash);
    }

    [Fact]
    public void A_class_that_a_host_would_not_find_is_refused()
    {
        ArgumentException e = Assert.Throws<ArgumentException>(() => DriverDiscovery.Of(new UnnamedDriver()));

        Assert.StartsWith($"{typeof(UnnamedDriver)} has no [PasidDriver]", e.Message, StringComparison.Ordinal);
    }
}
