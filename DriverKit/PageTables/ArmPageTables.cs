// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.DriverKit.PageTables;

/// <summary>
/// The long descriptors of VMSAv8-64 (Arm DDI 0487 D8.3), which SMMUv3 walks (Arm IHI 0070 3.4): 48 bits of address
/// with granules of 4, 16 and 64 KiB. Blocks: 2 MiB and 1 GiB, 32 MiB, 512 MiB. Level 1 here is Arm's level 3.
/// </summary>
public static class ArmPageTables
{
    private const ulong Block = ArmStage1Entry.TypeBlock;
    private const ulong Page = ArmStage1Entry.TypeTableOrPage;
    private const ulong NotTable = Page & ~Block; // 0 in a block

    public static RadixFormat Granule4K { get; } = Stage1("arm-lpae-4k", 12);
    public static RadixFormat Granule16K { get; } = Stage1("arm-lpae-16k", 14);
    public static RadixFormat Granule64K { get; } = Stage1("arm-lpae-64k", 16);
    public static RadixFormat Stage2Granule4K { get; } = Stage2("arm-lpae-4k-stage2", 12);
    public static RadixFormat Stage2Granule16K { get; } = Stage2("arm-lpae-16k-stage2", 14);
    public static RadixFormat Stage2Granule64K { get; } = Stage2("arm-lpae-64k-stage2", 16);

    /// <summary>The stage 1 format of a granule.</summary>
    /// <param name="granuleShift">log2 of the granule: 12, 14 or 16.</param>
    public static RadixFormat OfStage1(int granuleShift) =>
        granuleShift switch { 12 => Granule4K, 14 => Granule16K, _ => Granule64K };

    /// <summary>The stage 2 format of a granule.</summary>
    /// <param name="granuleShift">log2 of the granule: 12, 14 or 16.</param>
    public static RadixFormat OfStage2(int granuleShift) =>
        granuleShift switch { 12 => Stage2Granule4K, 14 => Stage2Granule16K, _ => Stage2Granule64K };

    // APTable in a table takes rights from all below. AttrIndx 1 is write-back in the MAIR that Linux uses.
    private static RadixFormat Stage1(string name, int granuleShift)
    {
        ulong leaf = (1UL << ArmStage1Entry.AttrIndx.Shift) | ArmStage1Entry.AP1.WordMask | ArmStage1Entry.SH.WordMask
            | ArmStage1Entry.AF.WordMask | ArmStage1Entry.NG.WordMask;
        ulong readOnly = ArmStage1Entry.AP2.WordMask;
        ulong noUser = ArmStage1Entry.APTable0.WordMask;
        ulong noWrites = ArmStage1Entry.APTable1.WordMask;
        return Make(
            name, granuleShift, new(Write: noWrites, User: noUser, Inverted: noWrites | noUser),
            new(Write: readOnly, User: ArmStage1Entry.AP1.WordMask, Inverted: readOnly), leaf, 0, readOnly);
    }

    private static RadixFormat Stage2(string name, int granuleShift)
    {
        ulong read = 1UL << ArmStage2Entry.S2AP.Shift;
        ulong write = read << 1;
        ulong leaf = ArmStage2Entry.MemAttr.WordMask | read | ArmStage2Entry.SH.WordMask | ArmStage2Entry.AF.WordMask;
        return Make(name, granuleShift, default, new(read, write), leaf, write, 0);
    }

    private static RadixFormat Make(
        string name, int granuleShift, RightsRule tables, RightsRule leaves, ulong leaf, ulong writable,
        ulong readOnly) => new()
        {
            Name = name,
            AddressBits = 48,
            PageShift = granuleShift,
            IndexBits = granuleShift - 3,
            Levels = granuleShift == 16 ? 3 : 4,
            LeafLevels = granuleShift == 12 ? 0b1110 : 0b0110u,
            AddressMask = ArmStage1Entry.Address.WordMask,
            PresentBits = Block,
            PageBits = NotTable,
            BlockBits = NotTable,
            BlockInverted = NotTable,
            AccessedBits = ArmStage1Entry.AF.WordMask,
            TableRights = tables,
            LeafRights = leaves,
            TableValue = Page,
            PageValue = Page | leaf,
            BlockValue = Block | leaf,
            WritableValue = writable,
            ReadOnlyValue = readOnly,
        };
}
