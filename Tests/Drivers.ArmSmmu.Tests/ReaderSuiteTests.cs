// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Tests;

/// <summary>The reader on tables that the driver wrote, by the suite of the kit.</summary>
public sealed class ReaderSuiteTests
{
    public static TheoryData<string> Checks => [.. TableReaderSuite.Checks.Keys];

    [Theory]
    [MemberData(nameof(Checks))]
    public void The_reader_keeps_its_contract(string check)
    {
        using var suite = new TableReaderSuite(new ScenarioSetup
            {
                Driver = new SmmuDriver(),
                Model = new SmmuModelFactory(),
                PageTables = ArmPageTables.Granule4K,
                UnitOptions = new Dictionary<string, string> { ["poll-limit"] = "1000" },
            }, new SmmuTableReader());

        TableReaderSuite.Checks[check](suite);
    }
}
