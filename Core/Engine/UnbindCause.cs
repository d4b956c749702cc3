// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Engine;

/// <summary>Why a binding ended.</summary>
public enum UnbindCause
{
    /// <summary>The device's driver asked for it.</summary>
    Unbind,

    /// <summary>The process died or executed another program.</summary>
    Exit,

    /// <summary>The device was removed, or all its bindings were ended.</summary>
    DeviceRemoved,
}
