using PasidFramework.Drivers.IntelVtd.Model;
using PasidFramework.Drivers.IntelVtd.Tables;
using PasidFramework.ModelHarness;
using PasidFramework.Models;

namespace PasidFramework.Drivers.IntelVtd.Tests;

public sealed class ScenarioTests
{
    [Theory]
    [InlineData(true, StoreOrder.Immediate, 0, 0)]
    [InlineData(true, StoreOrder.Weak, 0, 0)]
    [InlineData(false, StoreOrder.Immediate, 0, 0)]
    [InlineData(false, StoreOrder.Weak, 0, 0)]
    [InlineData(true, StoreOrder.Immediate, 1, 0)]
    [InlineData(true, StoreOrder.Weak, 1, 0)]
    [InlineData(false, StoreOrder.Immediate, 1, 0)]
    [InlineData(false, StoreOrder.Weak, 1, 0)]
    [InlineData(false, StoreOrder.Weak, 0, 1)]
    public void D1_D2_D3_D5_D6_the_driver_leads_every_access_right_in_every_intermediate_state(
        bool coherent, StoreOrder order, int cachingMode, int writeBuffer)
    {
        ScenarioReport report = ModelScenario.Run(Setup(coherent, order, cachingMode, writeBuffer));

        Assert.Empty(report.Failures);
        Assert.True(report.Probes > 1000, $"only {report.Probes} probes");
    }

    internal static ScenarioSetup Setup(bool coherent, StoreOrder order, int cachingMode, int writeBuffer = 0) => new()
    {
        Driver = new VtdDriver(),
        Model = new VtdModelFactory(),
        PageTables = new X86PageTableFormat(),
        Hardware = Rig.With(("caching-mode", $"{cachingMode}"), ("rwbf", $"{writeBuffer}")) with { Coherent = coherent },
        UnitOptions = new Dictionary<string, string> { ["timeout-ms"] = "1" },
        Order = order,
    };
}
