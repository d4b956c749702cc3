// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Allocation;

/// <summary>What is asked of an allocator.</summary>
/// <param name="Range">Acceptable PASIDs, both ends included: what device and unit can carry.</param>
/// <param name="Owner">Index of the tenant whose quota counts, 0 where no quota counts (see the quota
/// decorator).</param>
public readonly record struct PasidRequest(PasidRange Range, int Owner = 0);
