// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Qemu.Machine;

/// <summary>
/// QEMU is missing, too old, died, hangs or answers nonsense. The message is one line: which, with the command line's
/// essence and the last lines that QEMU printed. No process is left behind.
/// </summary>
public sealed class QemuException(string message, Exception? inner = null) : HardwareException(message, inner!);
