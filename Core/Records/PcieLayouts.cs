// SPDX-License-Identifier: Apache-2.0
using static PasidFramework.Records.LayoutField;

namespace PasidFramework.Records;

/// <summary>
/// Registers of PCI Express functions and of x86 processors that have to do with PASIDs, for encoders, decoders and
/// explanations. They belong to no vendor's IOMMU.
/// </summary>
/// <remarks>
/// Sources: PCI Express extended capabilities 0x1B (PASID), 0x0F (ATS) and 0x13 (PRI) with the bits that Linux 7.2
/// (<c>include/uapi/linux/pci_regs.h</c>) and QEMU 10.2.2 (<c>include/hw/pci/pcie_regs.h</c>) know; IA32_PASID from
/// Linux 7.2 (<c>arch/x86/include/asm/msr-index.h</c>). A bit that these do not know is declared as reserved. Names of
/// several words are written with underscores.
/// </remarks>
public static class PcieLayouts
{
    private const string Linux = "Linux 7.2 pci_regs.h";

    /// <summary>
    /// The structures, by ascending id: <c>pcie/*</c> of 16 bits each, <c>x86/ia32_pasid</c> of 64 bits.
    /// </summary>
    public static IReadOnlyList<Layout> All { get; } =
    [
        new("pcie/ats_cap", 16, $"PCIe ATS capability (0x0F) + 4, {Linux}", [
            new Field(4, 0, "Invalidate_Queue_Depth", "invalidations that the device takes at once, 0 = 32"),
            new Field(5, 5, "Page_Aligned_Request", "untranslated addresses are page aligned"),
            Reserved(15, 6),
        ]),
        new("pcie/ats_ctrl", 16, $"PCIe ATS capability (0x0F) + 6, {Linux}", [
            new Field(4, 0, "STU", "smallest translation unit, log2 of pages of 4 KiB (0 = 4 KiB)"),
            Reserved(14, 5),
            new Field(15, 15, "Enable", "the device may cache translations"),
        ]),
        new("pcie/pasid_cap", 16, $"PCIe PASID capability (0x1B) + 4, {Linux}", [
            Reserved(0, 0),
            new Field(1, 1, "Execute", "requests with Execute Requested supported"),
            new Field(2, 2, "Privileged", "requests with Privileged Mode Requested supported"),
            Reserved(7, 3),
            MaxPasidWidth,
            Reserved(15, 13),
        ], CheckWidth),
        new("pcie/pasid_ctrl", 16, $"PCIe PASID capability (0x1B) + 6, {Linux}", [
            new Field(0, 0, "Enable", "requests carry PASIDs; enabled before ATS, else undefined"),
            new Field(1, 1, "Execute_Enable", "requests may say Execute Requested"),
            new Field(2, 2, "Privileged_Enable", "requests may say Privileged Mode Requested"),
            Reserved(15, 3),
        ]),
        new("pcie/pri_ctrl", 16, $"PCIe PRI capability (0x13) + 4, {Linux}", [
            new Field(0, 0, "Enable", "the device may send page requests"),
            new Field(1, 1, "Reset", "clears the page request interface"),
            Reserved(15, 2),
        ]),
        new("pcie/pri_status", 16, $"PCIe PRI capability (0x13) + 6, {Linux}", [
            new Field(0, 0, "Response_Failure", "a page group got the response failure"),
            new Field(1, 1, "Unexpected_PRG_Index", "a response had an unknown group index"),
            Reserved(7, 2),
            new Field(8, 8, "Stopped", "no page request is outstanding or will be sent"),
            Reserved(14, 9),
            new Field(15, 15, "PRG_Response_PASID_Required", "responses must carry the PASID"),
        ]),
        new("x86/ia32_pasid", 64, "IA32_PASID (MSR 0xD93), Linux 7.2 msr-index.h", [
            new Field(19, 0, "PASID", "what ENQCMD puts into the command"),
            Reserved(30, 20),
            new Field(31, 31, "Valid", "0: ENQCMD raises #GP"),
            Reserved(63, 32),
        ]),
    ];

    private static Field MaxPasidWidth => new(12, 8, "Max_PASID_Width", "the device has 2^width PASIDs, 0 to 20");

    private static void CheckWidth(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        ulong width = words.Get(MaxPasidWidth);
        if (width > Pasid.MaxBits)
        {
            found.Add(MaxPasidWidth, $"is {width}, a PASID has at most {Pasid.MaxBits} bits");
        }
    }
}
