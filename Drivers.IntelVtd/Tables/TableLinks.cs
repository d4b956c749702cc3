// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Tables;

/// <summary>PASID directory entry: section 9.5.</summary>
internal readonly struct DirectoryLink : ITableLink
{
    public static ulong Encode(ulong leaf) => leaf | PasidDirectoryEntry.P.WordMask;
}

/// <summary>Half a root entry, which points to the context table of half a bus: section 9.2.</summary>
internal readonly struct RootLink : ITableLink
{
    public static ulong Encode(ulong leaf) => leaf | RootEntry.LP.WordMask;
}
