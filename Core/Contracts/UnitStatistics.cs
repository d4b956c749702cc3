// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Contracts;

/// <summary>What a unit holds and has done.</summary>
/// <param name="PasidTableBytes">
/// Bytes of page memory in PASID tables (directories, first-level tables and leaves); root, context and stream tables
/// are not in it, they do not depend on which PASIDs are allocated.
/// </param>
/// <param name="PasidTableLeaves">Leaf tables among them.</param>
/// <param name="Commands">Commands, descriptors or requests written to the unit's queues so far, waits
/// included.</param>
public readonly record struct UnitStatistics(long PasidTableBytes, int PasidTableLeaves, long Commands);
