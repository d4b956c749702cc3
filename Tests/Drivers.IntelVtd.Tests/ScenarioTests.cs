// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Tests;

public sealed class ScenarioTests : DriverSuiteTests
{
    private protected override ScenarioSetup SuiteSetup => Setup(coherent: true, StoreOrder.Immediate, 0);
    private protected override ITableReader Reader => new VtdTableReader();

    [Theory]
    [InlineData(true, StoreOrder.Immediate, 0, 0), InlineData(true, StoreOrder.Weak, 0, 0)]
    [InlineData(false, StoreOrder.Immediate, 0, 0), InlineData(false, StoreOrder.Weak, 0, 0)]
    [InlineData(true, StoreOrder.Immediate, 1, 0), InlineData(true, StoreOrder.Weak, 1, 0)]
    [InlineData(false, StoreOrder.Immediate, 1, 0), InlineData(false, StoreOrder.Weak, 1, 0)]
    [InlineData(false, StoreOrder.Weak, 0, 1)]
    public void D1_D2_D3_D5_D6_the_driver_leads_every_access_right_in_every_intermediate_state(
        bool coherent, StoreOrder order, int cachingMode, int writeBuffer)
    {
        ScenarioReport report = ModelScenario.Run(Setup(coherent, order, cachingMode, writeBuffer));

        Assert.Empty(report.Failures);
        Assert.True(report.Probes > 1000, $"only {report.Probes} probes");
    }

    [Theory]
    [InlineData(0), InlineData(1)]
    public void D5_page_requests_are_drained_before_a_PASID_is_free(int cachingMode)
    {
        ScenarioReport report = ModelScenario.Run(Setup(true, StoreOrder.Immediate, cachingMode) with
        {
            Features = DeviceFeatures.Ats | DeviceFeatures.Pri,
        });

        Assert.Empty(report.Failures);
    }

    [Fact]
    public void D2_every_mixture_of_words_that_a_walk_may_have_read_is_the_old_entry_or_not_present()
    {
        var memory = new ModelMemory(isCoherent: false, StoreOrder.Weak);
        using IIommuModel model = new VtdModel(memory, new HardwareSetup { Coherent = false });
        using VtdUnit unit = Fixture.Ok(VtdUnit.Start(new UnitSetup
        {
            Name = "dmar0",
            Hardware = model,
            Options = new Dictionary<string, string> { ["rid-pasid"] = "1" },
        }));
        VtdDomain domain = Fixture.Ok(unit.AddDomain(20));
        VtdDevice device = Fixture.Ok(unit.AddDevice(Fixture.Nic, DeviceFeatures.Ats, domain));
        using IPageTable table = Fixture.Ok(X86PageTables.FourLevel.Create(memory));
        var pasid = new Pasid(5);
        UnitLink? link = null;
        Fixture.Ok(domain.Attach(pasid, table.Root, device, true, ref link));
        ulong entry = PasidTableTests.EntryAddress(memory, domain.Table, 5);
        ulong context = (memory.ReadQword(unit.Root + 16) & ~0xFFFUL) + (0x18 * 32);
        ulong[] wholeEntry = [.. Enumerable.Range(0, 8).Select(i => memory.ReadQword(entry + ((ulong)i * 8)))];
        ulong[] wholeContext = [.. Enumerable.Range(0, 4).Select(i => memory.ReadQword(context + ((ulong)i * 8)))];
        int present = 0;
        int absent = 0;
        memory.Settle();
        memory.Changed += _ =>
        {
            CheckTornReads(entry, wholeEntry);
            CheckTornReads(context, wholeContext);
        };

        Fixture.Ok(domain.Exit(pasid, link));
        Fixture.Ok(domain.Detach(pasid, device, true, ref link));
        Fixture.Ok(unit.RemoveDevice(device, domain));

        Assert.Equal(1UL, wholeContext[1]);
        Assert.True(present > 10 && absent > 10, $"{present} present, {absent} not");

        void CheckTornReads(ulong at, ulong[] whole) => memory.ForEachTornRead(at, whole.Length, mix =>
        {
            if ((mix[0] & 1) == 1)
            {
                present++;
                Assert.Equal(whole, mix.ToArray());
            }
            else
            {
                absent++;
            }
        });
    }

    internal static ScenarioSetup Setup(bool coherent, StoreOrder order, int cachingMode, int writeBuffer = 0) => new()
    {
        Driver = new VtdDriver(),
        Model = new VtdModelFactory(),
        PageTables = X86PageTables.FourLevel,
        Hardware = Fixture.With(("caching-mode", $"{cachingMode}"), ("rwbf", $"{writeBuffer}"))
            with { Coherent = coherent },
        UnitOptions = new Dictionary<string, string> { ["timeout-ms"] = "1" },
        Order = order,
    };
}
