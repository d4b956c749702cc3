// SPDX-License-Identifier: Apache-2.0
using Microsoft.Win32.SafeHandles;

namespace PasidFramework.Hosting.Processes;

/// <summary>What the process source asks of the running system; a seam, so that what a kernel rarely does can be
/// tested.</summary>
internal interface ILinuxKernel
{
    /// <summary>Opens a process by its thread group's id.</summary>
    /// <returns>A descriptor that becomes readable when the process ends; or null and the error number.</returns>
    SafeFileHandle? OpenProcess(int pid, out int errno);

    /// <returns>0 if they share it, a positive number if not, a negative error number.</returns>
    int CompareMemory(int first, int second);

    /// <returns>0 or an error number.</returns>
    int ReadStat(int pid, out ProcessStat stat);

    /// <summary>The thread group to which a thread belongs.</summary>
    /// <returns>Its id, or a negative error number.</returns>
    int ThreadGroupOf(int thread);
}
