using PasidFramework.Drivers.VirtioIommu.Reader;
using PasidFramework.Hardware;

namespace PasidFramework.Drivers.VirtioIommu.Emulation.Functional;

// Arm System MMU Architecture version 3, IHI 0070: section 5.3 (level 1 context descriptor table), 5.4 (context
// descriptor). This is the device's reader. It shares no code with whatever wrote the table.

/// <summary>Reads SMMUv3 context descriptor tables, linear or two-level, as far as the page table's root.</summary>
internal static class ContextDescriptorWalker
{
    /// <summary>Follows one access.</summary>
    /// <param name="memory">The memory.</param>
    /// <param name="table">The table.</param>
    /// <param name="access">The access.</param>
    public static WalkResult Walk(IMemoryReader memory, in DeviceTable table, in DmaAccess access)
    {
        if (ArmTables.Select(table, access.Pasid, out uint substream) is { } end)
        {
            return end;
        }

        ulong address = table.S1ContextPtr + ((ulong)substream * ArmTables.DescriptorBytes);
        if (table.S1Fmt != 0)
        {
            int split = ArmTables.LeafBits(table.S1Fmt);
            ulong level1 = ReadWord(memory, table.S1ContextPtr + ((ulong)(substream >> split) * 8));
            if (!ArmTables.IsLevel1Valid(level1))
            {
                return WalkResult.Configuration($"the level 1 descriptor of substream 0x{substream:x} is not valid");
            }

            address = ArmTables.Leaf(level1) + ((substream & ((1UL << split) - 1)) * ArmTables.DescriptorBytes);
        }

        // What leads further is looked at and no more: this hardware stops where the page table begins.
        var descriptor = new ContextDescriptorImage(
            [ReadWord(memory, address), ReadWord(memory, address + 8), 0, 0]);
        if (!descriptor.IsValid)
        {
            return WalkResult.Configuration($"the context descriptor of substream 0x{substream:x} is not valid");
        }

        if (!descriptor.IsAArch64)
        {
            return WalkResult.Configuration($"the context descriptor of substream 0x{substream:x} is not AArch64");
        }

        if (descriptor.IsQuiet)
        {
            // EPD0: no walk through TTB0. Whether the abort is recorded is the descriptor's R.
            return descriptor.Records
                ? WalkResult.Mapping($"translation of substream 0x{substream:x} is switched off (EPD0)")
                : new WalkResult(TranslationStatus.AbortedQuietly, 0, false, null);
        }

        int inputBits = 64 - descriptor.T0Sz;
        return inputBits < 64 && access.Address >> inputBits != 0
            ? WalkResult.Mapping($"address 0x{access.Address:x} is beyond the {inputBits} bits of T0SZ")
            : new WalkResult(TranslationStatus.ReachedPageTable, descriptor.Ttb0, false, null);
    }

    private static ulong ReadWord(IMemoryReader memory, ulong address) =>
        (address & 7) == 0 && memory.IsBacked(address, 8) ? memory.ReadQword(address) : 0;
}
