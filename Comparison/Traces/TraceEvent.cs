// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Traces;

/// <summary>One line of a trace.</summary>
/// <param name="Line">Its number in the file, from 1.</param>
/// <param name="Nanoseconds">Time stamp on the trace's clock.</param>
/// <param name="Kind">Which tracepoint.</param>
/// <param name="Pid">The task: of a fork the one that forked, of an exec its id after it.</param>
/// <param name="OtherPid">Of a fork the new task, of an exec the task's id before it, else 0.</param>
/// <param name="Name">Of a fork the new task's name, of an exec the program's path, of an exit the task's name.</param>
/// <param name="IsGroupDead">Of an exit: whether it was the last task of its process.</param>
public readonly record struct TraceEvent(
    int Line, long Nanoseconds, TraceEventKind Kind, int Pid, int OtherPid, string Name, bool IsGroupDead);
