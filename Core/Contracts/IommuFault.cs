// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Contracts;

/// <summary>
/// A fault record that the hardware left, decoded: a denied access, or a configuration that could not be used.
/// </summary>
/// <remarks>Sources: VT-d 11.4.7 fault recording registers and chapter 7; Arm IHI 0070 7.3 event records; virtio 1.2
/// section 5.13.6.9 fault reports.</remarks>
/// <param name="Requester">Who made the access; null where the record names none.</param>
/// <param name="Pasid">The PASID of the request; null where the record has none (VT-d PP, SMMUv3 SSV).</param>
/// <param name="Address">Input byte address, as fine as the record has it (VT-d: 4096 bytes); null where it has
/// none.</param>
/// <param name="IsWrite">Whether the access wrote; null where the record does not say.</param>
/// <param name="Code">The vendor's fault or event code.</param>
/// <param name="Reason">The code in the specification's words.</param>
/// <param name="Words">The record as it was found, 64-bit words, low word first.</param>
public sealed record IommuFault(
    RequesterId? Requester,
    Pasid? Pasid,
    ulong? Address,
    bool? IsWrite,
    int Code,
    string Reason,
    IReadOnlyList<ulong> Words);
