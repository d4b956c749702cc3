// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Traces;

/// <summary>Which tracepoint fired.</summary>
public enum TraceEventKind
{
    /// <summary><c>sched_process_fork</c>: a task was made, a process or a thread.</summary>
    Fork,

    /// <summary><c>sched_process_exec</c>: a process replaced its address space.</summary>
    Exec,

    /// <summary><c>sched_process_exit</c>: a task ended.</summary>
    Exit,
}
