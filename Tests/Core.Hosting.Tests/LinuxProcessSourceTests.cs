// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging;

namespace PasidFramework.Hosting.Tests;

/// <summary>What a kernel does rarely, on one that does as it is asked.</summary>
public sealed class LinuxProcessSourceTests
{
    private readonly SystemMemory _memory = new();
    private readonly FakeKernel _kernel = new();

    public LinuxProcessSourceTests() =>
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs epoll and eventfd of Linux");

    [Theory]
    [InlineData(LibC.ENOSYS, Errno.EOPNOTSUPP, "real processes need pidfd_open, which this system refuses (error 38): "
        + "Linux 5.3 or later is expected, and a container that permits it")]
    [InlineData(LibC.EPERM, Errno.EOPNOTSUPP, "real processes need pidfd_open, which this system refuses (error 1): "
        + "Linux 5.3 or later is expected, and a container that permits it")]
    [InlineData(LibC.EMFILE, Errno.ENOMEM,
        "no file descriptor for another process (error 24): one each is needed, see ulimit -n")]
    public void A_system_without_pidfd_is_refused_with_a_reason(int error, Errno expected, string reason)
    {
        _kernel.OpenError = error;
        OpResult<LinuxProcessSource> source = LinuxProcessSource.Create(_memory, null, _kernel);
        Assert.Equal((expected, reason), (source.Errno, source.Reason));
    }

    [Theory]
    [InlineData(LibC.EPERM, Errno.EPERM), InlineData(LibC.EACCES, Errno.EPERM), InlineData(LibC.EMFILE, Errno.ENOMEM)]
    [InlineData(LibC.ESRCH, Errno.ESRCH), InlineData(LibC.EINVAL, Errno.ESRCH)]
    public void A_refused_open_keeps_the_kernels_error(int error, Errno expected)
    {
        using LinuxProcessSource source = Source();
        _kernel.Start(7);
        _kernel.OpenError = error;
        Assert.Equal(expected, source.Open(7).Errno);
        Assert.Equal(0, _memory.AllocatedBytes);
    }

    [Fact]
    public void B8_a_reused_process_id_is_another_address_space()
    {
        using LinuxProcessSource source = Source();
        using EndRecorder ends = new(source);
        _kernel.Start(7);
        IAddressSpace first = Open(source, 7);
        _kernel.Kill(7);
        _kernel.Start(7);

        IAddressSpace second = Open(source, 7);

        Assert.NotEqual(first.Id, second.Id);
        Assert.False(first.IsAlive);
        Assert.True(second.IsAlive);
        Assert.Same(first, ends.Next());
        Assert.Same(second, Open(source, 7));
        Assert.True(ends.IsQuiet);
    }

    [Fact]
    public void B8_and_C17_an_exec_replaces_the_address_space_at_the_next_open()
    {
        using LinuxProcessSource source = Source();
        using EndRecorder ends = new(source);
        _kernel.Start(7);
        IAddressSpace before = Open(source, 7);
        _kernel.Exec(7);

        IAddressSpace after = Open(source, 7);

        Assert.NotEqual(before.Id, after.Id);
        Assert.False(before.IsAlive);
        Assert.Same(before, ends.Next());
        Assert.Equal(0, ends.ReportedAlive);
    }

    [Fact]
    public void C17_a_poll_finds_an_exec_and_reports_it_once()
    {
        using LinuxProcessSource source = Source();
        using EndRecorder ends = new(source);
        _kernel.Start(7);
        _kernel.Start(8);
        IAddressSpace space = Open(source, 7);
        IAddressSpace other = Open(source, 8);
        Assert.Equal(0, source.Poll());
        _kernel.Exec(7);

        Assert.Equal(1, source.Poll());
        Assert.Equal(0, source.Poll());

        Assert.Same(space, ends.Next());
        _kernel.Kill(8);
        Assert.Same(other, ends.Next());
    }

    [Fact]
    public void C17_a_forked_child_has_an_address_space_of_its_own()
    {
        using LinuxProcessSource source = Source();
        FakeProcess parent = _kernel.Start(7);
        _kernel.Start(8, forkOf: parent);

        Assert.NotEqual(Open(source, 7).Id, Open(source, 8).Id);
    }

    [Fact]
    public void Processes_that_share_memory_have_one_address_space_until_the_last_is_gone()
    {
        using LinuxProcessSource source = Source();
        using EndRecorder ends = new(source);
        FakeProcess parent = _kernel.Start(7);
        _kernel.Start(8, sharesWith: parent);
        _kernel.Start(9);
        IAddressSpace shared = Open(source, 7);
        Assert.Same(shared, Open(source, 8));
        Assert.Equal(4096, _memory.AllocatedBytes);

        _kernel.Kill(7);
        IAddressSpace other = Open(source, 9);
        _kernel.Kill(9);
        Assert.Same(other, ends.Next()); // Whatever the first end would have raised has been raised before.
        Assert.True(shared.IsAlive);
        Assert.Same(shared, Open(source, 8));

        _kernel.Kill(8);
        Assert.Same(shared, ends.Next());
        Assert.False(shared.IsAlive);
        Assert.True(ends.IsQuiet);
    }

    [Fact]
    public void A_child_that_shared_memory_until_its_exec_leaves_the_parent_its_address_space()
    {
        using LinuxProcessSource source = Source();
        using EndRecorder ends = new(source);
        FakeProcess parent = _kernel.Start(7);
        _kernel.Start(8, sharesWith: parent);
        IAddressSpace shared = Open(source, 7);
        Assert.Same(shared, Open(source, 8));
        _kernel.Exec(8);

        IAddressSpace child = Open(source, 8);

        Assert.NotEqual(shared.Id, child.Id);
        Assert.True(shared.IsAlive);
        Assert.Same(shared, Open(source, 7));
        _kernel.Kill(8);
        Assert.Same(child, ends.Next());
        Assert.True(shared.IsAlive);
    }

    [Fact]
    public void A_process_that_executed_unseen_is_not_taken_for_a_sharer_of_its_old_memory()
    {
        using LinuxProcessSource source = Source();
        FakeProcess first = _kernel.Start(7);
        IAddressSpace before = Open(source, 7);

        // Seven executes, unseen, and a process with the old program starts to share the new memory: not a thing that
        // real processes do, but what the comparison says must not outweigh what was seen of the process.
        ProgramImage old = first.Stat.Image;
        _kernel.Exec(7);
        FakeProcess second = _kernel.Start(8, sharesWith: first);
        second.Stat = second.Stat with { Image = old };

        Assert.NotEqual(before.Id, Open(source, 8).Id);
    }

    [Fact]
    public void Without_kcmp_every_process_counts_for_itself()
    {
        _kernel.CompareError = LibC.ENOSYS;
        using LinuxProcessSource source = Source();
        Assert.False(source.SeesSharing);
        FakeProcess parent = _kernel.Start(7);
        _kernel.Start(8, sharesWith: parent);
        Assert.NotEqual(Open(source, 7).Id, Open(source, 8).Id);
    }

    [Fact]
    public void A_process_whose_memory_may_not_be_compared_is_refused()
    {
        using LinuxProcessSource source = Source();
        Assert.True(source.SeesSharing);
        FakeProcess parent = _kernel.Start(7);
        _kernel.Start(8, forkOf: parent);
        Open(source, 7);
        _kernel.CompareError = LibC.EPERM;

        OpResult<IAddressSpace> refused = source.Open(8);

        Assert.Equal((Errno.EPERM, "process 8: it may not be inspected: kcmp is refused"),
            (refused.Errno, refused.Reason));
    }

    [Fact]
    public void A_process_that_may_not_be_inspected_is_refused()
    {
        using LinuxProcessSource source = Source();
        FakeProcess process = _kernel.Start(7);
        process.Stat = process.Stat with { Image = new ProgramImage(1, 1, 0, 0, 0) };

        OpResult<IAddressSpace> refused = source.Open(7);

        Assert.Equal(
            (Errno.EPERM, "process 7: it may not be inspected: ptrace read access is needed to see an exec"),
            (refused.Errno, refused.Reason));
    }

    [Fact]
    public void What_cannot_be_seen_any_more_does_not_end_an_address_space()
    {
        using LinuxProcessSource source = Source();
        FakeProcess process = _kernel.Start(7);
        IAddressSpace space = Open(source, 7);
        ProcessStat seen = process.Stat;

        // The right to read was taken away; or its first thread has exited while others run.
        foreach (ProcessStat unseen in (ProcessStat[])
            [
                seen with { Image = new ProgramImage(1, 1, 0, 0, 0) },
                seen with { State = 'Z', VirtualBytes = 0, Image = default },
            ])
        {
            process.Stat = unseen;
            Assert.Equal(0, source.Poll());
            Assert.Same(space, Open(source, 7));
        }

        process.Stat = seen;
        Assert.Same(space, Open(source, 7));
        Assert.True(space.IsAlive);
    }

    [Theory]
    [InlineData('Z', 4096), InlineData('X', 4096), InlineData('R', 0)]
    public void C16_dead_and_exiting_processes_are_refused(char state, int virtualBytes)
    {
        using LinuxProcessSource source = Source();
        FakeProcess process = _kernel.Start(7);
        process.Stat = process.Stat with { State = state, VirtualBytes = (ulong)virtualBytes };
        Assert.Equal(Errno.ESRCH, source.Open(7).Errno);
        Assert.Equal(0, _memory.AllocatedBytes);
    }

    [Fact]
    public void C16_a_kernel_thread_is_refused()
    {
        using LinuxProcessSource source = Source();
        FakeProcess process = _kernel.Start(2);
        process.Stat = process.Stat with { Name = "kthreadd", Flags = 0x208040, VirtualBytes = 0, Image = default };

        OpResult<IAddressSpace> refused = source.Open(2);

        Assert.Equal(
            (Errno.EINVAL, "process 2: 'kthreadd' is a kernel thread, it has no user memory"),
            (refused.Errno, refused.Reason));
    }

    [Theory]
    [InlineData(0), InlineData(-1), InlineData(int.MinValue), InlineData(int.MaxValue)]
    public void C16_an_id_without_a_process_is_refused(int pid)
    {
        using LinuxProcessSource source = Source();
        Assert.Equal(Errno.ESRCH, source.Open(pid).Errno);
    }

    [Fact]
    public void An_open_in_the_middle_of_an_exec_waits_for_its_end()
    {
        using LinuxProcessSource source = Source();
        FakeProcess process = _kernel.Start(7);
        process.LooksInExec = 20;
        IAddressSpace space = Open(source, 7);
        Assert.Same(space, Open(source, 7));

        FakeProcess stuck = _kernel.Start(8);
        stuck.LooksInExec = int.MaxValue;
        OpResult<IAddressSpace> refused = source.Open(8);
        Assert.Equal((Errno.EBUSY, "process 8: it is in the middle of an exec"), (refused.Errno, refused.Reason));
    }

    [Fact]
    public void A_page_lasts_from_the_open_until_the_handlers_have_returned()
    {
        SystemMemory memory = new(capacityBytes: 1 << 16);
        using LinuxProcessSource source = LinuxProcessSource.Create(memory, null, _kernel).Value!;
        long duringHandler = 0;
        source.AddressSpaceEnded += _ => Interlocked.Exchange(ref duringHandler, memory.AllocatedBytes);
        using EndRecorder ends = new(source);
        int pages = (1 << 16) / 4096;
        for (int pid = 1; pid <= pages; pid++)
        {
            _kernel.Start(pid + 100);
            IAddressSpace space = Open(source, pid + 100);
            Assert.Equal(0UL, space.PageTableRoot % 4096);
            Assert.True(memory.IsBacked(space.PageTableRoot, 4096));
        }

        _kernel.Start(99);
        Assert.Equal(Errno.ENOMEM, source.Open(99).Errno);
        _kernel.Kill(101);
        ends.Next();
        Assert.Equal(1 << 16, Interlocked.Read(ref duringHandler));
        _kernel.Kill(102);
        ends.Next(); // Its report comes after the first page was given back.
        Open(source, 99);
    }

    [Fact]
    public void A_handler_that_throws_keeps_no_other_from_hearing_of_an_end()
    {
        RecordingLogger logger = new();
        using LinuxProcessSource source = LinuxProcessSource.Create(_memory, logger, _kernel).Value!;
        source.AddressSpaceEnded += _ => throw new InvalidOperationException("mistake");
        using EndRecorder ends = new(source);
        _kernel.Start(7);
        _kernel.Start(8);
        IAddressSpace first = Open(source, 7);
        IAddressSpace second = Open(source, 8);

        _kernel.Kill(7);
        Assert.Same(first, ends.Next());
        _kernel.Kill(8);
        Assert.Same(second, ends.Next());
        Assert.Equal("mistake", logger.Last?.Message);
    }

    [Fact]
    public void A_handler_may_open_poll_and_dispose()
    {
        LinuxProcessSource source = Source();
        _kernel.Start(8);
        IAddressSpace? opened = null;
        using ManualResetEventSlim done = new();
        source.AddressSpaceEnded += _ =>
        {
            opened = source.Open(8).Value;
            source.Poll();
            source.Dispose();
            done.Set();
        };
        _kernel.Start(7);
        Open(source, 7);
        _kernel.Kill(7);

        Assert.True(done.Wait(EndRecorder.Patience, TestContext.Current.CancellationToken));
        Assert.NotNull(opened);
        Assert.Throws<ObjectDisposedException>(() => source.Open(8));
        Assert.True(SpinWait.SpinUntil(() => _memory.AllocatedBytes == 0, EndRecorder.Patience));
    }

    [Fact]
    public void Disposing_gives_every_page_back_and_reports_nothing()
    {
        LinuxProcessSource source = Source();
        using EndRecorder ends = new(source);
        _kernel.Start(7);
        IAddressSpace space = Open(source, 7);

        source.Dispose();
        source.Dispose();

        Assert.Equal(0, _memory.AllocatedBytes);
        Assert.False(space.IsAlive);
        Assert.True(ends.IsQuiet);
        Assert.Throws<ObjectDisposedException>(() => source.Open(7));
        Assert.Throws<ObjectDisposedException>(() => source.Poll());
    }

    private static IAddressSpace Open(LinuxProcessSource source, int pid)
    {
        OpResult<IAddressSpace> opened = source.Open(pid);
        Assert.True(opened.IsOk, opened.Reason);
        return opened.Value;
    }

    private LinuxProcessSource Source() => LinuxProcessSource.Create(_memory, null, _kernel).Value!;

    private sealed class RecordingLogger : ILogger
    {
        public volatile Exception? Last;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) =>
            Last = exception;
    }
}
