// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.Reference.Tests;

/// <summary>The writer by the suite of the kit, seen through the architecture's bits.</summary>
public sealed class TableSuiteTests
{
    private static readonly PasidTableSuite s_suite = new(new ReferenceTableFormat(), Decode);
    public static TheoryData<string> Checks => [.. PasidTableSuite.Checks.Keys];

    [Theory]
    [MemberData(nameof(Checks))]
    public void The_table_keeps_its_contract(string check) => PasidTableSuite.Checks[check](s_suite);

    [Fact]
    public void Any_sequence_of_changes_ends_as_a_dictionary_says() => Prop.ForAll<uint, int[]>((bits, codes) =>
        s_suite.RunSequence(1 + (int)(bits % 20), codes.Select(code => code * 7919))).QuickCheckThrowOnFailure();

    private static PasidEntryView Decode(IMemoryReader memory, IReadOnlyDictionary<string, ulong> attach, uint pasid)
    {
        ulong link = memory.ReadQword(attach["TABLE"] + ((pasid >> 8) * 8UL));
        ulong leaf = link & 0x000F_FFFF_FFFF_F000;
        if (link == 0)
        {
            return default;
        }

        var words = new ulong[2];
        memory.ReadWords(leaf + ((pasid & 0xFF) * 16), words);
        ulong root = words[0] & 0x000F_FFFF_FFFF_F000;
        return words switch
        {
            _ when link != (leaf | 1) => new PasidEntryView(PasidEntryKind.Malformed),
            [0, _] => default,
            [3, _] => new PasidEntryView(PasidEntryKind.Quiet),
            [var first, <= 0xFFFF] when first == (root | 1) =>
                new PasidEntryView(PasidEntryKind.Valid, root, (uint)words[1]),
            _ => new PasidEntryView(PasidEntryKind.Malformed),
        };
    }
}
