// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Qemu.Machine;

/// <summary>The machine that QEMU emulates.</summary>
public enum QemuTarget
{
    X86,

    Arm,
}
