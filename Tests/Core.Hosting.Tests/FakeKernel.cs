// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;
using Microsoft.Win32.SafeHandles;

namespace PasidFramework.Hosting.Tests;

/// <summary>
/// A kernel that does what a test asks. A process's descriptor is an event descriptor, which becomes readable in
/// the same way as a pidfd does.
/// </summary>
internal sealed class FakeKernel : ILinuxKernel
{
    private readonly ConcurrentDictionary<int, FakeProcess> _processes = new();
    private ulong _clock = 1000;
    public FakeKernel() => Start(Environment.ProcessId);

    /// <summary>What opening a process answers instead of a descriptor; 0 for none.</summary>
    public int OpenError { get; set; }

    /// <summary>What a comparison answers instead of a result; 0 for none.</summary>
    public int CompareError { get; set; }

    /// <summary>Starts a process, with memory of its own or another one's.</summary>
    public FakeProcess Start(int pid, FakeProcess? sharesWith = null, FakeProcess? forkOf = null)
    {
        _clock++;
        ProgramImage image = (sharesWith ?? forkOf)?.Stat.Image ?? ImageAt(_clock);
        FakeProcess process = new(
            new ProcessStat("fake", 'S', 0x400000, _clock, 4096, image), sharesWith?.Memory ?? new object());
        _processes[pid] = process;
        return process;
    }

    public void Exec(int pid)
    {
        FakeProcess process = _processes[pid];
        _clock++;
        process.Memory = new object();
        process.Stat = process.Stat with { Image = ImageAt(_clock) };
    }

    /// <summary>Ends a process and frees its id.</summary>
    public void Kill(int pid)
    {
        Assert.True(_processes.TryRemove(pid, out FakeProcess? process));
        process.End();
    }

    public SafeFileHandle? OpenProcess(int pid, out int errno)
    {
        errno = OpenError;
        if (errno != 0)
        {
            return null;
        }

        if (!_processes.TryGetValue(pid, out FakeProcess? process))
        {
            errno = LibC.ESRCH;
            return null;
        }

        return process.Open();
    }

    public int CompareMemory(int first, int second)
    {
        if (CompareError != 0)
        {
            return -CompareError;
        }

        return _processes.TryGetValue(first, out FakeProcess? left)
            && _processes.TryGetValue(second, out FakeProcess? right)
            ? left.Memory == right.Memory ? 0 : 1
            : -LibC.ESRCH;
    }

    public int ReadStat(int pid, out ProcessStat stat)
    {
        stat = default;
        if (!_processes.TryGetValue(pid, out FakeProcess? process))
        {
            return LibC.ESRCH;
        }

        stat = process.NextStat();
        return 0;
    }

    public int ThreadGroupOf(int thread) => _processes.ContainsKey(thread) ? thread : -LibC.ESRCH;

    private static ProgramImage ImageAt(ulong at) =>
        new(at << 20, (at << 20) + 4096, at << 30, (at << 20) + 8192, (at << 20) + 12288);
}

/// <summary>A process of a <see cref="FakeKernel"/>.</summary>
internal sealed class FakeProcess(ProcessStat stat, object memory)
{
    private readonly List<SafeFileHandle> _descriptors = [];
    public ProcessStat Stat { get; set; } = stat;
    public object Memory { get; set; } = memory;

    /// <summary>How many reads find it in the middle of an exec.</summary>
    public int LooksInExec { get; set; }

    public ProcessStat NextStat() => LooksInExec-- > 0 ? Stat with { Image = default } : Stat;

    public SafeFileHandle Open()
    {
        SafeFileHandle descriptor = LibC.EventfdCreate(out int errno)!;
        Assert.Equal(0, errno);
        _descriptors.Add(descriptor);
        return descriptor;
    }

    public void End()
    {
        foreach (SafeFileHandle descriptor in _descriptors)
        {
            try
            {
                LibC.EventfdSignal(descriptor);
            }
            catch (ObjectDisposedException)
            {
                // The source does not watch it any more.
            }
        }
    }
}
