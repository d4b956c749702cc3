// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;

namespace PasidFramework.Hosting.Tests;

/// <summary>The process source against the running kernel.</summary>
public sealed class RealProcessTests : IDisposable
{
    private const string LastPidFile = "/proc/sys/kernel/ns_last_pid";
    private const int SetResUidX64 = 117;
    private const int SetResUidArm64 = 147;
    private const int Nobody = 65534;
    private readonly SystemMemory _memory = new();
    private readonly LinuxProcessSource _source;
    private readonly EndRecorder _ends;

    public RealProcessTests()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "real processes need Linux");
        OpResult<LinuxProcessSource> source = LinuxProcessSource.Create(_memory);
        Assert.SkipUnless(source.IsOk, source.Reason ?? string.Empty);
        _source = source.Value!;
        _ends = new EndRecorder(_source);
    }

    public void Dispose()
    {
        _source.Dispose();
        _ends.Dispose();
        Assert.Equal(0, _memory.AllocatedBytes);
    }

    [Fact]
    public void The_end_of_a_killed_process_is_reported_once()
    {
        using RealProcess process = RealProcess.Sleep();
        IAddressSpace space = Open(process.Id);
        Assert.Equal((process.Id, "sleep", true, false), (space.Pid, space.Name, space.IsAlive, space.IsKernelThread));

        process.Kill();

        Assert.Same(space, _ends.Next());
        Assert.False(space.IsAlive);
        AssertQuiet();
    }

    [Fact]
    public void The_end_of_a_process_that_exits_by_itself_is_reported()
    {
        using RealProcess process = RealProcess.Script("read x");
        IAddressSpace space = Open(process.Id);

        process.Write("go");

        Assert.Same(space, _ends.Next());
    }

    [Fact]
    public void Two_opens_of_one_process_give_one_address_space()
    {
        using RealProcess process = RealProcess.Sleep();
        Assert.Same(Open(process.Id), Open(process.Id));
        Assert.Equal(4096, _memory.AllocatedBytes);
    }

    [Fact]
    public void Two_processes_have_two_address_spaces_with_a_page_each()
    {
        using RealProcess first = RealProcess.Sleep();
        using RealProcess second = RealProcess.Sleep();
        IAddressSpace one = Open(first.Id);
        IAddressSpace two = Open(second.Id);
        Assert.NotEqual(one.Id, two.Id);
        Assert.NotEqual(one.PageTableRoot, two.PageTableRoot);
    }

    [Fact]
    public void C17_an_exec_replaces_the_address_space_at_the_next_open()
    {
        using RealProcess process = RealProcess.Script("read x; exec sh -c 'echo ready; read y'");
        IAddressSpace before = Open(process.Id);
        process.Write("go");
        Assert.Equal("ready", process.ReadLine());

        IAddressSpace after = Open(process.Id);

        Assert.NotEqual(before.Id, after.Id);
        Assert.False(before.IsAlive);
        Assert.True(after.IsAlive);
        Assert.Same(before, _ends.Next());
        Assert.Same(after, Open(process.Id));
        process.Kill();
        Assert.Same(after, _ends.Next());
        AssertQuiet();
    }

    [Fact]
    public void C17_an_exec_is_found_by_polling()
    {
        using RealProcess process = RealProcess.Script("read x; exec sh -c 'echo ready; read y'");
        IAddressSpace before = Open(process.Id);
        Assert.Equal(0, _source.Poll());
        process.Write("go");
        Assert.Equal("ready", process.ReadLine());

        Assert.Equal(1, _source.Poll());

        Assert.Same(before, _ends.Next());
        process.KillAndReap();
        AssertQuiet();
    }

    [Fact]
    public void C17_a_forked_child_has_an_address_space_of_its_own()
    {
        // The subshell waits in the shell's own code: a fork without an exec, so both have one program at one place.
        using RealProcess process = RealProcess.Script("exec 3<&0; (read x <&3) & echo $!; wait; read y");
        int child = process.ReadNumber();

        IAddressSpace parentSpace = Open(process.Id);
        IAddressSpace childSpace = Open(child);

        Assert.NotEqual(parentSpace.Id, childSpace.Id);
        RealProcess.Kill(child);
        Assert.Same(childSpace, _ends.Next());
        Assert.True(parentSpace.IsAlive);
    }

    [Fact]
    public void B8_a_reused_process_id_is_another_address_space()
    {
        Assert.SkipUnless(CanChooseProcessIds(),
            $"{LastPidFile} cannot be written (CAP_CHECKPOINT_RESTORE or root is needed)");

        // Anything else that starts may take the number first.
        for (int attempt = 0; attempt < 200; attempt++)
        {
            using RealProcess first = RealProcess.Sleep();
            IAddressSpace before = Open(first.Id);
            first.KillAndReap();
            File.WriteAllText(LastPidFile, (first.Id - 1).ToString(CultureInfo.InvariantCulture));
            using RealProcess second = RealProcess.Sleep();
            if (second.Id != first.Id)
            {
                Assert.Same(before, _ends.Next());
                continue;
            }

            IAddressSpace after = Open(second.Id);
            Assert.NotEqual(before.Id, after.Id);
            Assert.False(before.IsAlive);
            Assert.True(after.IsAlive);
            Assert.Same(before, _ends.Next());
            AssertQuiet();
            return;
        }

        Assert.Skip("no process id was reused in 200 attempts");
    }

    [Fact]
    public void Processes_that_share_memory_have_one_address_space_until_the_last_is_gone()
    {
        Assert.SkipUnless(
            RuntimeInformation.ProcessArchitecture == Architecture.X64, "the helper clones by x86-64 machine code");
        Assert.SkipUnless(_source.SeesSharing, "this kernel has no kcmp");
        string helper = Path.Combine(
            PluginFolder.Built("SharesMemory"), Path.ChangeExtension(PluginFolder.FileName("SharesMemory"), null));
        using RealProcess parent = RealProcess.Start(helper);
        int child = parent.ReadNumber();
        try
        {
            Assert.NotEqual(parent.Id, child);
            IAddressSpace shared = Open(parent.Id);
            Assert.Same(shared, Open(child));
            Assert.Equal(4096, _memory.AllocatedBytes);

            parent.KillAndReap();
            AssertQuiet();
            Assert.True(shared.IsAlive);
            Assert.Same(shared, Open(child));

            RealProcess.Kill(child);
            Assert.Same(shared, _ends.Next());
            Assert.False(shared.IsAlive);
            AssertQuiet();
        }
        finally
        {
            RealProcess.Kill(child);
        }
    }

    [Fact]
    public void C16_a_process_that_is_gone_is_refused()
    {
        using RealProcess process = RealProcess.Sleep();
        process.KillAndReap();
        OpResult<IAddressSpace> refused = _source.Open(process.Id);
        Assert.Equal(Errno.ESRCH, refused.Errno);
        Assert.Equal(Errno.ESRCH, _source.Open(int.MaxValue).Errno);
    }

    [Fact]
    public void C16_a_zombie_is_refused()
    {
        // The program that the shell becomes never waits for the shell's child.
        using RealProcess parent = RealProcess.Script("exec 3<&0; cat <&3 & echo $!; exec sleep 1000000");
        int child = parent.ReadNumber();
        IAddressSpace space = Open(child);
        RealProcess.Kill(child);
        Assert.Same(space, _ends.Next());

        OpResult<IAddressSpace> refused = _source.Open(child);

        Assert.True(Directory.Exists($"/proc/{child}"), "the zombie was waited for");
        Assert.Equal((Errno.ESRCH, $"process {child}: it is dead"), (refused.Errno, refused.Reason));
    }

    [Fact]
    public void C16_a_kernel_thread_is_refused()
    {
        int kernelThread = Directory.EnumerateDirectories("/proc")
            .Select(path => int.TryParse(Path.GetFileName(path), NumberStyles.None, CultureInfo.InvariantCulture,
                out int pid) ? pid : 0)
            .FirstOrDefault(pid => pid > 0 && new LinuxKernel().ReadStat(pid, out ProcessStat stat) == 0
                && stat.IsKernelThread);
        Assert.SkipWhen(kernelThread == 0, "no kernel thread is to be seen from this container");
        Assert.Equal(Errno.EINVAL, _source.Open(kernelThread).Errno);
    }

    [Fact]
    public void A_threads_id_stands_for_its_process()
    {
        IAddressSpace own = Open(Environment.ProcessId);
        int[] threads = [.. Directory.EnumerateDirectories("/proc/self/task").Select(path =>
            int.Parse(Path.GetFileName(path), CultureInfo.InvariantCulture))];
        int other = threads.Max();
        Assert.NotEqual(Environment.ProcessId, other);
        OpResult<IAddressSpace> opened = _source.Open(other);

        // A thread of the pool may end at any moment; the answer is then that it is gone.
        Assert.True(opened.IsOk ? opened.Value == own : opened.Errno == Errno.ESRCH, opened.Reason);
    }

    [Fact]
    public void C16_somebody_elses_process_is_refused()
    {
        int number = RuntimeInformation.ProcessArchitecture switch
        {
            Architecture.X64 => SetResUidX64,
            Architecture.Arm64 => SetResUidArm64,
            _ => 0,
        };
        Assert.SkipUnless(number != 0 && Environment.IsPrivilegedProcess, "only root can become another user");
        using RealProcess process = RealProcess.Sleep();
        OpResult<IAddressSpace> refused = default;
        bool changed = false;

        // The system call, unlike the library's function, changes the calling thread alone.
        Thread other = new(() =>
        {
            changed = SystemCall(number, Nobody, Nobody, Nobody) == 0;
            refused = _source.Open(process.Id);
        });
        other.Start();
        other.Join();

        Assert.SkipUnless(changed, "this container does not permit to become another user");
        Assert.Equal(Errno.EPERM, refused.Errno);
        Assert.Equal(process.Id, Open(process.Id).Pid);
    }

    [Fact]
    public void C13_many_ends_among_many_opens_are_reported_once_each()
    {
        const int Processes = 40;
        const int Openers = 3;
        RealProcess[] processes = [.. Enumerable.Range(0, Processes).Select(_ => RealProcess.Sleep())];
        try
        {
            IAddressSpace[] spaces = [.. processes.Select(process => Open(process.Id))];
            using Barrier barrier = new(Openers + 1);
            Thread[] openers = [.. Enumerable.Range(0, Openers).Select(_ => new Thread(() =>
            {
                for (int index = 0; index < Processes; index++)
                {
                    barrier.SignalAndWait();
                    OpResult<IAddressSpace> opened = _source.Open(processes[index].Id);
                    _source.Poll();
                    if (opened.IsOk ? opened.Value != spaces[index] : opened.Errno != Errno.ESRCH)
                    {
                        throw new InvalidOperationException(opened.ToString());
                    }
                }
            }))];
            foreach (Thread opener in openers)
            {
                opener.Start();
            }

            foreach (RealProcess process in processes)
            {
                barrier.SignalAndWait(TestContext.Current.CancellationToken);
                process.Kill();
            }

            foreach (Thread opener in openers)
            {
                opener.Join();
            }

            HashSet<AddressSpaceId> ended = [.. Enumerable.Range(0, Processes).Select(_ => _ends.Next().Id)];
            Assert.Equal(spaces.Select(space => space.Id).ToHashSet(), ended);
            AssertQuiet();
        }
        finally
        {
            foreach (RealProcess process in processes)
            {
                process.Dispose();
            }
        }
    }

    [DllImport("libc", EntryPoint = "syscall")]
    private static extern nint SystemCall(nint number, nint first, nint second, nint third);

    private static bool CanChooseProcessIds()
    {
        try
        {
            File.WriteAllText(LastPidFile, File.ReadAllText(LastPidFile));
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private IAddressSpace Open(int pid)
    {
        OpResult<IAddressSpace> opened = _source.Open(pid);
        Assert.True(opened.IsOk, opened.Reason);
        return opened.Value;
    }

    // Ends are reported in order on one thread: after one more of them, nothing can be on its way from before.
    private void AssertQuiet()
    {
        using RealProcess last = RealProcess.Sleep();
        IAddressSpace space = Open(last.Id);
        last.Kill();
        Assert.Same(space, _ends.Next());
        Assert.True(_ends.IsQuiet);
        Assert.Equal(0, _ends.ReportedAlive);
    }
}
