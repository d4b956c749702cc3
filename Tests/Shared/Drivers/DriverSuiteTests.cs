// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Tests;

/// <summary>The unit, and the reader on tables that the driver wrote, by the suites of the kit.</summary>
public abstract class DriverSuiteTests
{
    public static TheoryData<string> UnitChecks => [.. UnitSuite.Checks.Keys];
    public static TheoryData<string> ReaderChecks => [.. TableReaderSuite.Checks.Keys];
    private protected abstract ScenarioSetup SuiteSetup { get; }
    private protected abstract ITableReader Reader { get; }

    [Theory]
    [MemberData(nameof(UnitChecks))]
    public void The_unit_keeps_its_contract(string check) => UnitSuite.Checks[check](new UnitSuite(SuiteSetup));

    [Theory]
    [MemberData(nameof(ReaderChecks))]
    public void The_reader_keeps_its_contract(string check)
    {
        using var suite = new TableReaderSuite(SuiteSetup, Reader);
        TableReaderSuite.Checks[check](suite);
    }
}
