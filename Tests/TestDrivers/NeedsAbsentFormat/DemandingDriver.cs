// SPDX-License-Identifier: Apache-2.0
using System.Composition;

namespace PasidFramework.TestDrivers;

/// <summary>A driver that cannot be without a table format that nobody exports.</summary>
[PasidDriver("demanding", "absent-format", 20)]
[method: ImportingConstructor]
internal sealed class DemandingDriver(
    [Import("optional-format", AllowDefault = true)] IPasidTableFormat? optional,
    [Import("absent-format")] IPasidTableFormat format) : MinimalDriver
{
    public IPasidTableFormat? Optional => optional;
    public IPasidTableFormat Format => format;
}
