// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Tables;

/// <summary>Completes the invalidation of one entry.</summary>
public interface IEntrySync
{
    /// <summary>
    /// Returns when no fetch that began before is under way or cached any more. Whatever it sends, it orders the stores
    /// before it ahead of everything after it.
    /// </summary>
    OpResult Synchronise();
}
