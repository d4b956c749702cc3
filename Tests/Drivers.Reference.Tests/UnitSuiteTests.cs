// SPDX-License-Identifier: Apache-2.0
using PasidFramework.TestKit.Units;

namespace PasidFramework.Drivers.Reference.Tests;

/// <summary>The unit by the suite of the kit.</summary>
public sealed class UnitSuiteTests
{
    public static TheoryData<string> Checks => [.. UnitSuite.Checks.Keys];

    [Theory]
    [MemberData(nameof(Checks))]
    public void The_unit_keeps_its_contract(string check) =>
        UnitSuite.Checks[check](new UnitSuite(ScenarioTests.Setup(coherent: true, StoreOrder.Immediate)));
}
