// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Tests;

/// <summary>
/// A small kernel that forks, starts threads, executes and exits at random, and writes what Linux would trace: ids are
/// reused, a thread that executes ends its siblings and takes its leader's id over, a leader may leave first.
/// </summary>
/// <param name="lost">Share of the lines that are left out, 0 to 1.</param>
internal sealed class KernelSimulation(int seed, int pids, double lost)
{
    private static readonly string[] s_programs = ["/bin/sh", "/usr/bin/sort", "/usr/bin/dotnet", "cc1"];
    private readonly List<Process> _processes = [new Process(1, "init")];
    private readonly HashSet<int> _used = [1, 2];
    private ulong _state = (ulong)seed;
    private int _nextPid = 100;
    private long _micros = 1_000_000;

    /// <summary>One event or a few.</summary>
    public void Step(StringBuilder lines)
    {
        Process process = _processes[Draw(_processes.Count)];
        int task = process.Tasks[Draw(process.Tasks.Count)];
        int what = Draw(100);
        if (what < 30 && _used.Count < pids)
        {
            int child = NewPid();
            Write(lines, task, process.Name, $"sched_process_fork: comm={process.Name} pid={task} "
                + $"child_comm={process.Name} child_pid={child}");
            _processes.Add(new Process(child, process.Name));
        }
        else if (what < 42 && _used.Count < pids)
        {
            int thread = NewPid();
            Write(lines, task, process.Name, $"sched_process_fork: comm={process.Name} pid={task} "
                + $"child_comm={process.Name} child_pid={thread}");
            process.Tasks.Add(thread);
        }
        else if (what < 60)
        {
            Execute(lines, process, task);
        }
        else if (process.Tasks.Count > 1 || _processes.Count > 1)
        {
            Exit(lines, process, task);
        }
    }

    private void Execute(StringBuilder lines, Process process, int task)
    {
        foreach (int other in process.Tasks.Where(t => t != task).ToArray())
        {
            Write(lines, other, process.Name,
                $"sched_process_exit: comm={process.Name} pid={other} prio=120 group_dead=false");
            process.Tasks.Remove(other);
            _ = other == process.Leader || _used.Remove(other);
        }

        string path = s_programs[Draw(s_programs.Length)];
        process.Name = path[(path.LastIndexOf('/') + 1)..];
        Write(lines, process.Leader, process.Name,
            $"sched_process_exec: filename={path} pid={process.Leader} old_pid={task}");
        _ = task == process.Leader || _used.Remove(task);
        process.Tasks[0] = process.Leader;
    }

    private void Exit(StringBuilder lines, Process process, int task)
    {
        bool last = process.Tasks.Count == 1;
        Write(lines, task, process.Name, $"sched_process_exit: comm={process.Name} pid={task} prio=120 group_dead="
            + (last ? "true" : "false"));
        process.Tasks.Remove(task);
        _ = task == process.Leader || _used.Remove(task);
        if (last)
        {
            // A leader's id is free once its process is gone.
            _used.Remove(process.Leader);
            _processes.Remove(process);
        }
    }

    private void Write(StringBuilder lines, int task, string name, string rest)
    {
        // Now and then two events have one time.
        _micros += Draw(4);
        if (Draw(1 << 20) >= lost * (1 << 20))
        {
            lines.Append(Text($"{name}-{task} [000] ..... {_micros / 1_000_000}.{_micros % 1_000_000:D6}: {rest}\n"));
        }
    }

    private int NewPid()
    {
        while (!_used.Add(_nextPid))
        {
            Advance();
        }

        int pid = _nextPid;
        Advance();
        return pid;
    }

    private void Advance() => _nextPid = _nextPid + 1 >= 100 + (pids * 2) ? 100 : _nextPid + 1;

    // Splitmix64: the sequence of the platform's generator is not promised.
    private int Draw(int count)
    {
        _state += 0x9E37_79B9_7F4A_7C15;
        ulong z = _state;
        z = (z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9;
        z = (z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB;
        return (int)((z ^ (z >> 31)) % (ulong)count);
    }

    private sealed class Process(int leader, string name)
    {
        public int Leader { get; } = leader;
        public string Name { get; set; } = name;
        public List<int> Tasks { get; } = [leader];
    }
}
