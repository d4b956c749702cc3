// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Traces;

/// <summary>What was found in a trace, and what could not be inferred from it.</summary>
public sealed record TimelineCounts
{
    /// <summary>Events of <c>sched_process_fork</c>.</summary>
    public int Forks { get; init; }

    /// <summary>Events of <c>sched_process_exec</c>.</summary>
    public int Execs { get; init; }

    /// <summary>Events of <c>sched_process_exit</c>.</summary>
    public int Exits { get; init; }

    /// <summary>Processes, those from before the recording included.</summary>
    public int Processes { get; init; }

    /// <summary>Tasks that were threads of such a process.</summary>
    public int Threads { get; init; }

    /// <summary>
    /// Tasks that the kernel's <c>kthreadd</c> made and that executed nothing; they have no address space.
    /// </summary>
    public int KernelThreads { get; init; }

    /// <summary>Lives of address spaces.</summary>
    public int AddressSpaces { get; init; }

    /// <summary>Processes that were there when the recording began.</summary>
    public int StartedBefore { get; init; }

    /// <summary>Processes that were alive when it ended.</summary>
    public int EndedAfter { get; init; }

    /// <summary>
    /// Tasks of which the trace does not say whether they are threads or processes; taken for threads, so that no
    /// address space is made up.
    /// </summary>
    public int Ambiguous { get; init; }

    /// <summary>Threads of processes from before the recording of which nothing else is known.</summary>
    public int Unattributed { get; init; }

    /// <summary>Tasks whose exit is missing: their process id appears again as a new task's.</summary>
    public int MissingExits { get; init; }

    /// <summary>Tasks whose fork is missing: they act after their process id's exit.</summary>
    public int MissingForks { get; init; }
}
