// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Hardware;

/// <summary>One memory access of a device.</summary>
/// <param name="Requester">Who.</param>
/// <param name="Pasid">The PASID prefix of the request, or null for a request without one.</param>
/// <param name="Address">Untranslated byte address.</param>
/// <param name="IsWrite">Whether it writes.</param>
public readonly record struct DmaAccess(RequesterId Requester, Pasid? Pasid, ulong Address, bool IsWrite);
