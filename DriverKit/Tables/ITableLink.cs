// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.DriverKit.Tables;

/// <summary>Form of the link from the root of a table to a leaf.</summary>
public interface ITableLink
{
    /// <summary>The 64-bit root entry of a leaf.</summary>
    /// <param name="leaf">Byte address of the leaf, aligned as its geometry says.</param>
    static abstract ulong Encode(ulong leaf);
}
