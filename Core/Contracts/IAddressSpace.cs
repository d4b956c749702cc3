// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Contracts;

/// <summary>
/// One address space of the operating system, as a process source knows it. Binding is keyed on it: several process ids
/// may share one, and executing a program replaces it.
/// </summary>
/// <remarks>
/// The core distinguishes address spaces by the object: a source gives the same object for the same address space as
/// long as it lives. It keeps the page table until its report of the end has returned.
/// </remarks>
public interface IAddressSpace
{
    /// <summary>Its identity in messages and events, never used twice by its source.</summary>
    AddressSpaceId Id { get; }

    /// <summary>The process id it was opened by; for people and traces.</summary>
    int Pid { get; }

    /// <summary>The process's name; for people and traces.</summary>
    string Name { get; }

    /// <summary>Physical byte address of its top page table, a multiple of 4096.</summary>
    ulong PageTableRoot { get; }

    /// <summary>Whose quota its PASIDs count against; empty for none.</summary>
    string Tenant => string.Empty;

    /// <summary>Whether it belongs to a kernel thread, which has no user memory to share.</summary>
    bool IsKernelThread => false;

    /// <summary>
    /// Whether it still exists. A source makes this false <b>before</b> it reports the end, so that a bind that runs at
    /// the same moment either sees it or is torn down by the report (C14).
    /// </summary>
    bool IsAlive { get; }
}
