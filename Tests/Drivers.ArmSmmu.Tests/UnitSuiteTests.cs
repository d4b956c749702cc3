// SPDX-License-Identifier: Apache-2.0
using PasidFramework.TestKit.Units;

namespace PasidFramework.Drivers.ArmSmmu.Tests;

/// <summary>The unit by the suite of the kit.</summary>
public sealed class UnitSuiteTests
{
    public static TheoryData<string> Checks => [.. UnitSuite.Checks.Keys];

    [Theory]
    [MemberData(nameof(Checks))]
    public void The_unit_keeps_its_contract(string check) => UnitSuite.Checks[check](new UnitSuite(new ScenarioSetup
    {
        Driver = new SmmuDriver(),
        Model = new SmmuModelFactory(),
        PageTables = ArmPageTables.Granule4K,
        UnitOptions = new Dictionary<string, string> { ["poll-limit"] = "1000" },
    }));
}
