// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Tests;

/// <summary>The decoder of the suite: the specification's bits.</summary>
public sealed class TableSuiteTests : PasidTableSuiteTests
{
    private protected override PasidTableSuite Suite { get; } = new(new VtdTableFormat(), Decode)
    {
        // Domain id 0 is never used (6.2.3.1).
        Misfits = [new(0x10abcd000, 0), new(0x10abcd000, 0x1_0000)],
    };

    private static PasidEntryView Decode(IMemoryReader memory, IReadOnlyDictionary<string, ulong> attach, uint pasid)
    {
        ulong link = memory.ReadQword(attach["PASIDDIRPTR"] + ((pasid >> 6) * 8UL));
        ulong leaf = link & 0x000F_FFFF_FFFF_F000;
        if (link == 0)
        {
            return default;
        }

        var words = new ulong[8];
        memory.ReadWords(leaf + ((pasid & 0x3F) * 64), words);
        return words switch
        {
            _ when link != (leaf | 1) => new PasidEntryView(PasidEntryKind.Malformed),
            [0, ..] => default,
            [2, ..] => new PasidEntryView(PasidEntryKind.Quiet),
            [0x49, <= 0xFFFF, var root, 0, 0, 0, 0, 0] =>
                new PasidEntryView(PasidEntryKind.Valid, root, (uint)words[1]),
            _ => new PasidEntryView(PasidEntryKind.Malformed),
        };
    }
}
