// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.TestDrivers;

/// <summary>A driver beside which a copy of the contract lies.</summary>
[PasidDriver("self-sufficient", "self-sufficient-table", 20)]
internal sealed class SelfSufficientDriver : MinimalDriver;
