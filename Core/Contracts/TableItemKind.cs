// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Contracts;

public enum TableItemKind
{
    /// <summary>The configuration entry of a device.</summary>
    Device,

    /// <summary>An entry that points to a table of entries: root, directory, first level.</summary>
    Directory,

    /// <summary>The entry of a PASID.</summary>
    Pasid,

    /// <summary>Something that is wrong or was not followed.</summary>
    Finding,
}
