// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.DriverKit.PageTables;

/// <summary>Rights that an entry grants; those of a page are what all entries on the way to it grant.</summary>
[Flags]
public enum PageRights
{
    None = 0,
    Read = 1,
    Write = 2,

    /// <summary>Unprivileged accesses, as those of devices are.</summary>
    User = 4,
    All = Read | Write | User,
}
