// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Hardware;

/// <summary>What became of one access.</summary>
/// <param name="Status">How far it came.</param>
/// <param name="Address">
/// The physical address for <see cref="TranslationStatus.Translated"/>; the input address when bypassed; else 0.
/// </param>
/// <param name="PageTableRoot">The page table that was (or would have been) walked: the process's, in bytes; else
/// 0.</param>
/// <param name="FaultCode">The vendor's fault or event code; 0 where nothing was recorded.</param>
/// <param name="Reason">The fault in words; null where there is none.</param>
public readonly record struct TranslationResult(
    TranslationStatus Status, ulong Address, ulong PageTableRoot, int FaultCode, string? Reason);
