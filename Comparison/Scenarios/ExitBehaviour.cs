// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Scenarios;

/// <summary>What happens to bindings that a process still has when it exits.</summary>
public enum ExitBehaviour
{
    /// <summary>The core tears them down: the process died while its devices were bound.</summary>
    ProcessExit,

    /// <summary>
    /// The devices' drivers unbind them first, in the order of binding, and the process ends after that.
    /// </summary>
    UnbindFirst,
}
