// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Qemu.Machine;

/// <summary>The machine that QEMU emulates.</summary>
public enum QemuTarget
{
    /// <summary>qemu-system-x86_64.</summary>
    X86,

    /// <summary>qemu-system-aarch64.</summary>
    Arm,
}
