// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Hardware;

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
