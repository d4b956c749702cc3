// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Allocation;

/// <summary>What the host answers.</summary>
/// <param name="Status">Status code, 7 bits; see <see cref="PasidHostStatus"/>.</param>
/// <param name="Pasid">The PASID where an allocation succeeded: 20 bits by specification, but not to be
/// trusted.</param>
public readonly record struct PasidHostResponse(int Status, uint Pasid = 0);
