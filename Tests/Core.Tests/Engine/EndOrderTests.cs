// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Core.Tests.Engine;

/// <summary>
/// What must have happened before an end of a process or of a device is reported as done, with the other thread stopped
/// at the one place where it hurts.
/// </summary>
public sealed class EndOrderTests
{
    [Fact]
    public void C8_an_end_between_the_first_check_and_the_registration_leaves_nothing_to_reach()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple();
        var process = new HookedAddressSpace();
        process.OnAsked = asked =>
        {
            if (asked == 1)
            {
                // The whole end: its report has returned, so the source may free the page table now.
                process.IsEnded = true;
                system.Core.ProcessEnded(process);
            }
        };

        OpResult<Pasid> bound = system.Core.Bind(devices[0], process);

        Assert.Equal(Errno.ESRCH, bound.Errno);
        Assert.Equal(0, unit.AttachSuccesses);
        Assert.Equal(0, domain.Space.LiveCount);
        Assert.Equal(0, system.Core.ProcessCount);
        Assert.Empty(unit.BrokenPromises);
    }

    [Fact]
    public void C8_an_end_after_the_last_check_waits_until_the_bind_can_be_torn_down()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple();
        var process = new HookedAddressSpace();
        int entriesWhenEnded = -1;
        Thread? end = null;
        process.OnAsked = asked =>
        {
            if (asked == 2)
            {
                end = Background(() =>
                {
                    process.IsEnded = true;
                    system.Core.ProcessEnded(process);
                    entriesWhenEnded = unit.Entries;
                });
                end.Start();
                Waits(end);
            }
        };

        system.Core.Bind(devices[0], process);
        end!.Join();

        Assert.Equal(0, entriesWhenEnded);
        Assert.Equal(0, domain.Space.LiveCount);
        Assert.Equal(0, system.Core.ProcessCount);
        Assert.Empty(unit.BrokenPromises);
    }

    [Fact]
    public void B6_no_PASID_is_free_before_the_exit_handlers_have_returned()
    {
        using var system = new TestSystem(o => o.Allocator = "lowest");
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple(2);
        IAddressSpace dying = system.Start(10), next = system.Start(11);
        Pasid pasid = system.Bind(devices[0], dying);
        system.Bind(devices[1], dying);
        var called = new List<string>();
        Pasid taken = default;
        devices[0].ProcessExited = (device, process, ended) =>
        {
            called.Add(device.Name);
            Assert.True(system.Core.Unbind(devices[0], ended).IsOk);
            Assert.True(system.Core.Unbind(devices[1], ended).IsOk);
            taken = system.Bind(devices[1], next);
        };
        devices[1].ProcessExited = (device, _, _) => called.Add(device.Name);

        system.Processes.Exit(10);

        // The second binding had ended before its turn came: there is nothing left that its handler could stop.
        Assert.Equal(["dev1"], called);
        Assert.NotEqual(pasid, taken);
        Assert.Equal(1, domain.Space.LiveCount);
        devices[0].ProcessExited = null;
        system.Processes.Exit(11);
        Assert.Equal(pasid, system.Bind(devices[0], system.Start(12)));
        Assert.Empty(unit.BrokenPromises);
    }

    [Fact]
    public void B6_a_device_is_not_removed_before_its_exit_handler_has_returned()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, _, Device[] devices) = system.AddSimple(2);
        system.Bind(devices[0], system.Start(10));
        system.Bind(devices[1], system.Processes.Open(10).Value!);
        using var inside = new ManualResetEventSlim();
        using var goOn = new ManualResetEventSlim();
        bool returned = false, returnedFirst = false;
        int second = 0;
        devices[0].ProcessExited = (_, _, _) =>
        {
            inside.Set();
            goOn.Wait();
            Volatile.Write(ref returned, true);
        };
        devices[1].ProcessExited = (_, _, _) => second++;
        var exit = Background(() => system.Processes.Exit(10));
        exit.Start();
        inside.Wait();
        Assert.True(system.Core.RemoveDevice(devices[1]).IsOk);
        var removal = Background(() =>
        {
            system.Core.RemoveDevice(devices[0]);
            returnedFirst = Volatile.Read(ref returned);
        });
        removal.Start();
        Waits(removal);
        goOn.Set();
        exit.Join();
        removal.Join();

        Assert.True(returnedFirst, "RemoveDevice returned while the device's exit handler ran");
        Assert.Equal(0, second);
        Assert.Empty(unit.BrokenPromises);
    }

    [Fact]
    public void B6_an_exit_handler_may_remove_its_own_device()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple();
        system.Bind(devices[0], system.Start(10));
        OpResult removed = OpResult.Refuse(Errno.EIO, "not called");
        devices[0].ProcessExited = (device, _, _) => removed = system.Core.RemoveDevice(device);

        system.Processes.Exit(10);

        Assert.True(removed.IsOk, removed.ToString());
        Assert.Contains("RemoveDevice dev1", unit.Log);
        Assert.Equal(0, domain.Space.LiveCount);
        Assert.Empty(unit.BrokenPromises);
    }

    [Fact]
    public void B6_exit_handlers_that_remove_each_others_devices_do_not_wait_for_each_other_for_ever()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple(2);
        system.Bind(devices[0], system.Start(10));
        system.Bind(devices[1], system.Start(11));
        using var both = new Barrier(2);
        OpResult[] removed = new OpResult[2];
        for (int i = 0; i < 2; i++)
        {
            int mine = i;
            devices[i].ProcessExited = (_, _, _) =>
            {
                both.SignalAndWait();
                removed[mine] = system.Core.RemoveDevice(devices[1 - mine]);
            };
        }

        Thread[] exits = [.. new[] { 10, 11 }.Select(pid => Background(() => system.Processes.Exit(pid)))];
        Array.ForEach(exits, t => t.Start());
        Array.ForEach(exits, t => t.Join());

        Assert.All(removed, r => Assert.True(r.IsOk, r.ToString()));
        Assert.Equal(0, domain.Space.LiveCount);
        Assert.Empty(unit.BrokenPromises);
    }

    [Fact]
    public void A_device_is_not_removed_before_the_observer_was_notified_of_its_last_unbind()
    {
        using var observer = new StoppingObserver();
        using var system = new TestSystem(observer: observer);
        (RecordingUnit unit, _, Device[] devices) = system.AddSimple();
        Pasid pasid = system.Bind(devices[0], system.Start(10));
        bool notifiedFirst = false;
        var unbind = Background(() => system.Core.Unbind(devices[0], pasid));
        unbind.Start();
        observer.Inside.Wait();
        var removal = Background(() =>
        {
            system.Core.RemoveDevice(devices[0]);
            notifiedFirst = Volatile.Read(ref observer.Returned);
        });
        removal.Start();
        Waits(removal);
        observer.GoOn.Set();
        unbind.Join();
        removal.Join();

        Assert.True(notifiedFirst, "RemoveDevice returned while the observer was being notified of an unbind");
        Assert.Empty(unit.BrokenPromises);
    }

    [Fact]
    public void C19_a_driver_that_binds_the_process_that_it_is_asked_about_is_refused_and_leaves_nothing()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple();
        IAddressSpace process = system.Start(10);
        unit.OnCall = (call, _, _) =>
            call == "AllocateProcess" ? system.Core.Bind(devices[0], process).Outcome : OpResult.Ok;

        OpResult<Pasid> bound = system.Core.Bind(devices[0], process);

        Assert.Equal(Errno.EIO, bound.Errno);
        Assert.Contains("called back into the core", bound.Reason, StringComparison.Ordinal);
        Assert.Equal(0, system.Core.ProcessCount);
        unit.OnCall = (_, _, _) => OpResult.Ok;
        IommuProcess found = domain.Space.Find(system.Bind(devices[0], process))!;
        Assert.Equal(2, found.ReferenceCount);
        found.Put();
    }

    // A test that fails leaves its threads waiting; they must not keep the process from ending.
    private static Thread Background(ThreadStart start) => new(start) { IsBackground = true };

    // Blocked, or at its end because nothing made it wait.
    private static void Waits(Thread thread) => Assert.True(SpinWait.SpinUntil(
        () => (thread.ThreadState & ThreadState.WaitSleepJoin) != 0 || !thread.IsAlive, TimeSpan.FromMinutes(1)));

    private sealed class StoppingObserver : ICoreObserver, IDisposable
    {
        public readonly ManualResetEventSlim Inside = new();
        public readonly ManualResetEventSlim GoOn = new();
        public bool Returned;

        public void Unbound(Device device, Pasid pasid, IAddressSpace process, UnbindCause cause)
        {
            Inside.Set();
            GoOn.Wait();
            Volatile.Write(ref Returned, true);
        }

        public void Dispose()
        {
            Inside.Dispose();
            GoOn.Dispose();
        }
    }

    // Notified of each question whether it is alive, before it answers what was true when it was asked.
    private sealed class HookedAddressSpace : IAddressSpace
    {
        private int _asked;
        public volatile bool IsEnded;
        public Action<int> OnAsked { get; set; } = _ => { };
        public AddressSpaceId Id => new(1);
        public int Pid => 10;
        public string Name => "hooked";
        public ulong PageTableRoot => 0x1000;

        public bool IsAlive
        {
            get
            {
                bool answer = !IsEnded;
                OnAsked(++_asked);
                return answer;
            }
        }
    }
}
