// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.TestDrivers;

/// <summary>A driver that says it was written for another major version.</summary>
[PasidDriver("other-major", "other-major-table", 20, ContractMajor = 2, ContractMinor = 3)]
internal sealed class OtherMajorDriver : MinimalDriver;
