// SPDX-License-Identifier: Apache-2.0
using PasidFramework.DriverKit.PageTables;

namespace PasidFramework.Drivers.Reference.PageTables;

/// <summary>The page tables that the reference IOMMU walks: four levels, pages of 4 KiB, 48 bits of address and no
/// upper half. Reference architecture, section 3.4.</summary>
[PageTableFormat(FormatName)]
public sealed class ReferencePageTableFormat : RadixFormat
{
    internal const string FormatName = "reference-4k";

    /// <summary>Makes the format.</summary>
    public ReferencePageTableFormat()
    {
        ulong present = PageTableEntry.P.WordMask;
        ulong write = PageTableEntry.W.WordMask;
        Name = FormatName;
        AddressBits = 48;
        AddressMask = PageTableEntry.TARGET.WordMask;
        LeafLevels = 1 << 1;
        PresentBits = present;
        PageBits = present;
        TableRights = new(Write: write);
        LeafRights = new(Write: write);
        TableValue = present | write;
        PageValue = present;
        WritableValue = write;
    }

    internal static ReferencePageTableFormat Instance { get; } = new();
}
