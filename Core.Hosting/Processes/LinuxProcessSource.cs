// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Win32.SafeHandles;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;

namespace PasidFramework.Hosting.Processes;

/// <summary>
/// The processes of the running Linux system. A process is its id and its start time, pinned by a pidfd while it is
/// watched, so a reused id is another address space; one thread waits for the end of all of them.
/// </summary>
/// <remarks>
/// <para><b>Sharing.</b> Processes that share their memory (<c>clone</c> with CLONE_VM, <c>vfork</c> until it executes)
/// have one address space; <c>kcmp</c> compares. Its end is reported when the last process that was opened is gone: a
/// process that shares it and was never opened does not count.</para>
/// <para><b>Fork and exec (invariant C17).</b> The child of a fork has an address space of its own and nothing bound.
/// An exec ends the old one. The kernel does not report it, so it is checked for: at every <see cref="Open"/> of that
/// process and at every <see cref="Poll"/>. Between two checks it is not seen, and neither is a program that executes
/// itself with the same arguments while address space randomisation is switched off, since it comes to lie where it
/// lay.</para>
/// <para><b>Permission.</b> Both take the right to inspect the process (ptrace access, read): root's, or the owner's.
/// Where it is missing, <see cref="Open"/> answers EPERM instead of guessing.</para>
/// <para><b>Page table.</b> User space cannot know a process's real one. <see cref="IAddressSpace.PageTableRoot"/> is a
/// page of the memory given, one per address space; it is freed after the handlers of its end have returned.</para>
/// <para>Members may be used from several threads. Dispose what is bound to processes before the source.</para>
/// <para>Sources: pidfd_open(2), kcmp(2), proc_pid_stat(5).</para>
/// </remarks>
public sealed class LinuxProcessSource : IProcessSource
{
    private const int PageBytes = 4096;
    private const ulong WakeToken = 0;

    // An exec places its program within microseconds; what is not done after that many checks is not going to be.
    private const int MaxExecChecks = 10_000;
    private readonly Lock _gate = new();
    private readonly ILinuxKernel _kernel;
    private readonly IPhysicalMemory _memory;
    private readonly ILogger _logger;
    private readonly SafeFileHandle _epoll;
    private readonly SafeFileHandle _wake;
    private readonly Thread _watcher;
    private readonly Dictionary<int, Watched> _byPid = [];
    private readonly Dictionary<ulong, Watched> _byToken = [];

    // Sharing processes have one image, so only spaces of that image need to be compared.
    private readonly Dictionary<ProgramImage, List<Space>> _byImage = [];
    private readonly Queue<Space> _ended = [];
    private ulong _lastToken = WakeToken;
    private ulong _lastId;
    private ulong _endedCount;
    private bool _disposed;

    private LinuxProcessSource(
        ILinuxKernel kernel, IPhysicalMemory memory, ILogger logger, SafeFileHandle epoll, SafeFileHandle wake,
        bool seesSharing)
    {
        _kernel = kernel;
        _memory = memory;
        _logger = logger;
        _epoll = epoll;
        _wake = wake;
        SeesSharing = seesSharing;
        _watcher = new Thread(Watch) { IsBackground = true, Name = "pasid-process-source" };
        _watcher.Start();
    }

    public event Action<IAddressSpace>? AddressSpaceEnded;

    /// <summary>
    /// Whether processes that share their memory are recognised. False on a kernel built without kcmp (CONFIG_KCMP) or
    /// in a container that forbids it: then every process counts as an address space of its own.
    /// </summary>
    public bool SeesSharing { get; }

    /// <param name="memory">Where page-table roots are allocated.</param>
    /// <param name="logger">Records handlers that throw; silent by default.</param>
    /// <returns>The source; EOPNOTSUPP (not Linux, or a kernel before 5.3, or a container that forbids pidfd_open);
    /// ENOMEM (no file descriptors left).</returns>
    public static OpResult<LinuxProcessSource> Create(IPhysicalMemory memory, ILogger? logger = null)
    {
        ArgumentNullException.ThrowIfNull(memory);
        return OperatingSystem.IsLinux()
            ? Create(memory, logger, new LinuxKernel())
            : OpResult<LinuxProcessSource>.Refuse(
                Errno.EOPNOTSUPP, $"real processes need Linux, this is {Environment.OSVersion.Platform}");
    }

    internal static OpResult<LinuxProcessSource> Create(IPhysicalMemory memory, ILogger? logger, ILinuxKernel kernel)
    {
        using (SafeFileHandle? self = kernel.OpenProcess(Environment.ProcessId, out int errno))
        {
            if (self is null)
            {
                return OpResult<LinuxProcessSource>.Refuse(errno is LibC.EMFILE or LibC.ENFILE or LibC.ENOMEM
                    ? NoDescriptor(errno)
                    : OpResult.Refuse(Errno.EOPNOTSUPP,
                        $"real processes need pidfd_open, which this system refuses (error {errno}): Linux 5.3 or "
                            + $"later is expected, and a container that permits it"));
            }
        }

        SafeFileHandle? epoll = LibC.EpollCreate(out int epollError);
        SafeFileHandle? wake = LibC.EventfdCreate(out int wakeError);
        int watchError = epoll is null || wake is null ? 0 : LibC.EpollWatch(epoll, wake, WakeToken);
        if (epoll is null || wake is null || watchError != 0)
        {
            epoll?.Dispose();
            wake?.Dispose();
            return OpResult<LinuxProcessSource>.Refuse(NoDescriptor(epollError | wakeError | watchError));
        }

        bool seesSharing = kernel.CompareMemory(Environment.ProcessId, Environment.ProcessId) == 0;
        return OpResult<LinuxProcessSource>.Ok(
            new LinuxProcessSource(kernel, memory, logger ?? NullLogger.Instance, epoll, wake, seesSharing));
    }

    /// <param name="pid">
    /// Process id. The id of a thread stands for its thread group, whose memory it uses.
    /// </param>
    /// <returns>
    /// The address space, the same object every time while it lives; ESRCH (no such process, a dead one, or one whose
    /// first thread has exited); EINVAL (kernel thread); EPERM (it may not be inspected); EBUSY (in the middle of an
    /// exec, for longer than an exec takes); ENOMEM (no page, no file descriptor).
    /// </returns>
    /// <exception cref="ObjectDisposedException">The source was disposed.</exception>
    public OpResult<IAddressSpace> Open(int pid)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (pid <= 0)
            {
                return Refuse(Errno.ESRCH, pid, "process ids are positive");
            }

            if (_byPid.TryGetValue(pid, out Watched? watched) && CheckForExec(watched))
            {
                return OpResult<IAddressSpace>.Ok(watched.Space);
            }

            return OpenProcess(pid, mayBeThread: true);
        }
    }

    /// <summary>Checks every watched process for an exec.</summary>
    /// <returns>How many address spaces it found ended; the handlers run on the source's thread.</returns>
    /// <exception cref="ObjectDisposedException">The source was disposed.</exception>
    public int Poll()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            ulong before = _endedCount;
            foreach (Watched watched in _byPid.Values.ToImmutableArray())
            {
                CheckForExec(watched);
            }

            return (int)(_endedCount - before);
        }
    }

    /// <summary>Stops watching. Ends that were not reported yet are not reported any more.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_disposed)
            {
                return;
            }

            _disposed = true;
            LibC.EventfdSignal(_wake);
        }

        // A handler may dispose the source; the thread that it runs on ends by itself then.
        if (Thread.CurrentThread != _watcher)
        {
            _watcher.Join();
        }
    }

    private static OpResult<IAddressSpace> Refuse(Errno errno, int pid, string why) => OpResult<IAddressSpace>.Refuse(
        errno, Text($"process {pid}: {why}"));

    private static OpResult NoDescriptor(int errno) => OpResult.Refuse(Errno.ENOMEM,
        $"no file descriptor for another process (error {errno}): one each is needed, see ulimit -n");

    private OpResult<IAddressSpace> OpenProcess(int pid, bool mayBeThread)
    {
        SafeFileHandle? pidfd = _kernel.OpenProcess(pid, out int errno);
        if (pidfd is null)
        {
            return errno is LibC.EINVAL or LibC.ENOENT && mayBeThread ? OpenGroupOf(pid) : Refuse(pid, errno);
        }

        bool kept = false;
        try
        {
            OpResult<ProcessStat> stat = ReadLive(pid, pidfd);
            if (!stat.IsOk)
            {
                return OpResult<IAddressSpace>.Refuse(stat.Outcome);
            }

            OpResult<Space> space = FindOrMakeSpace(pid, pidfd, stat.Value);
            if (!space.IsOk)
            {
                return OpResult<IAddressSpace>.Refuse(space.Outcome);
            }

            ulong token = ++_lastToken;
            int watchError = LibC.EpollWatch(_epoll, pidfd, token);
            if (watchError != 0)
            {
                DropIfUnused(space.Value);
                return OpResult<IAddressSpace>.Refuse(NoDescriptor(watchError));
            }

            Watched watched = new(pid, token, pidfd, stat.Value.StartTime, stat.Value.Image, space.Value);
            space.Value.Users.Add(watched);
            _byPid[pid] = watched;
            _byToken[token] = watched;
            kept = true;
            return OpResult<IAddressSpace>.Ok(space.Value);
        }
        finally
        {
            if (!kept)
            {
                pidfd.Dispose();
            }
        }
    }

    private OpResult<IAddressSpace> OpenGroupOf(int thread)
    {
        int group = _kernel.ThreadGroupOf(thread);
        if (group < 0)
        {
            return Refuse(thread, -group);
        }

        if (group == thread)
        {
            return Refuse(thread, LibC.ESRCH);
        }

        return _byPid.TryGetValue(group, out Watched? watched) && CheckForExec(watched)
            ? OpResult<IAddressSpace>.Ok(watched.Space)
            : OpenProcess(group, mayBeThread: false);
    }

    private static OpResult<IAddressSpace> Refuse(int pid, int errno) => errno switch
    {
        LibC.EPERM or LibC.EACCES => Refuse(Errno.EPERM, pid, "it may not be opened"),
        LibC.EMFILE or LibC.ENFILE or LibC.ENOMEM => OpResult<IAddressSpace>.Refuse(NoDescriptor(errno)),
        _ => Refuse(Errno.ESRCH, pid, "no such process"),
    };

    // While the descriptor does not say that the process has ended, no other can have its id.
    private OpResult<ProcessStat> ReadLive(int pid, SafeFileHandle pidfd)
    {
        for (int attempt = 0; ; attempt++)
        {
            int errno = _kernel.ReadStat(pid, out ProcessStat stat);
            (Errno Errno, string Why)? refusal =
                errno == LibC.EPERM ? (Errno.EPERM, "its /proc entry may not be read")
                : errno != 0 || LibC.IsReadable(pidfd) || stat.IsDead ? (Errno.ESRCH, "it is dead")
                : stat.IsKernelThread
                    ? (Errno.EINVAL, $"'{stat.Name}' is a kernel thread, it has no user memory")
                : stat.VirtualBytes == 0 ? (Errno.ESRCH, "it is exiting, its memory is gone")
                : stat.Image.IsHidden
                    ? (Errno.EPERM, "it may not be inspected: ptrace read access is needed to see an exec")
                : stat.Image.IsIncomplete ? (Errno.EBUSY, "it is in the middle of an exec")
                : null;
            if (refusal is { Errno: Errno.EBUSY } && attempt < MaxExecChecks)
            {
                Thread.Yield();
                continue;
            }

            return refusal is not { } found ? OpResult<ProcessStat>.Ok(stat)
                : OpResult<ProcessStat>.Refuse(Refuse(found.Errno, pid, found.Why).Outcome);
        }
    }

    private OpResult<Space> FindOrMakeSpace(int pid, SafeFileHandle pidfd, in ProcessStat stat)
    {
        if (SeesSharing && _byImage.TryGetValue(stat.Image, out List<Space>? candidates))
        {
            foreach (Space candidate in candidates)
            {
                foreach (Watched user in candidate.Users)
                {
                    int order = _kernel.CompareMemory(pid, user.Pid);
                    if (order is -LibC.EPERM or -LibC.EACCES)
                    {
                        return OpResult<Space>.Refuse(
                            Refuse(Errno.EPERM, pid, "it may not be inspected: kcmp is refused").Outcome);
                    }

                    // Both ids meant these two processes during the call if both still live after it.
                    if (order == 0 && !LibC.IsReadable(user.Pidfd) && !LibC.IsReadable(pidfd) && HasImage(user))
                    {
                        return OpResult<Space>.Ok(candidate);
                    }
                }
            }
        }

        OpResult<ulong> root = _memory.AllocatePages(PageBytes);
        if (!root.IsOk)
        {
            return OpResult<Space>.Refuse(root.Outcome);
        }

        Space space = new(new AddressSpaceId(++_lastId), pid, stat.Name, root.Value, stat.Image);
        if (!_byImage.TryGetValue(stat.Image, out List<Space>? list))
        {
            _byImage[stat.Image] = list = [];
        }

        list.Add(space);
        return OpResult<Space>.Ok(space);
    }

    // A process of the candidate that has executed something since the last check is no user of it any more.
    private bool HasImage(Watched user) => _kernel.ReadStat(user.Pid, out ProcessStat stat) == 0
        && stat.Image == user.Image;

    /// <summary>Checks a watched process; takes it away if it has ended or executed another program.</summary>
    /// <returns>Whether it is the same process in the same address space.</returns>
    private bool CheckForExec(Watched watched)
    {
        int errno = _kernel.ReadStat(watched.Pid, out ProcessStat stat);
        if (LibC.IsReadable(watched.Pidfd))
        {
            Forget(watched);
            return false;
        }

        // The process lives, so what is not to be seen of it (a first thread that has exited while others run, a right
        // that was taken away) says nothing about its memory.
        if (errno != 0 || stat.IsDead || stat.VirtualBytes == 0 || stat.Image.IsHidden)
        {
            return true;
        }

        if (stat.StartTime == watched.StartTime && stat.Image == watched.Image)
        {
            return true;
        }

        Forget(watched);
        return false;
    }

    private void Forget(Watched watched)
    {
        _byToken.Remove(watched.Token);
        if (_byPid.GetValueOrDefault(watched.Pid) == watched)
        {
            _byPid.Remove(watched.Pid);
        }

        LibC.EpollForget(_epoll, watched.Pidfd);
        watched.Pidfd.Dispose();
        watched.Space.Users.Remove(watched);
        if (watched.Space.Users.Count == 0)
        {
            RemoveFromImages(watched.Space);
            watched.Space.End();
            _endedCount++;
            _ended.Enqueue(watched.Space);
            LibC.EventfdSignal(_wake);
        }
    }

    private void DropIfUnused(Space space)
    {
        if (space.Users.Count == 0)
        {
            RemoveFromImages(space);
            _memory.FreePages(space.PageTableRoot, PageBytes);
        }
    }

    private void RemoveFromImages(Space space)
    {
        List<Space> list = _byImage[space.Image];
        list.Remove(space);
        if (list.Count == 0)
        {
            _byImage.Remove(space.Image);
        }
    }

    private void Watch()
    {
        Span<ulong> tokens = stackalloc ulong[64];
        do
        {
            int ready = LibC.EpollWait(_epoll, tokens);
            lock (_gate)
            {
                foreach (ulong token in tokens[..ready])
                {
                    if (token == WakeToken)
                    {
                        LibC.EventfdClear(_wake);
                    }
                    else if (_byToken.TryGetValue(token, out Watched? watched))
                    {
                        Forget(watched);
                    }
                }
            }
        }
        while (Report());

        lock (_gate)
        {
            Release();
        }
    }

    /// <returns>Whether the source goes on.</returns>
    private bool Report()
    {
        while (true)
        {
            Space? space;
            lock (_gate)
            {
                if (_disposed)
                {
                    return false;
                }

                if (!_ended.TryDequeue(out space))
                {
                    return true;
                }
            }

            foreach (
                Action<IAddressSpace> handler in
                AddressSpaceEnded?.GetInvocationList().Cast<Action<IAddressSpace>>() ?? [])
            {
                try
                {
                    handler(space);
                }
#pragma warning disable CA1031 // One handler's mistake must not keep the others, or later ends, from being reported.
                catch (Exception exception)
#pragma warning restore CA1031
                {
                    _logger.LogError(exception, "A handler of the end of {AddressSpace} failed.", space.Id);
                }
            }

            _memory.FreePages(space.PageTableRoot, PageBytes);
        }
    }

    private void Release()
    {
        foreach (Watched watched in _byPid.Values)
        {
            watched.Pidfd.Dispose();
        }

        foreach (Space space in _byImage.Values.SelectMany(list => list).Concat(_ended))
        {
            space.End();
            _memory.FreePages(space.PageTableRoot, PageBytes);
        }

        _byPid.Clear();
        _byToken.Clear();
        _byImage.Clear();
        _ended.Clear();
        _epoll.Dispose();
        _wake.Dispose();
    }

    private sealed class Watched(
        int pid, ulong token, SafeFileHandle pidfd, ulong startTime, ProgramImage image, Space space)
    {
        public int Pid => pid;
        public ulong Token => token;
        public SafeFileHandle Pidfd => pidfd;
        public ulong StartTime => startTime;
        public ProgramImage Image => image;
        public Space Space => space;
    }

    private sealed class Space(AddressSpaceId id, int pid, string name, ulong pageTableRoot, ProgramImage image)
        : IAddressSpace
    {
        private volatile bool _isAlive = true;
        public AddressSpaceId Id => id;
        public int Pid => pid;
        public string Name => name;
        public ulong PageTableRoot => pageTableRoot;
        public bool IsAlive => _isAlive;
        public ProgramImage Image => image;
        public List<Watched> Users { get; } = [];
        public void End() => _isAlive = false;
    }
}
