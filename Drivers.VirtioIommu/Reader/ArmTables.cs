using System.Globalization;
using PasidFramework.Drivers.VirtioIommu.Emulation.Functional;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;

namespace PasidFramework.Drivers.VirtioIommu.Reader;

// Arm System MMU Architecture version 3, IHI 0070: section 5.2 (the STE fields that point to a table), 5.3 (level 1
// context descriptors), 5.4 (context descriptors); VMSAv8-64 stage 1 descriptors with a 4 KiB granule (3.4, DDI 0487
// D8.3). What is decoded here is only read: whatever writes such tables shares no code with it.

/// <summary>Names and arithmetic of an attached table.</summary>
internal static class ArmTables
{
    /// <summary>Id of a level 1 context descriptor; its layout is in the assembly that writes such tables.</summary>
    public const string Level1Structure = "arm-smmuv3/l1_cd_desc";

    /// <summary>Id of a context descriptor.</summary>
    public const string DescriptorStructure = "arm-smmuv3/cd";

    /// <summary>Id of a stage 1 page table entry.</summary>
    public const string EntryStructure = "arm-smmuv3/s1_pte";

    public const int DescriptorBytes = 64;

    public const int DescriptorWords = 8;

    /// <summary>Widest output address in bits, IDR5.OAS = 5.</summary>
    public const int OutputBits = 48;

    private const ulong Level1Pointer = 0x00FF_FFFF_FFFF_F000;
    private const ulong Level1Reserved = 0xFF00_0000_0000_0FFE;

    /// <summary>log2 of the descriptors in a leaf: 64 (S1Fmt 1) or 1024 (S1Fmt 2).</summary>
    public static int LeafBits(int s1Fmt) => s1Fmt == 1 ? 6 : 10;

    /// <summary>Entries of the first level, or descriptors of a linear table.</summary>
    public static long RootEntries(in DeviceTable table) =>
        table.S1Fmt == 0 ? 1L << table.S1CdMax : 1L << Math.Max(0, table.S1CdMax - LeafBits(table.S1Fmt));

    /// <summary>Whether a level 1 descriptor points to a leaf.</summary>
    public static bool IsLevel1Valid(ulong word) => (word & 1) != 0;

    /// <summary>Byte address of a leaf.</summary>
    public static ulong Leaf(ulong word) => word & Level1Pointer;

    /// <summary>Bits of a level 1 descriptor that must be 0 and are not.</summary>
    public static ulong Level1ReservedBits(ulong word) => word & Level1Reserved;

    /// <summary>log2 of the alignment that S1ContextPtr needs (section 5.2): the size of the table or first
    /// level.</summary>
    public static int RootAlignmentLog2(in DeviceTable table) => table.S1Fmt == 0
        ? table.S1CdMax + 6
        : Math.Max(6, table.S1CdMax - LeafBits(table.S1Fmt) + 3);

    /// <summary>Address bits of an encoding of CD.IPS; beyond what the device has they are cut.</summary>
    public static int AddressBits(int ips) =>
        ips switch { 0 => 32, 1 => 36, 2 => 40, 3 => 42, 4 => 44, _ => OutputBits };

    /// <summary>Which number an access uses, or what becomes of it before any descriptor is read (section 5.2,
    /// S1DSS).</summary>
    /// <param name="table">The table.</param>
    /// <param name="pasid">The access's PASID; null for none.</param>
    /// <param name="substream">The descriptor's number.</param>
    /// <returns>Null where the descriptor decides; else the end of the access.</returns>
    public static WalkResult? Select(in DeviceTable table, Pasid? pasid, out uint substream)
    {
        substream = 0;
        if (pasid is { } number)
        {
            substream = number.Value;
            if (substream == 0 && table.S1Dss == 2)
            {
                return WalkResult.Configuration($"substream 0 belongs to requests without PASID (S1DSS = 2)");
            }

            return table.S1CdMax == 0 || (table.S1CdMax < 32 && substream >> table.S1CdMax != 0)
                ? WalkResult.Configuration($"substream 0x{substream:x} is beyond S1CDMax = {table.S1CdMax}")
                : null;
        }

        if (table.S1CdMax == 0)
        {
            return null;
        }

        return table.S1Dss switch
        {
            0 => WalkResult.Configuration($"requests without PASID are terminated (S1DSS = 0)"),
            1 => new WalkResult(TranslationStatus.Bypassed, 0, false, null),
            _ => null,
        };
    }
}

/// <summary>The fields of one context descriptor (section 5.4), read from its eight words.</summary>
internal readonly struct ContextDescriptorImage
{
    private readonly ulong _word0;
    private readonly ulong _word1;
    private readonly ulong _word2;
    private readonly ulong _word3;

    /// <summary>Takes the words; beyond the first four nothing decides what an access does.</summary>
    public ContextDescriptorImage(ReadOnlySpan<ulong> words)
    {
        _word0 = words[0];
        _word1 = words[1];
        _word2 = words[2];
        _word3 = words[3];
    }

    public bool IsValid => (_word0 >> 31 & 1) != 0;

    public int T0Sz => (int)(_word0 & 0x3F);

    public int Tg0 => (int)(_word0 >> 6 & 3);

    /// <summary>EPD0: TTB0 is not walked, every access ends.</summary>
    public bool IsQuiet => (_word0 >> 14 & 1) != 0;

    public bool IsBigEndian => (_word0 >> 15 & 1) != 0;

    public int Ips => (int)(_word0 >> 32 & 7);

    public bool IgnoresTopByte => (_word0 >> 38 & 1) != 0;

    public bool IsAArch64 => (_word0 >> 41 & 1) != 0;

    /// <summary>AFFD: an access flag of 0 does not fault.</summary>
    public bool IgnoresAccessFlag => (_word0 >> 35 & 1) != 0;

    /// <summary>HA or HD: hardware is to update entries.</summary>
    public bool UpdatesFlags => (_word0 >> 42 & 3) != 0;

    public bool Stalls => (_word0 >> 44 & 1) != 0;

    /// <summary>R: faults are recorded.</summary>
    public bool Records => (_word0 >> 45 & 1) != 0;

    public bool Aborts => (_word0 >> 46 & 1) != 0;

    public uint Asid => (uint)(_word0 >> 48);

    /// <summary>HAD0: attributes in table descriptors do not count.</summary>
    public bool IgnoresHierarchy => (_word1 >> 1 & 1) != 0;

    public ulong Ttb0 => _word1 & 0x00FF_FFFF_FFFF_FFF0;

    public bool Is52Bit => (_word2 >> 58 & 1) != 0;

    /// <summary>Whether the second half of the address space is switched off, as this framework's writers do.</summary>
    public bool IsUpperHalfOff => (_word0 >> 30 & 1) != 0;

    /// <summary>Whether a byte of MAIR stands for Device memory: its upper half is 0.</summary>
    public bool IsDeviceMemory(int attribute) => (_word3 >> (attribute * 8) & 0xF0) == 0;

    /// <summary>The field for which hardware refuses the descriptor; empty where it does not.</summary>
    public string ObjectionField => Refusal().Field;

    /// <summary>
    /// Why hardware refuses the descriptor (C_BAD_CD), or null. The hardware meant here has 4 KiB granules, 48-bit
    /// output, 16-bit ASIDs, no stalls, no hardware updates of flags and always aborts (TERM_MODEL 1).
    /// </summary>
    /// <param name="substream">The descriptor's number, for the text.</param>
    public string? Objection(uint substream)
    {
        (string field, string? why) = Refusal();
        return why is null ? null
            : Text($"the context descriptor of substream 0x{substream:x} is refused: {field} {why}");
    }

    /// <summary>Where the page table begins: hardware does not look at the bits of TTB0 below its first table's
    /// size.</summary>
    /// <param name="level">The level of that table.</param>
    public ulong FirstTable(out int level)
    {
        int inputBits = 64 - T0Sz;
        level = StageOneEntry.FirstLevel(inputBits);
        int indexBits = Math.Clamp(inputBits - StageOneEntry.Shift(level), 1, 9);
        return Ttb0 & ~((8UL << indexBits) - 1);
    }

    /// <summary>Bits of a valid descriptor that must be 0 and are not, of all words together.</summary>
    public static ulong ReservedBits(ReadOnlySpan<ulong> words) =>
        (words[1] & 0xF300_0000_0000_0000) | (words[2] & 0xF3F0_0000_0000_0000) | words[5] | words[6] | words[7];

    /// <summary>Whether two descriptors lead accesses the same way; what a quiet one does not look at does not
    /// count.</summary>
    public bool TranslatesLike(in ContextDescriptorImage other)
    {
        if (IsValid != other.IsValid || !IsValid)
        {
            return IsValid == other.IsValid;
        }

        if (IsQuiet || other.IsQuiet)
        {
            return IsQuiet == other.IsQuiet && Records == other.Records;
        }

        return _word0 == other._word0 && _word1 == other._word1 && _word3 == other._word3;
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private (string Field, string? Why) Refusal()
    {
        if (!IsValid)
        {
            return ("V", "is 0, not valid");
        }

        if (!IsAArch64)
        {
            return ("AA64", "is 0, not AArch64");
        }

        if (IsBigEndian)
        {
            return ("ENDI", "is 1, big-endian tables are not supported");
        }

        if (UpdatesFlags)
        {
            return ("HA", "or HD is 1, hardware updates are not supported");
        }

        if (Stalls)
        {
            return ("S", "is 1, stalls are not supported");
        }

        if (!Aborts)
        {
            return ("A", "is 0, terminated accesses always abort");
        }

        if (Is52Bit)
        {
            return ("DS", "is 1, 52-bit addresses are not supported");
        }

        if (!IsUpperHalfOff)
        {
            return ("EPD1", "is 0, the upper half of the address space is not supported");
        }

        if (IsQuiet)
        {
            return (string.Empty, null);
        }

        if (T0Sz is < 16 or > 39)
        {
            return ("T0SZ", Text($"is {T0Sz}, legal are 16 to 39"));
        }

        if (Tg0 != 0)
        {
            return ("TG0", Text($"is {Tg0}, only 0 (4 KiB) is supported"));
        }

        return Ttb0 >> ArmTables.AddressBits(Ips) != 0
            ? ("TTB0", Text($"is 0x{Ttb0:x}, outside of the {ArmTables.AddressBits(Ips)} bits of IPS {Ips}"))
            : (string.Empty, null);
    }
}

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
