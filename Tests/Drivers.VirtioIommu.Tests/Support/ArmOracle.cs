// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Tests.Support;

/// <summary>
/// A decoder of attached SMMUv3 tables that shares no code with anything: shifts and masks straight from Arm IHI 0070
/// 5.2 to 5.4 and DDI 0487 D8.3 (4 KiB granule, lower half). What the imported reader says is compared with it.
/// </summary>
internal static class ArmOracle
{
    /// <summary>Follows one access.</summary>
    /// <param name="memory">The memory.</param>
    /// <param name="table">S1Fmt, S1ContextPtr, S1CDMax and S1DSS of the stream table entry.</param>
    /// <param name="access">The access.</param>
    /// <returns>What becomes of it, and where it ends: 0 unless it is translated.</returns>
    public static (TranslationStatus Status, ulong Address) Walk(
        IMemoryReader memory, (int Fmt, ulong Pointer, int CdMax, int Dss) table, in DmaAccess access)
    {
        (TranslationStatus, ulong) fault = (TranslationStatus.Faulted, 0);
        bool isLinear = table.Fmt == 0 || table.CdMax == 0;
        int leafBits = table.Fmt == 1 ? 6 : 10;
        int alignment = isLinear ? table.CdMax + 6 : Math.Max(6, table.CdMax - leafBits + 3);
        if ((table.Pointer & ((1UL << alignment) - 1)) != 0)
        {
            return fault;
        }

        ulong substream = access.Pasid?.Value ?? 0;
        if (access.Pasid is not null)
        {
            if (table.CdMax == 0 || substream >> table.CdMax != 0 || (substream == 0 && table.Dss == 2))
            {
                return fault;
            }
        }
        else if (table.CdMax != 0 && table.Dss != 2)
        {
            return table.Dss == 0 ? fault : (TranslationStatus.Bypassed, access.Address);
        }

        ulong at = table.Pointer + (substream * 64);
        if (!isLinear)
        {
            ulong? link = Word(memory, table.Pointer + (substream >> leafBits << 3));
            if (link is not { } level1 || (level1 & 1) == 0)
            {
                return fault;
            }

            at = (level1 & 0x00FF_FFFF_FFFF_F000) + ((substream & ((1UL << leafBits) - 1)) * 64);
        }

        if (!memory.IsBacked(at, 64))
        {
            return fault;
        }

        return Descriptor(memory, memory.ReadQword(at), memory.ReadQword(at + 8), memory.ReadQword(at + 16), access);
    }

    private static (TranslationStatus Status, ulong Address) Descriptor(
        IMemoryReader memory, ulong low, ulong second, ulong third, in DmaAccess access)
    {
        // V 31, AA64 41, ENDI 15, HA 43, HD 42; both halves' sizes, granules and tables where they are walked.
        ulong[] sizes = [16, 39];
        int[] ips = [32, 36, 40, 42, 44, 48, 48, 48];
        int output = ips[low >> 32 & 7];
        ulong ttb0 = second & 0x00FF_FFFF_FFFF_FFF0;
        ulong ttb1 = third & 0x000F_FFFF_FFFF_FFF0;
        bool walks0 = (low >> 14 & 1) == 0;
        bool walks1 = (low >> 30 & 1) == 0;
        if ((low >> 31 & 1) == 0 || (low >> 41 & 1) == 0 || (low >> 15 & 1) != 0 || (low >> 42 & 3) != 0
            || (walks0
                && ((low & 63) < sizes[0] || (low & 63) > sizes[1] || (low >> 6 & 3) == 3 || ttb0 >> output != 0))
            || (walks1 && ((low >> 16 & 63) < sizes[0] || (low >> 16 & 63) > sizes[1] || (low >> 22 & 3) == 0
                || ttb1 >> output != 0)))
        {
            return (TranslationStatus.Faulted, 0);
        }

        (TranslationStatus, ulong) recorded =
            ((low >> 45 & 1) != 0 ? TranslationStatus.Faulted : TranslationStatus.AbortedQuietly, 0);
        ulong address = (low >> 38 & 1) != 0 ? access.Address & (ulong.MaxValue >> 8) : access.Address;
        int input = 64 - (int)(low & 63);
        int granule = (low >> 6 & 3) switch { 0 => 12, 1 => 16, _ => 14 };
        if (!walks0 || address >> input != 0)
        {
            return recorded;
        }

        int stride = granule - 3;
        int level = 4 - ((input - granule + stride - 1) / stride);
        int indexBits = input - granule - (stride * (3 - level));
        ulong table = ttb0 & ~((8UL << indexBits) - 1);
        bool user = true;
        bool write = true;
        for (; ; level++, indexBits = stride)
        {
            int shift = granule + (stride * (3 - level));
            if (Word(memory, table + ((address >> shift & ((1UL << indexBits) - 1)) * 8)) is not { } entry)
            {
                // An external abort is recorded whatever R says.
                return (TranslationStatus.Faulted, 0);
            }

            bool isTable = level < 3 && (entry & 3) == 3;
            bool isLeaf = level == 3 ? (entry & 3) == 3
                : (entry & 3) == 1 && (level == 2 || (level == 1 && granule == 12));
            ulong target = entry & 0x0000_FFFF_FFFF_FFFF & ~((1UL << (isTable ? granule : shift)) - 1);
            if ((!isTable && !isLeaf) || target >> output != 0)
            {
                return recorded;
            }

            if (isTable)
            {
                user &= (second >> 1 & 1) != 0 || (entry >> 61 & 1) == 0;
                write &= (second >> 1 & 1) != 0 || (entry >> 62 & 1) == 0;
                table = target;
                continue;
            }

            bool accessed = (entry >> 10 & 1) != 0 || (low >> 35 & 1) != 0;
            user &= (entry >> 6 & 1) != 0;
            write &= (entry >> 7 & 1) == 0;
            return !accessed || !user || (access.IsWrite && !write)
                ? recorded
                : (TranslationStatus.Translated, target + (address & ((1UL << shift) - 1)));
        }
    }

    private static ulong? Word(IMemoryReader memory, ulong at) => memory.IsBacked(at, 8) ? memory.ReadQword(at) : null;
}
