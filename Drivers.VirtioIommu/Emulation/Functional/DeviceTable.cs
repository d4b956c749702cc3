// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Emulation.Functional;

/// <summary>Where a domain's PASID table is and how it looks: the SMMUv3 STE fields of the same names (Arm IHI 0070
/// 5.2).</summary>
internal readonly record struct DeviceTable(int S1Fmt, ulong S1ContextPtr, int S1CdMax, int S1Dss)
{
    /// <summary>log2 of the descriptors in a leaf: 64 (S1Fmt 1) or 1024 (S1Fmt 2).</summary>
    public int LeafBits => S1Fmt == 1 ? 6 : 10;

    /// <summary>Bytes of the first level, or of a linear table.</summary>
    public long RootBytes => S1Fmt == 0
        ? (long)AttachedStructures.DescriptorBytes << S1CdMax
        : 8L << Math.Max(0, S1CdMax - LeafBits);

    /// <summary>log2 of the alignment that S1ContextPtr needs: the size of the table or first level, at least 64
    /// bytes.</summary>
    public int RootAlignmentLog2 => S1Fmt == 0 ? S1CdMax + 6 : Math.Max(6, S1CdMax - LeafBits + 3);

    /// <summary>The table as its reader opens it, for walks as far as the root of a page table.</summary>
    /// <returns>The tables; null where the reader refuses them.</returns>
    public ITableView? Open(ITableReader reader, IMemoryReader memory) =>
        reader.Open(memory, new Dictionary<string, ulong>
    {
        ["S1ContextPtr"] = S1ContextPtr,
        ["S1Fmt"] = (ulong)S1Fmt,
        ["S1CDMax"] = (ulong)S1CdMax,
        ["S1DSS"] = (ulong)S1Dss,
        ["PAGES"] = 0,
    }).Value;
}
