// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Traces;

/// <summary>
/// The lives of address spaces in a trace. The kernel reports forks of threads and of processes alike, so what a task
/// was is found out from its whole life.
/// </summary>
/// <remarks>
/// <para>One pass follows process ids, which are reused, to tasks, and forgets a task as soon as these rules say what
/// it was:</para>
/// <list type="number">
/// <item>A task that executes a program under its own id leads a process. One that executes with <c>old_pid</c> other
/// than <c>pid</c> was a thread of <c>pid</c> and takes that id over; the old leader has exited before.</item>
/// <item>A task that exits with <c>group_dead=false</c> leaves others of its process behind: it is a thread of the
/// process that forked it. If that process was dead by then it leads an own process, whose threads outlive it.</item>
/// <item>A task that exits with <c>group_dead=true</c> is the last of its process, which has one such exit. It leads an
/// own process, unless the leader of the process that forked it has exited with false before and nothing is heard of
/// that process later: then it is that process's last thread. Of several such tasks it is the earliest; the others
/// are counted as ambiguous.</item>
/// <item>A task that neither executes nor exits leads an own process if the one that forked it ended within the
/// recording. Otherwise it is ambiguous and taken for a thread: no address space is made up.</item>
/// <item>What <c>kthreadd</c> (process 2) or a <c>kworker</c> forks is a kernel thread unless it executes a
/// program.</item>
/// </list>
/// <para>Kept in memory: tasks that live, the <see cref="MaxWaiting"/> that left last without saying what they were,
/// and processes whose leader is gone while others below it live. What was said of a task is not taken back.</para>
/// <para>Not to be seen in these events: <c>vfork</c> and <c>posix_spawn</c>, whose child borrows its parent's address
/// space until it executes (it counts as forked), and <c>CLONE_VM</c> without <c>CLONE_THREAD</c>.</para>
/// </remarks>
public sealed class ProcessTimeline : IDisposable
{
    /// <summary>
    /// How many tasks that have left are kept in case that a later event says more of them: a thread that executes
    /// takes over the id of a leader that has left, however long ago.
    /// </summary>
    public const int MaxWaiting = 1 << 14;

    private readonly LifeLog _lives;

    private ProcessTimeline(Trace trace, LifeLog lives, TimelineCounts counts, int tasksHeld)
    {
        Trace = trace;
        _lives = lives;
        Counts = counts;
        TasksHeld = tasksHeld;
    }

    public Trace Trace { get; }

    /// <summary>The lives in the order in which they begin; read anew at each enumeration.</summary>
    public IReadOnlyCollection<AddressSpaceLife> Lives => _lives;

    /// <summary>What was found, and what could not be inferred.</summary>
    public TimelineCounts Counts { get; }

    /// <summary>Most tasks that were in memory at one time.</summary>
    internal int TasksHeld { get; }

    /// <summary>Finds the lives in a trace.</summary>
    /// <exception cref="IOException">Temporary data cannot be written.</exception>
    public static ProcessTimeline Build(Trace trace) => Build(trace, MaxWaiting);

    /// <summary>Removes the temporary data, the trace's too.</summary>
    public void Dispose()
    {
        _lives.Dispose();
        Trace.Dispose();
    }

    /// <summary>Finds the lives in a trace.</summary>
    /// <param name="maxWaiting">What to take for <see cref="MaxWaiting"/>.</param>
    internal static ProcessTimeline Build(Trace trace, int maxWaiting)
    {
        ArgumentNullException.ThrowIfNull(trace);
        var builder = new TimelineBuilder(trace, maxWaiting);
        int index = 0;
        foreach (TraceEvent e in trace.Events)
        {
            builder.Follow(e, index++);
        }

        TimelineCounts counts = builder.Finish();
        return new ProcessTimeline(trace, builder.Lives, counts, builder.MostHeld);
    }
}
