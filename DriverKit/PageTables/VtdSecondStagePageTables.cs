// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.DriverKit.PageTables;

/// <summary>
/// What the second stage of VT-d walks: Intel VT-d, D51397-018 (rev 5.10), section 9.8. All levels must grant a right.
/// </summary>
public static class VtdSecondStagePageTables
{
    public static RadixFormat ThreeLevel { get; } = Make("vtd-second-stage-3level", 3);
    public static RadixFormat FourLevel { get; } = Make("vtd-second-stage", 4);
    public static RadixFormat FiveLevel { get; } = Make("vtd-second-stage-5level", 5);

    private static RadixFormat Make(string name, int levels)
    {
        ulong read = VtdSecondStageEntry.R.WordMask;
        ulong write = VtdSecondStageEntry.W.WordMask;
        return new()
        {
            Name = name,
            Levels = levels,
            AddressBits = 12 + (9 * levels),
            AddressMask = VtdSecondStageEntry.ADDR.WordMask,
            PresentBits = read | write,
            PageBits = read | write,
            BlockBits = VtdSecondStageEntry.PS.WordMask,
            TableRights = new(read, write),
            LeafRights = new(read, write),
            TableValue = read | write,
            PageValue = read,
            BlockValue = read | VtdSecondStageEntry.PS.WordMask,
            WritableValue = write,
        };
    }
}
