// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.TestDrivers;

/// <summary>A driver that cannot be made.</summary>
[PasidDriver("throwing", "throwing-table", 20)]
internal sealed class ThrowingDriver : MinimalDriver
{
    public ThrowingDriver() => throw new NotSupportedException("no such chipset\non this machine");
}
