// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Allocation;

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
