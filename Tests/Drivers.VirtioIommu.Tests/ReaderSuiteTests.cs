// SPDX-License-Identifier: Apache-2.0
using PasidFramework.TestKit.Tables;

namespace PasidFramework.Drivers.VirtioIommu.Tests;

/// <summary>The reader on tables that the driver wrote, by the suite of the kit.</summary>
public sealed class ReaderSuiteTests
{
    public static TheoryData<string> Checks => [.. TableReaderSuite.Checks.Keys];

    [Theory]
    [MemberData(nameof(Checks))]
    public void The_reader_keeps_its_contract(string check)
    {
        using var suite = new TableReaderSuite(Scenarios.Setup("B", coherent: true, StoreOrder.Immediate),
            new VirtioTableReader { ArmSmmuV3Reader = new ArmSmmu.Reader.SmmuTableReader() });

        TableReaderSuite.Checks[check](suite);
    }
}
