// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.DriverKit.PageTables;

/// <summary>How a walk goes on behind an entry.</summary>
public enum WalkNext
{
    /// <summary>Not at all.</summary>
    End,

    /// <summary>In the table that the entry leads to; ends where it leads to none.</summary>
    Descend,

    /// <summary>With the same entry, which has changed since it was read. Who asks for it limits how often.</summary>
    Again,
}
