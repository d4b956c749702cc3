// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.TestDrivers;

/// <summary>A driver that needs an addition which this host does not have.</summary>
[PasidDriver("newer-minor", "newer-minor-table", 20, ContractMajor = 1, ContractMinor = 99)]
internal sealed class NewerMinorDriver : MinimalDriver;
