// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Contracts;

/// <summary>Where processes come from: a simulation, a trace, or the running system.</summary>
public interface IProcessSource : IDisposable
{
    /// <summary>
    /// Raised once for every address space that ended: its last process exited or executed another program. Handlers
    /// run on the source's thread.
    /// </summary>
    event Action<IAddressSpace>? AddressSpaceEnded;

    /// <summary>Finds the address space of a process.</summary>
    /// <param name="pid">Process id.</param>
    /// <returns>The address space; ESRCH (no such process, or dead); EINVAL (kernel thread); EPERM.</returns>
    OpResult<IAddressSpace> Open(int pid);
}
