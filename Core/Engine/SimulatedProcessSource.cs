// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Engine;

/// <summary>
/// Processes that exist only here: started, forked, executed and ended by calls, each address space with a page for its
/// top page table. What a trace replay and a test drive.
/// </summary>
/// <remarks>Safe for concurrent use; the end of an address space is reported on the thread that caused it.</remarks>
public sealed class SimulatedProcessSource : IProcessSource
{
    private readonly Lock _gate = new();
    private readonly IPhysicalMemory _memory;
    private readonly Dictionary<int, Simulated> _byPid = [];
    private ulong _lastId;

    /// <summary>Makes an empty source.</summary>
    /// <param name="memory">Where the page tables' top pages are taken from.</param>
    public SimulatedProcessSource(IPhysicalMemory memory)
    {
        ArgumentNullException.ThrowIfNull(memory);
        _memory = memory;
    }

    public event Action<IAddressSpace>? AddressSpaceEnded;

    /// <summary>Processes that run now.</summary>
    public int ProcessCount
    {
        get
        {
            lock (_gate)
            {
                return _byPid.Count;
            }
        }
    }

    /// <summary>Starts a process with an address space of its own.</summary>
    /// <param name="pid">Process id, not in use.</param>
    /// <param name="tenant">Whose quota counts; empty for none.</param>
    /// <returns>The address space; EEXIST for a pid in use; ENOMEM.</returns>
    public OpResult<IAddressSpace> Start(int pid, string name, string tenant = "")
    {
        lock (_gate)
        {
            return Begin(pid, name, tenant);
        }
    }

    /// <summary>Starts a kernel thread, which has no user memory.</summary>
    public OpResult<IAddressSpace> StartKernelThread(int pid, string name)
    {
        lock (_gate)
        {
            if (_byPid.ContainsKey(pid))
            {
                return InUse(pid);
            }

            var made =
                new Simulated(new AddressSpaceId(++_lastId), pid, name, string.Empty, 0) { IsKernelThread = true };
            _byPid[pid] = made;
            return OpResult<IAddressSpace>.Ok(made);
        }
    }

    /// <summary>Forks: the child gets an address space of its own (and no PASID, C17), or shares its
    /// parent's.</summary>
    /// <param name="parentPid">Running process.</param>
    /// <param name="childPid">Process id, not in use.</param>
    /// <param name="shareMemory">As with CLONE_VM: both have one address space, which ends with the last of
    /// them.</param>
    /// <returns>The child's address space; ESRCH; EEXIST; ENOMEM.</returns>
    public OpResult<IAddressSpace> Fork(int parentPid, int childPid, bool shareMemory = false)
    {
        lock (_gate)
        {
            if (!_byPid.TryGetValue(parentPid, out Simulated? parent))
            {
                return Unknown(parentPid);
            }

            if (!shareMemory)
            {
                return Begin(childPid, parent.Name, parent.Tenant);
            }

            if (!_byPid.TryAdd(childPid, parent))
            {
                return InUse(childPid);
            }

            parent.Sharers++;
            return OpResult<IAddressSpace>.Ok(parent);
        }
    }

    /// <summary>Executes another program: the process keeps its id and gets a new address space; its part in the old
    /// one ends.</summary>
    /// <param name="pid">Running process.</param>
    /// <param name="name">Name of the program.</param>
    /// <returns>The new address space; ESRCH; ENOMEM, with the old one still in place.</returns>
    public OpResult<IAddressSpace> Exec(int pid, string name)
    {
        Simulated? ended;
        OpResult<IAddressSpace> result;
        lock (_gate)
        {
            if (!_byPid.Remove(pid, out Simulated? old))
            {
                return Unknown(pid);
            }

            result = Begin(pid, name, old.Tenant);
            if (!result.IsOk)
            {
                _byPid[pid] = old;
                return result;
            }

            ended = Leave(old);
        }

        Report(ended);
        return result;
    }

    /// <summary>Ends a process; its address space ends with the last process that shares it.</summary>
    /// <returns>Success; ESRCH.</returns>
    public OpResult Exit(int pid)
    {
        Simulated? ended;
        lock (_gate)
        {
            if (!_byPid.Remove(pid, out Simulated? old))
            {
                return Unknown(pid).Outcome;
            }

            ended = Leave(old);
        }

        Report(ended);
        return OpResult.Ok;
    }

    public OpResult<IAddressSpace> Open(int pid)
    {
        lock (_gate)
        {
            return _byPid.TryGetValue(pid, out Simulated? found)
                ? found.IsKernelThread
                    ? OpResult<IAddressSpace>.Refuse(Errno.EINVAL, $"pid {pid} is a kernel thread without user memory")
                    : OpResult<IAddressSpace>.Ok(found)
                : Unknown(pid);
        }
    }

    /// <summary>Ends all processes.</summary>
    public void Dispose()
    {
        int[] pids;
        lock (_gate)
        {
            pids = [.. _byPid.Keys.Order()];
        }

        foreach (int pid in pids)
        {
            Exit(pid);
        }
    }

    private static OpResult<IAddressSpace> Unknown(int pid) =>
        OpResult<IAddressSpace>.Refuse(Errno.ESRCH, $"no process has pid {pid}");

    private static OpResult<IAddressSpace> InUse(int pid) =>
        OpResult<IAddressSpace>.Refuse(Errno.EEXIST, $"pid {pid} is in use");

    private static Simulated? Leave(Simulated space)
    {
        if (--space.Sharers != 0)
        {
            return null;
        }

        // Dead before anyone is notified (C14).
        space.End();
        return space;
    }

    private OpResult<IAddressSpace> Begin(int pid, string name, string tenant)
    {
        if (_byPid.ContainsKey(pid))
        {
            return InUse(pid);
        }

        OpResult<ulong> root = _memory.AllocatePages(4096);
        if (!root.IsOk)
        {
            return OpResult<IAddressSpace>.Refuse(root.Outcome);
        }

        var made = new Simulated(new AddressSpaceId(++_lastId), pid, name, tenant, root.Value);
        _byPid[pid] = made;
        return OpResult<IAddressSpace>.Ok(made);
    }

    private void Report(Simulated? ended)
    {
        if (ended is null)
        {
            return;
        }

        try
        {
            if (!ended.IsKernelThread)
            {
                AddressSpaceEnded?.Invoke(ended);
            }
        }
        finally
        {
            if (ended.PageTableRoot != 0)
            {
                _memory.FreePages(ended.PageTableRoot, 4096);
            }
        }
    }

    private sealed class Simulated(AddressSpaceId id, int pid, string name, string tenant, ulong root) : IAddressSpace
    {
        private volatile bool _ended;
        public AddressSpaceId Id { get; } = id;
        public int Pid { get; } = pid;
        public string Name { get; } = name;
        public ulong PageTableRoot { get; } = root;
        public string Tenant { get; } = tenant;
        public bool IsKernelThread { get; init; }
        public bool IsAlive => !_ended;
        public int Sharers { get; set; } = 1;
        public void End() => _ended = true;
    }
}
