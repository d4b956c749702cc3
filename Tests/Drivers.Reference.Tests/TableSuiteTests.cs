// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.Reference.Tests;

/// <summary>The decoder of the suite: the architecture's bits.</summary>
public sealed class TableSuiteTests : PasidTableSuiteTests
{
    private protected override PasidTableSuite Suite { get; } = new(new ReferenceTableFormat(), Decode);

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
