// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.TestDrivers;

/// <summary>A library that a plug-in brings along.</summary>
public static class Naming
{
    public static string Prefixed(string name) => $"good-{name}";
}
