// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.Reference.Tests;

public sealed class ScenarioTests : DriverSuiteTests
{
    private protected override ScenarioSetup SuiteSetup => Setup(coherent: true, StoreOrder.Immediate);
    private protected override ITableReader Reader => new ReferenceTableReader();

    public static TheoryData<bool, StoreOrder, string> Worlds
    {
        get
        {
            var worlds = new TheoryData<bool, StoreOrder, string>();
            foreach (bool coherent in new[] { true, false })
            {
                foreach (StoreOrder order in Enum.GetValues<StoreOrder>())
                {
                    worlds.Add(coherent, order, PasidOptions.OwnershipCore);
                    worlds.Add(coherent, order, PasidOptions.OwnershipVendor);
                }
            }

            return worlds;
        }
    }

    [Theory]
    [MemberData(nameof(Worlds))]
    public void D1_D2_D3_D5_D6_D12_the_driver_leads_every_access_right_in_every_intermediate_state(
        bool coherent, StoreOrder order, string ownership)
    {
        ScenarioReport report = ModelScenario.Run(Setup(coherent, order, ownership));

        Assert.Empty(report.Failures);
        Assert.True(report.Probes > 1000, $"only {report.Probes} probes");
    }

    internal static ScenarioSetup Setup(
        bool coherent, StoreOrder order, string ownership = PasidOptions.OwnershipCore) => new()
    {
        Driver = new ReferenceDriver(),
        Model = new ReferenceModelFactory(),
        PageTables = new ReferencePageTableFormat(),
        Hardware = new HardwareSetup { Coherent = coherent },
        UnitOptions = new Dictionary<string, string> { ["requester-bits"] = "10", ["timeout-ms"] = "1" },
        Order = order,
        Ownership = ownership,
    };
}
