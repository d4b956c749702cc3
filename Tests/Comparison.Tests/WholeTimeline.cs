// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Tests;

/// <summary>
/// The rules of <see cref="ProcessTimeline"/> in their plainest form: the whole trace in memory, tasks first, then
/// decisions from their whole lives. What decides as it goes is compared with this.
/// </summary>
internal static class WholeTimeline
{
    public static (IReadOnlyList<AddressSpaceLife> Lives, TimelineCounts Counts) Build(
        IReadOnlyList<TraceEvent> events)
    {
        var builder = new Builder(events);
        builder.FollowIds();
        builder.Decide();
        return builder.MakeLives();
    }

    private enum Role
    {
        Unknown,
        Leader,
        Thread,
        KernelThread,
        Unattributed,
    }

    private sealed class Task(int pid, string name, Task? parent, int index)
    {
        public int Pid { get; } = pid;
        public string Name { get; } = name;
        public Task? Parent { get; } = parent;

        /// <summary>Index of the fork, or of the first event of a task whose fork is not in the recording.</summary>
        public int Index { get; } = index;

        public List<Task> Children { get; } = [];
        public List<(int Index, string Path)> Execs { get; } = [];

        /// <summary>Index of the exit, -1 where there is none.</summary>
        public int Exit { get; set; } = -1;

        public bool ExitsLast { get; set; }

        /// <summary>Whether it began within the recording without an event that says so.</summary>
        public bool IsForkMissing { get; init; }

        /// <summary>Index at which its id was seen as another task's, -1 where it was not.</summary>
        public int LostAt { get; set; } = -1;

        /// <summary>Index of the last event that shows it alive or ends it.</summary>
        public int LastHeard { get; set; } = index;

        public Role Role { get; set; }

        /// <summary>Of a leader: index at which its process ended, -1 where it did not.</summary>
        public int ProcessEnd { get; set; } = -1;
        public bool StaysAlive => Exit < 0 && LostAt < 0;
    }

    private sealed class Builder(IReadOnlyList<TraceEvent> events)
    {
        private const int KernelThreadDaemon = 2;
        private readonly List<Task> _tasks = [];
        private readonly Dictionary<int, Task> _byId = [];
        private int _forks;
        private int _execs;
        private int _exits;
        private int _ambiguous;
        private int _missingExits;
        private int _missingForks;

        public void FollowIds()
        {
            for (int index = 0; index < events.Count; index++)
            {
                TraceEvent e = events[index];
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
                        Task task = Living(e.Pid, e.Name, index);
                        task.Exit = index;
                        task.ExitsLast = e.IsGroupDead;
                        task.LastHeard = index;
                        break;
                }
            }
        }

        public void Decide()
        {
            foreach (Task task in _tasks.Where(t => t.Role == Role.Unknown))
            {
                if (task.Execs.Count > 0)
                {
                    task.Role = Role.Leader;
                }
                else if (IsKernelThread(task))
                {
                    task.Role = Role.KernelThread;
                }
                else if (task.Parent is null)
                {
                    // One that leaves others of its process behind may be a thread or a leader; nothing says which.
                    task.Role = task.Exit >= 0 && !task.ExitsLast ? Role.Unattributed : Role.Leader;
                }
            }

            // A task follows the one that forked it, so whatever no process above has claimed leads its own.
            foreach (Task task in _tasks)
            {
                if (task.Role == Role.Unknown)
                {
                    task.Role = Role.Leader;
                }

                if (task.Role is Role.Leader or Role.Unattributed)
                {
                    DecideProcess(task);
                }
            }
        }

        public (IReadOnlyList<AddressSpaceLife> Lives, TimelineCounts Counts) MakeLives()
        {
            int end = events.Count;
            var lives = new List<AddressSpaceLife>();
            int processes = 0;
            int before = 0;
            int after = 0;
            foreach (Task task in _tasks)
            {
                if (task.Role != Role.Leader)
                {
                    continue;
                }

                processes++;
                bool isBefore = task.Parent is null && !task.IsForkMissing;
                before += isBefore ? 1 : 0;
                after += task.ProcessEnd < 0 ? 1 : 0;
                int start = isBefore ? -1 : task.Index;
                LifeBegin began = isBefore ? LifeBegin.Before : LifeBegin.Fork;
                string name = task.Name.Length == 0 ? "<...>" : task.Name;
                foreach ((int index, string path) in task.Execs)
                {
                    // What a kernel thread was before it executed a program had no address space; of a task whose fork
                    // is missing nothing is known before its first event.
                    bool hadNone = began != LifeBegin.Exec && (IsKernelThread(task) || index == start);
                    if (!hadNone)
                    {
                        lives.Add(Life(task, name, start, index, began, LifeEnd.Exec));
                    }

                    start = index;
                    began = LifeBegin.Exec;
                    name = path[(path.LastIndexOf('/') + 1)..];
                }

                lives.Add(task.ProcessEnd < 0
                    ? Life(task, name, start, end, began, LifeEnd.TraceEnd)
                    : Life(task, name, start, task.ProcessEnd, began, IsLost(task) ? LifeEnd.Lost : LifeEnd.Exit));
            }

            // An exec ends one life and begins the next; both orders below put the old one first. Sorting is stable.
            AddressSpaceLife[] ordered = [.. lives.OrderBy(l => l.StartIndex)];
            for (int i = 0; i < ordered.Length; i++)
            {
                ordered[i] = ordered[i] with { Id = (ulong)i + 1 };
            }

            return (ordered, new TimelineCounts
            {
                Forks = _forks,
                Execs = _execs,
                Exits = _exits,
                Processes = processes,
                Threads = _tasks.Count(t => t.Role == Role.Thread),
                KernelThreads = _tasks.Count(t => t.Role == Role.KernelThread),
                AddressSpaces = ordered.Length,
                StartedBefore = before,
                EndedAfter = after,
                Ambiguous = _ambiguous,
                Unattributed = _tasks.Count(t => t.Role == Role.Unattributed),
                MissingExits = _missingExits,
                MissingForks = _missingForks,
            });
        }

        private static bool IsKernelThread(Task task) => task.Parent is { } parent
            ? parent.Role == Role.KernelThread
            : task.Pid == KernelThreadDaemon || task.Name.StartsWith("kworker/", StringComparison.Ordinal);

        private static bool IsLost(Task task) => task.LostAt >= 0 && task.ProcessEnd == task.LostAt;

        private AddressSpaceLife Life(
            Task task, string name, int start, int end, LifeBegin began, LifeEnd ended) => new()
            {
                Id = 0,
                Pid = task.Pid,
                Name = name,
                StartNanoseconds = start < 0 ? events[0].Nanoseconds : events[start].Nanoseconds,
                EndNanoseconds = end == events.Count ? events[^1].Nanoseconds : events[end].Nanoseconds,
                Began = began,
                Ended = ended,
                StartIndex = start,
                EndIndex = end,
            };

        private void FollowFork(in TraceEvent e, int index)
        {
            Task parent = Living(e.Pid, e.Name, index);
            parent.LastHeard = index;
            if (_byId.TryGetValue(e.OtherPid, out Task? old) && old.Exit < 0)
            {
                old.LostAt = index;
                _missingExits++;
            }

            var child = new Task(e.OtherPid, e.Name, parent, index);
            parent.Children.Add(child);
            _tasks.Add(child);
            _byId[e.OtherPid] = child;
        }

        private void FollowExec(in TraceEvent e, int index)
        {
            if (e.OtherPid != e.Pid)
            {
                // The thread takes over its leader's id: the leader's exit was not the end of the process.
                Task thread = Living(e.OtherPid, string.Empty, index);
                thread.Role = Role.Thread;
                thread.LastHeard = index;
                thread.Exit = index;
                _byId.Remove(e.OtherPid);
                if (_byId.TryGetValue(e.Pid, out Task? leader) && leader is { Exit: >= 0, ExitsLast: false })
                {
                    leader.Exit = -1;
                }
            }

            Task task = Living(e.Pid, string.Empty, index);
            task.Execs.Add((index, e.Name));
            task.LastHeard = index;
        }

        private Task Living(int pid, string name, int index)
        {
            if (_byId.TryGetValue(pid, out Task? task))
            {
                if (task.Exit < 0)
                {
                    return task;
                }

                _missingForks++;
            }

            task = new Task(pid, name, null, index) { IsForkMissing = task is not null };
            _tasks.Add(task);
            _byId[pid] = task;
            return task;
        }

        // Finds the threads of a leader's process and when it ended.
        private void DecideProcess(Task leader)
        {
            bool leaderLast = leader.Exit >= 0 && leader.ExitsLast;
            if (leaderLast)
            {
                leader.ProcessEnd = leader.Exit;
            }
            else if (leader.LostAt >= 0)
            {
                leader.ProcessEnd = leader.LostAt;
            }

            var threads = new List<Task>();
            var open = new List<Task>();
            var last = new List<Task>();
            Collect(leader, leader.ProcessEnd, threads, open, last);
            if (leader.Role == Role.Leader && leader.Exit >= 0 && !leader.ExitsLast)
            {
                int heard = leader.LastHeard;
                foreach (Task thread in threads)
                {
                    heard = Math.Max(heard, thread.LastHeard);
                }

                last.RemoveAll(t => t.Exit < heard);
                if (last.Count > 0)
                {
                    Task end = last.MinBy(t => t.Exit)!;
                    end.Role = Role.Thread;
                    leader.ProcessEnd = end.Exit;
                    _ambiguous += last.Count - 1;
                    Collect(end, end.Exit, threads, [], []);
                }
            }

            foreach (Task thread in threads)
            {
                thread.Role = Role.Thread;
            }

            if (leader.ProcessEnd < 0)
            {
                foreach (Task task in open)
                {
                    task.Role = Role.Thread;
                    _ambiguous++;
                }
            }
        }

        // Tasks below a leader that nothing proves to lead a process of their own.
        private static void Collect(Task leader, int processEnd, List<Task> threads, List<Task> open, List<Task> last)
        {
            var pending = new Stack<Task>();
            pending.Push(leader);
            while (pending.TryPop(out Task? task))
            {
                foreach (Task child in task.Children)
                {
                    if (child.Role == Role.Thread)
                    {
                        // It executed a program in its leader's name.
                        pending.Push(child);
                    }
                    else if (child.Role != Role.Unknown)
                    {
                        continue;
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
        }
    }
}
