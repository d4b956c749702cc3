// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Tests;

/// <summary>The writer by the suite of the kit, seen through an independent decoder.</summary>
public abstract class PasidTableSuiteTests
{
    public static TheoryData<string> Checks => [.. PasidTableSuite.Checks.Keys];
    private protected abstract PasidTableSuite Suite { get; }

    [Theory]
    [MemberData(nameof(Checks))]
    public void The_table_keeps_its_contract(string check) => PasidTableSuite.Checks[check](Suite);

    [Fact]
    public void Any_sequence_of_changes_ends_as_a_dictionary_says() => Prop.ForAll<uint, int[]>((bits, codes) =>
        Suite.RunSequence(1 + (int)(bits % 20), codes.Select(code => code * 7919))).QuickCheckThrowOnFailure();
}
