// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;

namespace PasidFramework.TestDrivers;

/// <summary>A driver of another major version whose code runs as soon as it is loaded.</summary>
[PasidDriver("eager", "eager-table", 20, ContractMajor = 7)]
internal sealed class EagerDriver : MinimalDriver
{
    [ModuleInitializer]
    internal static void Run() => AppContext.SetSwitch("PasidFramework.TestDrivers.ModuleInitialiser.Ran", true);
}
