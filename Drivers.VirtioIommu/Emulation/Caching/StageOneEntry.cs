// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Drivers.VirtioIommu.Emulation.Caching;

// VMSAv8-64 stage 1 descriptors with a 4 KiB granule: Arm IHI 0070 3.4, DDI 0487 D8.3.

/// <summary>One descriptor of a stage 1 page table (4 KiB granule).</summary>
/// <param name="Word">The 64 bits.</param>
/// <param name="Level">Its level, 0 to 3.</param>
internal readonly record struct StageOneEntry(ulong Word, int Level)
{
    private const ulong AddressMask = 0x0000_FFFF_FFFF_F000;
    private const ulong UpperReserved = 0x0003_0000_0000_0000;

    /// <summary>Address bits below this level's index: 39, 30, 21, 12.</summary>
    public static int Shift(int level) => 39 - (9 * level);

    /// <summary>First level of a walk for an input size.</summary>
    /// <param name="inputBits">25 to 48.</param>
    public static int FirstLevel(int inputBits) => inputBits > 39 ? 0 : inputBits > 30 ? 1 : 2;

    public bool IsValid => (Word & 1) != 0 && (Level != 3 || (Word & 2) != 0) && (Level != 0 || (Word & 2) != 0);

    public bool IsTable => IsValid && Level < 3 && (Word & 2) != 0;

    public bool IsUser => (Word >> 6 & 1) != 0;

    public bool IsReadOnly => (Word >> 7 & 1) != 0;

    public bool IsAccessed => (Word >> 10 & 1) != 0;

    /// <summary>AttrIndx 4:2: which byte of MAIR says what kind of memory it is.</summary>
    public int AttributeIndex => (int)(Word >> 2 & 7);

    /// <summary>nG = 0: every ASID uses the translation.</summary>
    public bool IsGlobal => (Word >> 11 & 1) == 0;

    /// <summary>Next table, block or page.</summary>
    public ulong Address => IsTable || Level == 3
        ? Word & AddressMask : Word & AddressMask & ~((1UL << Shift(Level)) - 1);

    /// <summary>What must be 0 in an entry that is present and is not.</summary>
    public ulong ReservedBits => !IsValid ? 0
        : (Word & UpperReserved) | (IsTable || Level == 3 ? 0 : Word & 0x001E_0000);
}
