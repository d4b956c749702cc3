// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Conformance.Xunit;
using PasidFramework.Contracts;

namespace Acme.Iommu.Tests;

public sealed class AcmeConformance : DriverConformance
{
    protected override IPasidDriver CreateDriver() => new AcmeDriver();
}
