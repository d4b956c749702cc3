// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Drivers.Reference.Emulation.Caching;
using PasidFramework.Drivers.Reference.PageTables;
using PasidFramework.Hardware;
using PasidFramework.TestKit;
using Xunit;

namespace Acme.Iommu.Tests;

public sealed class AcmeScenarioTests
{
    [Theory]
    [InlineData(true, StoreOrder.Immediate)]
    [InlineData(false, StoreOrder.Weak)]
    public void The_driver_leads_every_access_right_in_every_intermediate_state(bool coherent, StoreOrder order)
    {
        ScenarioReport report = ModelScenario.Run(new ScenarioSetup
        {
            Driver = new AcmeDriver(),
            Model = new ReferenceModelFactory(),
            PageTables = new ReferencePageTableFormat(),
            Hardware = new HardwareSetup { Coherent = coherent },
            Order = order,
        });

        Assert.Empty(report.Failures);
        Assert.True(report.Probes > 1000, $"only {report.Probes} probes");
    }
}
