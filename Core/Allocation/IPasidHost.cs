// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Identifiers;

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

/// <summary>What the host answers.</summary>
/// <param name="Status">Status code, 7 bits; see <see cref="PasidHostStatus"/>.</param>
/// <param name="Pasid">The PASID where an allocation succeeded: 20 bits by specification, but not to be
/// trusted.</param>
public readonly record struct PasidHostResponse(int Status, uint Pasid = 0);

/// <summary>Status codes of the response (VT-d 5.10, virtual command response register, bits 7:1).</summary>
public static class PasidHostStatus
{
    /// <summary>The command was carried out.</summary>
    public const int Ok = 0;

    /// <summary>The host does not know the command.</summary>
    public const int UndefinedCommand = 1;

    /// <summary>Allocate: no PASID is available. Free: the PASID is not valid.</summary>
    public const int NoPasidAvailable = 16;
}
