// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.TestDrivers;

/// <summary>A driver whose library was not copied with it.</summary>
[PasidDriver("incomplete", "incomplete-table", 20)]
internal sealed class IncompleteDriver : MinimalDriver
{
    protected override string UnitName(string name) => Naming.Prefixed(name);
}
