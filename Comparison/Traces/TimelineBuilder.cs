// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Traces;

/// <summary>Follows process ids to tasks and decides what they were; the rules are those of
/// <see cref="ProcessTimeline"/>.</summary>
/// <remarks>
/// Why most is known at a task's exit: while the leader of a process lives, it will be heard of later. So what exits
/// last below it cannot be its last thread, and what leaves others behind is a thread of it or of one below it.
/// </remarks>
internal sealed class TimelineBuilder(Trace trace, int maxWaiting)
{
    private const int KernelThreadDaemon = 2;
    private readonly Dictionary<int, TracedTask> _byId = [];
    private readonly PidSet _seen = new();
    private readonly Queue<TracedTask> _waiting = new();
    private readonly Stack<TracedTask> _released = new();
    private long _tasks;
    private int _held;
    private int _forks;
    private int _execs;
    private int _exits;
    private int _processes;
    private int _threads;
    private int _kernelThreads;
    private int _before;
    private int _after;
    private int _ambiguous;
    private int _unattributed;
    private int _missingExits;
    private int _missingForks;

    public LifeLog Lives { get; } = new();

    /// <summary>Most tasks that were in memory at one time.</summary>
    public int MostHeld { get; private set; }

    public void Follow(in TraceEvent e, int index)
    {
        switch (e.Kind)
        {
            case TraceEventKind.Fork:
                _forks++;
                FollowFork(e, index);
                break;
            case TraceEventKind.Exec:
                _execs++;
                FollowExec(e, index);
                break;
            default:
                _exits++;
                FollowExit(e, index);
                break;
        }

        while (_waiting.Count > maxWaiting)
        {
            StopWaiting(_waiting.Dequeue());
        }
    }

    /// <summary>The trace has ended.</summary>
    public TimelineCounts Finish()
    {
        TracedTask[] roots =
        [
            .. _byId.Values.Concat(_waiting).Where(t => !t.IsDone).Select(t => t.Family.Root).Distinct()
                .OrderBy(t => t.Number),
        ];
        foreach (TracedTask root in roots)
        {
            Decide(root, isEnd: true);
        }

        Lives.Seal();
        return new TimelineCounts
        {
            Forks = _forks,
            Execs = _execs,
            Exits = _exits,
            Processes = _processes,
            Threads = _threads,
            KernelThreads = _kernelThreads,
            AddressSpaces = Lives.Count,
            StartedBefore = _before,
            EndedAfter = _after,
            Ambiguous = _ambiguous,
            Unattributed = _unattributed,
            MissingExits = _missingExits,
            MissingForks = _missingForks,
        };
    }

    private void FollowFork(in TraceEvent e, int index)
    {
        TracedTask parent = Living(e.Pid, e.Name, index, e.Nanoseconds);
        parent.LastHeard = index;
        if (_byId.TryGetValue(e.OtherPid, out TracedTask? old) && old.Exit < 0)
        {
            _missingExits++;
            Lose(old, index, e.Nanoseconds);
        }

        var child = new TracedTask(_tasks++, e.OtherPid, e.Name, index, e.Nanoseconds)
        {
            IsForked = true,
            IsKernelBorn = parent.IsKernelThread,
        };
        Hold(child);
        if (!parent.IsKernelThread && !parent.IsDone)
        {
            parent.Adopt(child);
        }
    }

    private void FollowExec(in TraceEvent e, int index)
    {
        if (e.OtherPid != e.Pid)
        {
            // The thread takes over its leader's id: the leader's exit was not the end of the process.
            TracedTask thread = Living(e.OtherPid, string.Empty, index, e.Nanoseconds);
            _byId.Remove(e.OtherPid);
            _seen.Remove(e.OtherPid);
            thread.Family.Living--;
            thread.Exit = index;
            TaskFamily family = thread.Family;
            Forget(thread);
            Reconsider(family.Root);
            if (_byId.TryGetValue(e.Pid, out TracedTask? leader)
                && leader is { IsDone: false, Exit: >= 0, ExitsLast: false })
            {
                leader.Exit = -1;
                leader.ThreadUntil = -1;
                leader.IsThread = false;
                leader.Family.Living++;
            }
        }

        TracedTask task = Living(e.Pid, string.Empty, index, e.Nanoseconds);
        TracedTask before = task.Family.Root;
        task.Leave();
        Reconsider(before);

        // What a kernel thread was before it executed a program had no address space; of a task whose fork is missing
        // nothing is known before its first event.
        if (task.Began == LifeBegin.Exec || !(task.IsKernelBorn || index == task.LifeIndex))
        {
            AddLife(task, index, e.Nanoseconds, LifeEnd.Exec);
        }

        task.LifeIndex = index;
        task.LifeStart = e.Nanoseconds;
        task.Began = LifeBegin.Exec;
        task.Name = e.Name[(e.Name.LastIndexOf('/') + 1)..];
        task.LastHeard = index;
        EndProcessesBelow(task);
        Settle(isEnd: false);
    }

    private void FollowExit(in TraceEvent e, int index)
    {
        TracedTask task = Living(e.Pid, e.Name, index, e.Nanoseconds);
        task.Exit = index;
        task.EndTime = e.Nanoseconds;
        task.ExitsLast = e.IsGroupDead;
        task.LastHeard = index;
        task.Family.Living--;
        TracedTask root = task.Family.Root;
        if (task.IsKernelThread)
        {
            _kernelThreads++;
            Done(task);
        }
        else if (task.ExitsLast && (root == task || root.Exit < 0))
        {
            task.Leave();
            EndProcess(task, index, LifeEnd.Exit);
            Settle(isEnd: false);
        }
        else
        {
            Wait(task);
            Reconsider(root);
        }
    }

    private TracedTask Living(int pid, string name, int index, long nanoseconds)
    {
        if (_byId.TryGetValue(pid, out TracedTask? task) && task.Exit < 0)
        {
            return task;
        }

        bool isForkMissing = _seen.Contains(pid);
        _missingForks += isForkMissing ? 1 : 0;
        task = new TracedTask(_tasks++, pid, name, index, nanoseconds)
        {
            IsForkMissing = isForkMissing,
            IsKernelBorn = pid == KernelThreadDaemon || name.StartsWith("kworker/", StringComparison.Ordinal),
        };
        if (!isForkMissing)
        {
            task.LifeIndex = -1;
            task.LifeStart = trace.FirstNanoseconds;
            task.Began = LifeBegin.Before;
        }

        Hold(task);
        return task;
    }

    private void Hold(TracedTask task)
    {
        _byId[task.Pid] = task;
        _seen.Add(task.Pid);
        MostHeld = Math.Max(MostHeld, ++_held);
    }

    private void Lose(TracedTask task, int index, long nanoseconds)
    {
        task.LostAt = index;
        task.EndTime = nanoseconds;
        task.Family.Living--;
        TracedTask root = task.Family.Root;
        if (task.IsKernelThread)
        {
            _kernelThreads++;
            Done(task);
        }
        else if (root == task)
        {
            EndProcess(task, index, LifeEnd.Lost);
            Settle(isEnd: false);
        }
        else
        {
            Wait(task);
            Reconsider(root);
        }
    }

    private void Wait(TracedTask task)
    {
        if (!task.IsWaiting)
        {
            task.IsWaiting = true;
            _waiting.Enqueue(task);
        }
    }

    // Nothing that was still possible has happened.
    private void StopWaiting(TracedTask task)
    {
        task.IsWaiting = false;
        if (task.IsDone || task.IsLiving)
        {
            return;
        }

        TracedTask root = task.Family.Root;
        if (task.ThreadUntil >= 0)
        {
            Decide(task, isEnd: false);
        }
        else if (root == task)
        {
            Reconsider(root);
        }
        else if (task.ExitsLast)
        {
            Decide(root, isEnd: false);
        }
        else
        {
            TracedTask parent = task.Parent!;
            if (task.LostAt < 0)
            {
                parent.ThreadsHeard = Math.Max(parent.ThreadsHeard, Math.Max(task.LastHeard, task.ThreadsHeard));
            }
            else
            {
                _ambiguous++;
            }

            Forget(task);
        }
    }

    // A thread: what it forked is its process's.
    private void Forget(TracedTask thread)
    {
        _threads++;
        thread.Dissolve();
        Done(thread);
    }

    private void Done(TracedTask task)
    {
        task.IsDone = true;
        _held--;
        if (_byId.TryGetValue(task.Pid, out TracedTask? known) && known == task)
        {
            _byId.Remove(task.Pid);
        }
    }

    // A process whose leader has left is decided once nothing below it lives.
    private void Reconsider(TracedTask root)
    {
        if (root is { IsDone: false, Exit: >= 0, IsWaiting: false } && root.Family.Living == 0)
        {
            Decide(root, isEnd: false);
        }
    }

    // A leader whose process ended.
    private void EndProcess(TracedTask leader, int end, LifeEnd ended)
    {
        AddProcess(leader, end, leader.EndTime, ended);
        Release(leader, end);
    }

    private void AddProcess(TracedTask leader, int end, long time, LifeEnd ended)
    {
        _processes++;
        _before += leader.IsForked || leader.IsForkMissing ? 0 : 1;
        _after += ended == LifeEnd.TraceEnd ? 1 : 0;
        AddLife(leader, end, time, ended);
        Done(leader);
    }

    private void AddLife(TracedTask task, int end, long time, LifeEnd ended) => Lives.Add(
        new AddressSpaceLife
        {
            Id = 0,
            Pid = task.Pid,
            Name = task.Name.Length == 0 && task.Began != LifeBegin.Exec ? "<...>" : task.Name,
            StartNanoseconds = task.LifeStart,
            EndNanoseconds = time,
            Began = task.Began,
            Ended = ended,
            StartIndex = task.LifeIndex,
            EndIndex = end,
        },
        task.Number);

    // What was below a process that has ended: its threads left before it did, all others lead their own.
    private void Release(TracedTask leader, int processEnd)
    {
        var pending = new Stack<(TracedTask Task, int ProcessEnd)>();
        pending.Push((leader, processEnd));
        while (pending.TryPop(out (TracedTask Task, int ProcessEnd) next))
        {
            foreach (TracedTask child in next.Task.Children.ToArray())
            {
                if (child.IsThread
                    || (child.Exit >= 0 && !child.ExitsLast && child.LastHeard <= next.ProcessEnd))
                {
                    if (next.ProcessEnd >= 0 && child is { IsWaiting: true, LostAt: < 0, Exit: >= 0, ExitsLast: false })
                    {
                        child.Leave();
                        child.ThreadUntil = next.ProcessEnd;
                        _released.Push(child);
                    }
                    else
                    {
                        _threads++;
                        Done(child);
                        pending.Push((child, next.ProcessEnd));
                    }

                    continue;
                }

                child.Leave();
                if (child.Exit >= 0 && child.ExitsLast)
                {
                    AddProcess(child, child.Exit, child.EndTime, LifeEnd.Exit);
                    pending.Push((child, child.Exit));
                }
                else if (child.LostAt >= 0)
                {
                    AddProcess(child, child.LostAt, child.EndTime, LifeEnd.Lost);
                    pending.Push((child, child.LostAt));
                }
                else
                {
                    _released.Push(child);
                }
            }
        }
    }

    // Says of a leader that has not ended its process by its own exit, and of all below it, what they were.
    private void Decide(TracedTask first, bool isEnd)
    {
        DecideProcess(first, isEnd);
        Settle(isEnd);
    }

    // The same for those that a process which ended has left behind.
    private void Settle(bool isEnd)
    {
        while (_released.TryPop(out TracedTask? root))
        {
            if (root.IsDone)
            {
                continue;
            }

            if (isEnd)
            {
                DecideProcess(root, isEnd: true);
            }
            else if (root is { Exit: >= 0, IsWaiting: false } && root.Family.Living == 0)
            {
                DecideProcess(root, isEnd: false);
            }
        }
    }

    private void DecideProcess(TracedTask root, bool isEnd)
    {
        if (root.IsKernelThread)
        {
            _kernelThreads++;
            Done(root);
            return;
        }

        if (root.ThreadUntil >= 0)
        {
            _threads++;
            Done(root);
            Release(root, root.ThreadUntil);
            return;
        }

        // One that leaves others of its process behind may be a thread or a leader; nothing says which.
        bool hasLeft = root.Exit >= 0;
        bool isUnattributed = hasLeft && !root.IsForked && root.Began != LifeBegin.Exec;
        var threads = new List<TracedTask>();
        var open = new List<TracedTask>();
        var last = new List<TracedTask>();
        int heard = Math.Max(root.LastHeard, Collect(root, -1, threads, open, last));
        TracedTask? end = null;
        if (hasLeft && !isUnattributed)
        {
            foreach (TracedTask thread in threads)
            {
                heard = Math.Max(heard, thread.LastHeard);
            }

            last.RemoveAll(t => t.Exit < heard);
            end = last.MinBy(t => t.Exit);
        }

        if (end is not null)
        {
            end.IsThread = true;
            _ambiguous += last.Count - 1;
            _ = Collect(end, end.Exit, threads, [], []);
        }
        else if (!isEnd && root.Family.Living > 0)
        {
            // More may be heard of it, but what left last below it did not end it.
            EndProcessesBelow(root);
            return;
        }

        foreach (TracedTask thread in threads)
        {
            thread.IsThread = true;
        }

        if (end is null)
        {
            foreach (TracedTask task in open)
            {
                task.IsThread = true;
                _ambiguous++;
            }
        }

        int processEnd = end?.Exit ?? -1;
        if (isUnattributed)
        {
            _unattributed++;
            Done(root);
        }
        else if (end is not null)
        {
            AddProcess(root, end.Exit, end.EndTime, LifeEnd.Exit);
        }
        else
        {
            AddProcess(root, trace.Events.Count, trace.LastNanoseconds, LifeEnd.TraceEnd);
        }

        Release(root, processEnd);
    }

    // What left last below a leader that will be heard of again led a process of its own.
    private void EndProcessesBelow(TracedTask leader)
    {
        var last = new List<TracedTask>();
        var pending = new Stack<TracedTask>();
        pending.Push(leader);
        while (pending.TryPop(out TracedTask? task))
        {
            foreach (TracedTask child in task.Children)
            {
                if (child.Exit >= 0 && child.ExitsLast)
                {
                    last.Add(child);
                }
                else
                {
                    pending.Push(child);
                }
            }
        }

        foreach (TracedTask task in last)
        {
            task.Leave();
            EndProcess(task, task.Exit, LifeEnd.Exit);
        }
    }

    // Tasks below a leader that nothing proves to lead a process of their own; and when the last of its forgotten
    // threads was heard of.
    private static int Collect(
        TracedTask leader, int processEnd, List<TracedTask> threads, List<TracedTask> open, List<TracedTask> last)
    {
        int heard = -1;
        var pending = new Stack<TracedTask>();
        pending.Push(leader);
        while (pending.TryPop(out TracedTask? task))
        {
            heard = Math.Max(heard, task.ThreadsHeard);
            foreach (TracedTask child in task.Children)
            {
                if (child.IsThread)
                {
                    pending.Push(child);
                }
                else if (child.Exit < 0)
                {
                    if (processEnd < 0)
                    {
                        open.Add(child);
                        pending.Push(child);
                    }
                }
                else if (child.ExitsLast)
                {
                    last.Add(child);
                }
                else if (processEnd < 0 || child.LastHeard <= processEnd)
                {
                    threads.Add(child);
                    pending.Push(child);
                }
            }
        }

        return heard;
    }
}
