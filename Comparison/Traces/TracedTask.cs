// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Traces;

/// <summary>A task of a trace of which is not yet said what it was.</summary>
internal sealed class TracedTask
{
    private List<TracedTask>? _children;
    private TaskFamily? _family;
    private int _slot;

    /// <summary>Makes a task.</summary>
    /// <param name="number">Number in the order in which tasks appear.</param>
    /// <param name="index">Index of the fork, or of the first event of one whose fork is not in the recording.</param>
    public TracedTask(long number, int pid, string name, int index, long nanoseconds)
    {
        Number = number;
        Pid = pid;
        Name = name;
        Index = index;
        LifeIndex = index;
        LifeStart = nanoseconds;
        LastHeard = index;
    }

    public long Number { get; }
    public int Pid { get; }

    /// <summary>Of the task, and after an exec of its program.</summary>
    public string Name { get; set; }

    public int Index { get; }

    /// <summary>Whether its fork is in the recording.</summary>
    public bool IsForked { get; init; }

    /// <summary>Whether it began within the recording without an event that says so.</summary>
    public bool IsForkMissing { get; init; }

    /// <summary>Whether it had no address space until it executed a program.</summary>
    public bool IsKernelBorn { get; init; }

    /// <summary>A kernel thread, as far as is known.</summary>
    public bool IsKernelThread => IsKernelBorn && Began != LifeBegin.Exec;

    /// <summary>The one that may be of the same process; null for one that leads a process.</summary>
    public TracedTask? Parent { get; private set; }

    /// <summary>Those that it forked and that may be of its process, in no order.</summary>
    public IReadOnlyList<TracedTask> Children => _children ?? [];

    public TaskFamily Family
    {
        get => _family ??= new TaskFamily(this);
        private set => _family = value;
    }

    /// <summary>Index of the event that began its present address space, -1 for the recording's begin.</summary>
    public int LifeIndex { get; set; }

    public long LifeStart { get; set; }
    public LifeBegin Began { get; set; }

    /// <summary>Index of the exit, -1 where there is none.</summary>
    public int Exit { get; set; } = -1;

    /// <summary>Time of its exit, or when its id was seen as another task's.</summary>
    public long EndTime { get; set; }

    public bool ExitsLast { get; set; }

    /// <summary>Index at which its id was seen as another task's, -1 where it was not.</summary>
    public int LostAt { get; set; } = -1;

    /// <summary>Index of the last event that shows it alive or ends it.</summary>
    public int LastHeard { get; set; }

    /// <summary>The same of its threads that are forgotten.</summary>
    public int ThreadsHeard { get; set; } = -1;

    public bool IsThread { get; set; }

    /// <summary>
    /// Of a thread whose id a later exec may still take over, which makes it a leader: index at which its process
    /// ended, else -1.
    /// </summary>
    public int ThreadUntil { get; set; } = -1;

    /// <summary>Whether it is said what it was.</summary>
    public bool IsDone { get; set; }

    /// <summary>Whether it is among those that left last.</summary>
    public bool IsWaiting { get; set; }

    public bool IsLiving => Exit < 0 && LostAt < 0;

    /// <summary>Makes a task that this one forked one of its family.</summary>
    public void Adopt(TracedTask child)
    {
        Add(child);
        child.Family = Family;
        Family.Living++;
    }

    /// <summary>Makes it the root of a family of its own, with all below it.</summary>
    public void Leave()
    {
        if (Parent is null)
        {
            return;
        }

        Unlink();
        TaskFamily old = Family;
        Family = new TaskFamily(this) { Living = 0 };
        var pending = new Stack<TracedTask>();
        pending.Push(this);
        while (pending.TryPop(out TracedTask? task))
        {
            task.Family = Family;
            int living = task.IsLiving && !task.IsDone ? 1 : 0;
            Family.Living += living;
            old.Living -= living;
            foreach (TracedTask child in task.Children)
            {
                pending.Push(child);
            }
        }
    }

    /// <summary>Goes; what it forked belongs to its parent's process, or, where it has none, leads its own.</summary>
    public void Dissolve()
    {
        foreach (TracedTask child in Children.ToArray())
        {
            if (Parent is null)
            {
                child.Leave();
            }
            else
            {
                Parent.Add(child);
            }
        }

        _children = null;
        if (Parent is not null)
        {
            Unlink();
        }
    }

    private void Add(TracedTask child)
    {
        child.Parent = this;
        child._slot = Children.Count;
        (_children ??= []).Add(child);
    }

    private void Unlink()
    {
        List<TracedTask> siblings = Parent!._children!;
        TracedTask moved = siblings[^1];
        siblings[_slot] = moved;
        moved._slot = _slot;
        siblings.RemoveAt(siblings.Count - 1);
        Parent = null;
    }
}
