// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Allocation;

/// <summary>
/// A hypervisor that owns the PASIDs: the guest's side of the VT-d virtual command register. Each call leaves the
/// guest.
/// </summary>
/// <remarks>Source: Intel VT-d specification 5.10, virtual command and virtual command response registers (0xE00,
/// 0xE10). Never called concurrently by one allocator, since there is one pair of registers.</remarks>
public interface IPasidHost
{
    /// <summary>Command 1: asks for a PASID. The host chooses it.</summary>
    PasidHostResponse Allocate();

    /// <summary>Command 2: gives a PASID back.</summary>
    /// <param name="pasid">A PASID that the host gave.</param>
    PasidHostResponse Free(Pasid pasid);
}
