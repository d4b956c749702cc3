using PasidFramework.Conformance.Bench;
using PasidFramework.Drivers;
using PasidFramework.Drivers.Reference;
using PasidFramework.Drivers.Reference.Model;
using PasidFramework.Drivers.Reference.Tables;
using PasidFramework.Hardware;
using PasidFramework.Tables;

namespace PasidFramework.Conformance.Tests;

/// <summary>The reference driver with everything that it brings.</summary>
internal static class ReferenceSubject
{
    public static IHardwareBackEnd Model { get; } = SoftwareBackEnds.OfModel("reference", new ReferenceModelFactory());

    public static DriverUnderTest Create()
    {
        var attribute = (PasidDriverAttribute)Attribute.GetCustomAttribute(
            typeof(ReferenceDriver), typeof(PasidDriverAttribute))!;
        return new DriverUnderTest
        {
            Driver = new ReferenceDriver(),
            Metadata = new DriverMetadata
            {
                Name = attribute.Name,
                TableFormat = attribute.TableFormat,
                PasidBits = attribute.PasidBits,
                Vendor = attribute.Vendor,
                Capabilities = attribute.Capabilities,
                ContractMajor = attribute.ContractMajor,
                ContractMinor = attribute.ContractMinor,
            },
            Structures = new ReferenceStructures().Layouts,
            Reader = new ReferenceTableReader(),
            TableFormat = new ReferenceTableFormat(),
            PageTables = new Dictionary<string, IPageTableFormat> { ["reference-4k"] = new ReferencePageTableFormat() },
            BackEnds = [Model],
        };
    }
}
