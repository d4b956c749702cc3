// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Contracts;

/// <summary>What a PASID entry leads to.</summary>
/// <param name="PageTableRoot">Physical byte address of the process's top page table.</param>
/// <param name="ArchId">The tag of its translations: ASID or domain id.</param>
public readonly record struct PasidTableEntry(ulong PageTableRoot, uint ArchId);
