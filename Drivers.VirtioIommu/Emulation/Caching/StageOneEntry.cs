// SPDX-License-Identifier: Apache-2.0
using PasidFramework.DriverKit.PageTables;

namespace PasidFramework.Drivers.VirtioIommu.Emulation.Caching;

/// <summary>One descriptor of a stage 1 page table with a 4 KiB granule (Arm DDI 0487 D8.3).</summary>
/// <param name="Word">The 64 bits.</param>
/// <param name="Level">Its level as Arm counts, 0 to 3.</param>
internal readonly record struct StageOneEntry(ulong Word, int Level)
{
    private const int LastLevel = 3;
    private static RadixFormat Format => ArmPageTables.Granule4K;
    private static Field UpperReserved => new(49, 48, "RSVD[49:48]");
    private static Field BlockReserved => new(20, 17, "RSVD[20:17]");
    private EntryKind Kind => Format.Classify(Word, KitLevel(Level));

    /// <summary>Address bits below this level's index: 39, 30, 21, 12.</summary>
    public static int Shift(int level) => Format.Shift(KitLevel(level));

    /// <summary>First level of a walk for an input size.</summary>
    /// <param name="inputBits">25 to 48.</param>
    public static int FirstLevel(int inputBits) => inputBits > Shift(0) ? 0 : inputBits > Shift(1) ? 1 : 2;

    public bool IsValid => Kind != EntryKind.Empty;
    public bool IsTable => Kind == EntryKind.Table;
    public bool IsUser => Has(ArmStage1Entry.AP1);
    public bool IsReadOnly => Has(ArmStage1Entry.AP2);
    public bool IsAccessed => Has(ArmStage1Entry.AF);
    public int AttributeIndex => (int)((ReadOnlySpan<ulong>)[Word]).Get(ArmStage1Entry.AttrIndx);

    /// <summary>nG = 0: every ASID uses the translation.</summary>
    public bool IsGlobal => !Has(ArmStage1Entry.NG);

    public ulong Address => IsTable ? Format.TableOf(Word) : Format.PageOf(Word, KitLevel(Level));

    /// <summary>What must be 0 in an entry that is present and is not.</summary>
    public ulong ReservedBits => !IsValid ? 0 : Word & (UpperReserved.WordMask
        | (IsTable || Level == LastLevel ? 0 : BlockReserved.WordMask));

    // Formats count levels down to 1, the last; Arm counts up to 3.
    private static int KitLevel(int level) => LastLevel + 1 - level;
    private bool Has(Field field) => (Word & field.WordMask) != 0;
}
