// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Tests;

public sealed class SuiteTests : DriverSuiteTests
{
    private protected override ITableReader Reader => new SmmuTableReader();

    private protected override ScenarioSetup SuiteSetup => new()
    {
        Driver = new SmmuDriver(),
        Model = new SmmuModelFactory(),
        PageTables = ArmPageTables.Granule4K,
        UnitOptions = new Dictionary<string, string> { ["poll-limit"] = "1000" },
    };
}

/// <summary>The formats of structures.</summary>
public sealed class LayoutSuite() : LayoutSuiteTests("arm-smmuv3", new ArmSmmuStructures());
