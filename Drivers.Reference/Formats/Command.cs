// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.Reference.Formats;

/// <summary>
/// A command: what is written to COMMAND_0 and COMMAND_1. One layout for each operation. Reference architecture,
/// section 4.
/// </summary>
/// <param name="Word0">COMMAND_0.</param>
/// <param name="Word1">COMMAND_1; writing it starts the command.</param>
internal readonly record struct Command(ulong Word0, ulong Word1)
{
    public const ulong Device = 1;
    public const ulong PasidTable = 2;
    public const ulong Translations = 3;
    public const ulong DeviceTlb = 4;

    /// <summary>INVALIDATE_DEVICE: what is known of a device entry.</summary>
    public static readonly Layout DeviceLayout = new(
        "reference/invalidate_device", 128, "Reference architecture, section 4.1", [
            Fixed(OP, Device), Reserved(31, 4),
            Value(REQUESTER, "whose entry"),
            Reserved(127, 48),
        ]);

    /// <summary>INVALIDATE_PASID: what is known of entries of a PASID table, for all devices that use the
    /// table.</summary>
    public static readonly Layout PasidTableLayout = new(
        "reference/invalidate_pasid", 128, "Reference architecture, section 4.2", [
            Fixed(OP, PasidTable),
            Value(ALL, "the whole table: PASID and LEAF are ignored"),
            LEAF, Reserved(11, 6),
            Value(PASID, "the entry"),
            Reserved(75, 32), Address(TABLE), Reserved(127, 116),
        ]);

    /// <summary>INVALIDATE_TRANSLATIONS: what is known of page tables.</summary>
    public static readonly Layout TranslationsLayout = new(
        "reference/invalidate_translations", 128, "Reference architecture, section 4.3", [
            Fixed(OP, Translations),
            Value(ALL, "all addresses: COUNT and ADDRESS are ignored"),
            Reserved(47, 5), ASID, COUNT, Address(ADDRESS),
        ]);

    /// <summary>INVALIDATE_DEVICE_TLB: what a device keeps.</summary>
    public static readonly Layout DeviceTlbLayout = new(
        "reference/invalidate_device_tlb", 128, "Reference architecture, section 4.4", [
            Fixed(OP, DeviceTlb),
            Value(ALL, "all addresses: COUNT and ADDRESS are ignored"),
            ANY, Reserved(11, 6),
            Value(PASID, "the PASID of the requests"),
            Value(REQUESTER, "the device"),
            Reserved(63, 48), COUNT, Address(ADDRESS),
        ]);

    public static Field OP => new(3, 0, "OP", "operation");
    public static Field ALL => new(4, 4, "ALL");
    public static Field LEAF => new(5, 5, "LEAF", "the PASID entry only; 0: its directory entry too");
    public static Field ANY => new(5, 5, "ANY", "every PASID: PASID is ignored");
    public static Field PASID => new(31, 12, "PASID");
    public static Field REQUESTER => new(47, 32, "REQUESTER");
    public static Field ASID => new(63, 48, "ASID", "whose");
    public static Field COUNT => new(75, 64, "COUNT", "pages less one");
    public static Field ADDRESS => new(127, 76, "ADDRESS", "the first page");
    public static Field TABLE => new(115, 76, "TABLE", "the PASID table");

    public static Command InvalidateDevice(RequesterId requester) =>
        new(0UL.With(OP, Device).With(REQUESTER, requester.Value), 0);

    public static Command InvalidatePasid(ulong table, Pasid pasid, bool leafOnly) => new(
        0UL.With(OP, PasidTable).With(LEAF, leafOnly ? 1UL : 0).With(PASID, pasid.Value),
        0UL.WithAddress(TABLE, table));

    public static Command InvalidateTable(ulong table) =>
        new(0UL.With(OP, PasidTable).With(ALL, 1), 0UL.WithAddress(TABLE, table));

    public static Command InvalidateTranslations(uint asid, PageRange range) =>
        new(0UL.With(OP, Translations).With(ALL, range.IsAll ? 1UL : 0).With(ASID, asid), range.Word);

    public static Command InvalidateDeviceTlb(RequesterId requester, Pasid pasid, PageRange range) => new(
        0UL.With(OP, DeviceTlb).With(ALL, range.IsAll ? 1UL : 0).With(PASID, pasid.Value)
            .With(REQUESTER, requester.Value),
        range.Word);

    public static Command InvalidateDeviceTlb(RequesterId requester) =>
        new(0UL.With(OP, DeviceTlb).With(ALL, 1).With(ANY, 1).With(REQUESTER, requester.Value), 0);

    /// <summary>The layout of an operation; null for an unknown one.</summary>
    public static Layout? LayoutOf(ulong operation) => operation switch
    {
        Device => DeviceLayout,
        PasidTable => PasidTableLayout,
        Translations => TranslationsLayout,
        DeviceTlb => DeviceTlbLayout,
        _ => null,
    };
}

/// <summary>The pages that an invalidation covers.</summary>
/// <param name="First">Byte address of the first page.</param>
/// <param name="Pages">How many, 1 to 4096.</param>
/// <param name="IsAll">Whether it is every address.</param>
internal readonly record struct PageRange(ulong First, ulong Pages, bool IsAll)
{
    private const ulong MaxPages = 1UL << 12;
    public static PageRange All => new(0, 1, true);

    /// <summary>COMMAND_1 of an invalidation of this range.</summary>
    public ulong Word => IsAll ? 0 : 0UL.With(Command.COUNT, Pages - 1).WithAddress(Command.ADDRESS, First);

    /// <summary>The pages that a range, which is not empty, touches (invariant D6): exactly those, or everything where
    /// they are more than one command can name.</summary>
    public static PageRange Cover(IovaRange range)
    {
        ulong pages = (range.Last >> PageTableEntry.PageShift) - (range.First >> PageTableEntry.PageShift) + 1;
        return pages > MaxPages ? All : new PageRange(range.First & Command.ADDRESS.WordMask, pages, false);
    }
}
