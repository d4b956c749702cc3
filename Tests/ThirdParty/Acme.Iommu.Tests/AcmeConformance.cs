using PasidFramework.Conformance.Xunit;
using PasidFramework.Drivers;

namespace Acme.Iommu.Tests;

public sealed class AcmeConformance : DriverConformance
{
    protected override IPasidDriver CreateDriver() => new AcmeDriver();
}
