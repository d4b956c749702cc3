// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Tests;

/// <summary>The decoder of the suite: the independent decoder.</summary>
public sealed class TableSuiteTests : PasidTableSuiteTests
{
    private protected override PasidTableSuite Suite { get; } = new(new SmmuTableFormat(), Decode)
    {
        Misfits = [new(1UL << 48, 1), new(0x8_9000_0010, 1), new(0x8_9000_0000, 0x1_0000)],
    };

    private static PasidEntryView Decode(IMemoryReader memory, IReadOnlyDictionary<string, ulong> attach, uint pasid)
    {
        ulong leaf = attach["S1ContextPtr"];
        if (attach["S1Fmt"] != 0)
        {
            ulong link = memory.ReadQword(leaf + ((pasid >> 10) * 8UL));
            leaf = link & 0x00FF_FFFF_FFFF_F000;
            if (link == 0 || link != (leaf | 1) || leaf % 65536 != 0)
            {
                return new PasidEntryView(link == 0 ? PasidEntryKind.Absent : PasidEntryKind.Malformed);
            }
        }

        var words = new ulong[8];
        memory.ReadWords(leaf + ((pasid & 0x3FF) * 64), words);
        DecodedCd cd = DecodedCd.From(words);
        ulong[] expected = Vector.Of(cd.Epd0 ? "cd/quiet" : "cd/process").Padded(8);

        // ASID and page table are the process's own.
        bool isWhole = ((words[0] ^ expected[0]) & ~(0xFFFFUL << 48)) == 0 && DecodedCd.IsClean(words)
            && words[3] == expected[3];
        return !cd.Valid ? default
            : !isWhole ? new PasidEntryView(PasidEntryKind.Malformed)
            : cd.Epd0 ? new PasidEntryView(PasidEntryKind.Quiet)
            : new PasidEntryView(PasidEntryKind.Valid, cd.Ttb0, cd.Asid);
    }
}
