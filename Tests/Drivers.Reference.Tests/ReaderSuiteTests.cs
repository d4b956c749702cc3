// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.Reference.Tests;

/// <summary>The reader on tables that the driver wrote, by the suite of the kit.</summary>
public sealed class ReaderSuiteTests
{
    public static TheoryData<string> Checks => [.. TableReaderSuite.Checks.Keys];

    [Theory]
    [MemberData(nameof(Checks))]
    public void The_reader_keeps_its_contract(string check)
    {
        using var suite =
            new TableReaderSuite(ScenarioTests.Setup(coherent: true, StoreOrder.Immediate), new ReferenceTableReader());

        TableReaderSuite.Checks[check](suite);
    }
}
