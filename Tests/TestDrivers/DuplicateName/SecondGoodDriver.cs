// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.TestDrivers;

/// <summary>A driver with the name of another one.</summary>
[PasidDriver("good", "second-table", 8)]
internal sealed class SecondGoodDriver : MinimalDriver;
