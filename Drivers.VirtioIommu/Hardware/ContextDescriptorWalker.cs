using System.Globalization;
using PasidFramework.Hardware;

namespace PasidFramework.Drivers.VirtioIommu.Hardware;

// Arm System MMU Architecture version 3, IHI 0070: section 5.3 (level 1 context descriptor table), 5.4 (context
// descriptor). This is the device's reader. It shares no code with whatever wrote the table.

/// <summary>Reads SMMUv3 context descriptor tables, linear or two-level, as far as the page table's root.</summary>
internal static class ContextDescriptorWalker
{
    private const ulong L2PointerMask = 0x00FF_FFFF_FFFF_F000;
    private const ulong Ttb0Mask = 0x000F_FFFF_FFFF_FFF0;
    private const int DescriptorBytes = 64;

    /// <summary>Follows one access.</summary>
    /// <param name="memory">The memory.</param>
    /// <param name="table">The table.</param>
    /// <param name="access">The access.</param>
    public static WalkResult Walk(IPhysicalMemory memory, in DeviceTable table, in DmaAccess access)
    {
        uint substream = 0;
        if (access.Pasid is { } pasid)
        {
            substream = pasid.Value;
            if (substream == 0 && table.S1Dss == 2)
            {
                return Configuration($"substream 0 belongs to requests without PASID (S1DSS = 2)");
            }

            if (table.S1CdMax == 0 || substream >> table.S1CdMax != 0)
            {
                return Configuration($"substream 0x{substream:x} is beyond S1CDMax = {table.S1CdMax}");
            }
        }
        else if (table.S1CdMax != 0 && table.S1Dss == 0)
        {
            return Configuration($"requests without PASID are terminated (S1DSS = 0)");
        }
        else if (table.S1CdMax != 0 && table.S1Dss == 1)
        {
            return new WalkResult(TranslationStatus.Bypassed, 0, false, null);
        }

        ulong address = table.S1ContextPtr + ((ulong)substream * DescriptorBytes);
        if (table.S1Fmt != 0)
        {
            int split = table.S1Fmt == 1 ? 6 : 10;
            ulong level1 = ReadWord(memory, table.S1ContextPtr + ((ulong)(substream >> split) * 8));
            if ((level1 & 1) == 0)
            {
                return Configuration($"the level 1 descriptor of substream 0x{substream:x} is not valid");
            }

            address = (level1 & L2PointerMask) + ((substream & ((1UL << split) - 1)) * DescriptorBytes);
        }

        ulong word0 = ReadWord(memory, address);
        if ((word0 & (1UL << 31)) == 0)
        {
            return Configuration($"the context descriptor of substream 0x{substream:x} is not valid");
        }

        if ((word0 & (1UL << 41)) == 0)
        {
            return Configuration($"the context descriptor of substream 0x{substream:x} is not AArch64");
        }

        if ((word0 & (1UL << 14)) != 0)
        {
            // EPD0: no walk through TTB0. Whether the abort is recorded is the descriptor's R.
            return (word0 & (1UL << 45)) == 0
                ? new WalkResult(TranslationStatus.AbortedQuietly, 0, false, null)
                : Mapping($"translation of substream 0x{substream:x} is switched off (EPD0)");
        }

        int inputBits = 64 - (int)(word0 & 0x3F);
        return inputBits < 64 && access.Address >> inputBits != 0
            ? Mapping($"address 0x{access.Address:x} is beyond the {inputBits} bits of T0SZ")
            : new WalkResult(
                TranslationStatus.ReachedPageTable, ReadWord(memory, address + 8) & Ttb0Mask, false, null);
    }

    private static ulong ReadWord(IPhysicalMemory memory, ulong address) =>
        (address & 7) == 0 && memory.IsBacked(address, 8) ? memory.ReadQword(address) : 0;

    private static WalkResult Configuration(FormattableString why) =>
        new(TranslationStatus.Faulted, 0, false, why.ToString(CultureInfo.InvariantCulture));

    private static WalkResult Mapping(FormattableString why) =>
        new(TranslationStatus.Faulted, 0, true, why.ToString(CultureInfo.InvariantCulture));
}
