// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Identifiers;

namespace PasidFramework.Hardware;

/// <summary>
/// One piece of IOMMU hardware behind the seam: plain memory with a queue consumer, a software model, or an emulator.
/// A driver sees nothing else of the machine.
/// </summary>
public interface IIommuHardware : IDisposable
{
    /// <summary>The memory that driver and hardware share.</summary>
    IPhysicalMemory Memory { get; }

    /// <summary>The unit's registers.</summary>
    IRegisterFile Registers { get; }

    /// <summary>Whether the table walker snoops the CPU's caches; if not, stores must be flushed to be seen.</summary>
    bool IsCoherent { get; }

    /// <summary>What the hardware does with one access of a device.</summary>
    TranslationResult Translate(in DmaAccess access);
}

/// <summary>One memory access of a device.</summary>
/// <param name="Requester">Who.</param>
/// <param name="Pasid">The PASID prefix of the request, or null for a request without one.</param>
/// <param name="Address">Untranslated byte address.</param>
/// <param name="IsWrite">Whether it writes.</param>
public readonly record struct DmaAccess(RequesterId Requester, Pasid? Pasid, ulong Address, bool IsWrite);

/// <summary>How far an access came.</summary>
public enum TranslationStatus
{
    /// <summary>The access reached a translation: <see cref="TranslationResult.Address"/> is valid.</summary>
    Translated,

    /// <summary>
    /// The configuration led to a page table (<see cref="TranslationResult.PageTableRoot"/>) and this hardware does not
    /// walk page tables.
    /// </summary>
    ReachedPageTable,

    /// <summary>The access passed untranslated.</summary>
    Bypassed,

    /// <summary>The access was aborted and a fault was recorded.</summary>
    Faulted,

    /// <summary>The access was aborted and nothing was recorded (invariant D12).</summary>
    AbortedQuietly,
}

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
