// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.DriverKit.Tables;

/// <summary>Shape of a table of entries: linear, or a root of 64-bit links to leaves of one size.</summary>
/// <param name="IndexBits">Width of an index in bits, 1 to 25.</param>
/// <param name="EntryBytes">Bytes of an entry, a power of two, 8 to 64.</param>
/// <param name="LeafBits">Bits of the index that select the entry in its leaf; without meaning in a linear
/// table.</param>
/// <param name="RootBytes">Bytes of the root: its links, or all entries of a linear table.</param>
/// <param name="RootAlignment">Alignment of the root in bytes, at least 4096.</param>
/// <param name="LeafAlignment">Alignment of a leaf in bytes, at least 4096.</param>
/// <param name="IsLinear">Whether the entries are in the root.</param>
public readonly record struct TableGeometry(
    int IndexBits,
    int EntryBytes,
    int LeafBits,
    int RootBytes,
    int RootAlignment = 4096,
    int LeafAlignment = 4096,
    bool IsLinear = false)
{
    public int LeafBytes => EntryBytes << LeafBits;

    /// <summary>Leaves that there can be; the entries of a linear table count as one.</summary>
    public int Slots => IsLinear ? 1 : 1 << Math.Max(0, IndexBits - LeafBits);
}
