// SPDX-License-Identifier: Apache-2.0
// Page table entries that the SMMU walks: the VMSAv8-64 long descriptors of Arm DDI 0487 D8.3, which Arm IHI 0070 3.4
// takes over; 64 bits each. The same bits are declared for tables, blocks and pages: which one an entry with type 3 is
// depends on its level, which the entry does not say. Bits 15:12 hold address bits 51:48 with 64 KiB granules.

namespace PasidFramework.DriverKit.PageTables;

/// <summary>What entries of both stages have in common.</summary>
internal static class ArmEntries
{
    public const string Source = "Arm IHI 0070 3.4, Arm DDI 0487 D8.3";

    // Same positions in both stages.
    private static Field HighReserved => new(49, 48, "RSVD");
    private static Field BlockReserved => new(20, 17, "RSVD");

    public static LayoutField TypeField(Field type) => Value(
        type,
        "what the entry is",
        (0, "not present"),
        (ArmStage1Entry.TypeBlock, "block"),
        (2, "not present"),
        (ArmStage1Entry.TypeTableOrPage, "table, or page at the last level"));

    public static LayoutField Shareability(Field field) => Value(
        field, "shareability", (0, "non"), (1, "reserved"), (2, "outer"), (3, "inner"));

    /// <summary>
    /// Reserved in entries that are present (see <see cref="Check"/>): what is not present is software's own.
    /// </summary>
    public static LayoutField Upper() => Ignored(50, 48, "49:48 are 0 in an entry that is present");

    public static LayoutField Contiguous() => Ignored(52, 52, "hint that neighbours continue the mapping");

    /// <summary>
    /// What no entry that is present may have. Everything else of an entry whose bit 0 is 0 is ignored, and
    /// SH of type 3 counts only at the last level.
    /// </summary>
    public static void Check(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        ulong type = words.Get(ArmStage1Entry.Type);
        if ((type & 1) == 0)
        {
            return;
        }

        MustBeZero(words, HighReserved, "without 52-bit descriptors", found);
        if (type != ArmStage1Entry.TypeBlock)
        {
            return;
        }

        if (words.Get(ArmStage1Entry.SH) == 1)
        {
            found.Add(ArmStage1Entry.SH, "is 1, a reserved encoding (DDI 0487 D8.3)");
        }

        // The smallest block of all granules is 2 MiB; bits 15:12 may hold high address bits and 16 is nT.
        MustBeZero(words, BlockReserved, "in a block, the smallest of which is 2 MiB", found);
    }

    private static void MustBeZero(ReadOnlySpan<ulong> words, Field field, string where, ICollection<Violation> found)
    {
        ulong value = words.Get(field);
        if (value != 0)
        {
            found.Add(new Violation(field.ToString(), Text($"is 0x{value:x}, must be 0 {where} (DDI 0487 D8.3)")));
        }
    }
}
