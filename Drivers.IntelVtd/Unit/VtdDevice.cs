// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Unit;

/// <summary>What the unit knows of one device.</summary>
/// <param name="requester">PCI requester ID.</param>
/// <param name="hasTlb">Its context entry has DTE = 1: its TLB must be invalidated.</param>
/// <param name="requestsPages">Its context entry has PRE = 1.</param>
internal sealed class VtdDevice(RequesterId requester, bool hasTlb, bool requestsPages) : UnitDevice(requester, hasTlb)
{
    /// <summary>Its source id in descriptors.</summary>
    public ushort Sid { get; } = (ushort)requester.Value;

    /// <summary>Its context entry has PRE = 1.</summary>
    public bool RequestsPages { get; } = requestsPages;
}
