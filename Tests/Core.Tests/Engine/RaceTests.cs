// SPDX-License-Identifier: Apache-2.0
using PasidFramework.TestKit;

namespace PasidFramework.Core.Tests.Engine;

/// <summary>
/// Races: every round starts its threads at a barrier and is judged when they are done; the recording driver counts
/// broken promises while they run.
/// </summary>
public sealed class RaceTests
{
    private static readonly int s_rounds = Effort.Of(4000);

    [Theory]
    [InlineData(PasidOptions.LifetimeLastUnbind)]
    [InlineData(PasidOptions.LifetimeProcessDeath)]
    public void B3_B5_C1_C3_two_first_binds_of_one_process_make_one_process_one_PASID_one_link(string lifetime)
    {
        using var system = new TestSystem(o => o.Lifetime = lifetime);
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple(2);
        Device other = system.AddDevice(system.AddDomain(unit, "second"), 9);

        Race(
            3,
            round => system.Start(100 + round),
            (process, thread) => system.Core.Bind(thread == 2 ? other : devices[thread], process),
            (process, results) =>
            {
                Assert.All(results, r => Assert.True(r.IsOk, r.ToString()));
                Assert.Single(results.Select(r => r.Value).Distinct());
                Assert.Equal(1, domain.Space.LiveCount);
                system.Processes.Exit(process.Pid);
                Assert.Equal(0, domain.Space.LiveCount);
            });

        Assert.Equal(s_rounds, unit.ProcessesAllocated);
        Settled(system, unit);
    }

    [Fact]
    public void B3_B5_a_bind_that_waits_for_the_same_process_joins_its_link_and_no_other_waits()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple(2);
        IAddressSpace process = system.Start(10), other = system.Start(11);
        Pasid others = system.Bind(devices[0], other);
        using var inside = new ManualResetEventSlim();
        using var goOn = new ManualResetEventSlim();
        unit.OnCall = (call, _, _) =>
        {
            if (call == "AllocateProcess" && !inside.IsSet)
            {
                inside.Set();
                goOn.Wait();
            }

            return OpResult.Ok;
        };
        OpResult<Pasid> first = default, second = default;
        var one = new Thread(() => first = system.Core.Bind(devices[0], process));
        one.Start();
        inside.Wait();

        // The driver blocks: lookups, allocations and binds of other processes go on.
        IommuProcess? found = domain.Space.Find(others);
        Assert.Same(other, found?.AddressSpace);
        found!.Put();
        Pasid third = system.Bind(devices[1], system.Start(12));
        Assert.True(system.Core.Unbind(devices[1], third).IsOk);

        var two = new Thread(() => second = system.Core.Bind(devices[1], process));
        two.Start();
        Assert.True(SpinWait.SpinUntil(
            () => (two.ThreadState & ThreadState.WaitSleepJoin) != 0 || !two.IsAlive, TimeSpan.FromMinutes(1)));
        goOn.Set();
        one.Join();
        two.Join();

        Assert.True(first.IsOk && second.IsOk, $"{first} {second}");
        Assert.Equal(first.Value, second.Value);
        system.Processes.Dispose();
        Assert.Equal(0, domain.Space.LiveCount);
        Settled(system, unit);
    }

    [Fact]
    public void C14_an_end_that_is_reported_twice_at_once_returns_only_after_translation_stopped()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple();
        IAddressSpace process = system.Start(10);
        system.Bind(devices[0], process);
        using var inside = new ManualResetEventSlim();
        using var goOn = new ManualResetEventSlim();
        unit.OnCall = (call, _, _) =>
        {
            if (call == "Exit")
            {
                inside.Set();
                goOn.Wait();
            }

            return OpResult.Ok;
        };
        var one = new Thread(() => system.Processes.Exit(10));
        one.Start();
        inside.Wait();
        int exitsWhenReturned = -1;
        var two = new Thread(() =>
        {
            system.Core.ProcessEnded(process);
            exitsWhenReturned = unit.Exits;
        });
        two.Start();
        Assert.True(SpinWait.SpinUntil(
            () => (two.ThreadState & ThreadState.WaitSleepJoin) != 0 || !two.IsAlive, TimeSpan.FromMinutes(1)));
        goOn.Set();
        one.Join();
        two.Join();

        Assert.Equal(1, exitsWhenReturned);
        Assert.Equal(0, domain.Space.LiveCount);
        Settled(system, unit);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void C13_an_unbind_inside_or_after_an_exit_is_one_teardown(bool inside)
    {
        using var system = new TestSystem();
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple();
        IAddressSpace process = system.Start(10);
        Pasid pasid = system.Bind(devices[0], process);
        OpResult unbound = default;
        devices[0].ProcessExited = (device, _, pasid) => unbound = inside ? system.Core.Unbind(device, pasid) : default;

        system.Processes.Exit(10);

        Assert.Equal(inside ? Errno.None : Errno.ESRCH, inside ? unbound.Errno
            : system.Core.Unbind(devices[0], pasid).Errno);
        Assert.Equal(1, unit.Detaches);
        Assert.Equal(0, domain.Space.LiveCount);
        Settled(system, unit);
    }

    [Fact]
    public void Two_tenants_that_come_at_once_have_an_account_each()
    {
        using var system = new TestSystem(o => o.QuotaPerTenant = 1);
        (RecordingUnit unit, _, Device[] devices) = system.AddSimple();

        Race(
            2,
            round => (A: system.Start(100 + (2 * round), $"a{round}"), B: system.Start(101 + (2 * round), $"b{round}")),
            (made, thread) => system.Core.Bind(devices[0], thread == 0 ? made.A : made.B).Outcome,
            (made, results) =>
            {
                Assert.All(results, r => Assert.True(r.IsOk, r.ToString()));
                system.Processes.Exit(made.A.Pid);
                system.Processes.Exit(made.B.Pid);
            });

        Settled(system, unit);
    }

    [Fact]
    public void C13_exit_and_unbind_tear_each_link_down_once()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple(2);
        Race(
            2,
            round =>
            {
                IAddressSpace process = system.Start(100 + round);
                system.Bind(devices[0], process);
                return (Process: process, Pasid: system.Bind(devices[1], process));
            },
            (made, thread) => thread == 0
                ? system.Processes.Exit(made.Process.Pid)
                : system.Core.Unbind(devices[0], made.Pasid),
            (made, results) =>
            {
                Assert.True(results[0].IsOk);
                Assert.True(results[1].Errno is Errno.None or Errno.ESRCH, results[1].ToString());
                Assert.Equal(0, domain.Space.LiveCount);
                Assert.Null(domain.Space.Find(made.Pasid));
            });

        Assert.Equal(2 * s_rounds, unit.Detaches);
        Settled(system, unit);
    }

    [Fact]
    public void C14_a_bind_that_races_an_exit_is_refused_or_torn_down()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple(2);
        Race(
            3,
            round => system.Start(100 + round),
            (process, thread) => thread switch
            {
                0 => system.Processes.Exit(process.Pid),
                _ => system.Core.Bind(devices[thread - 1], process).Outcome,
            },
            (_, results) =>
            {
                Assert.True(results[0].IsOk);
                Assert.All(results.Skip(1), r => Assert.True(r.Errno is Errno.None or Errno.ESRCH, r.ToString()));
                Assert.Equal(0, domain.Space.LiveCount);
                Assert.Equal(0, system.Core.ProcessCount);
                Assert.Equal(0, unit.Entries);
            });

        Settled(system, unit);
    }

    [Fact]
    public void Bind_and_last_unbind_race_without_losing_the_binding()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple(2);

        Race(
            2,
            round =>
            {
                IAddressSpace process = system.Start(100 + round);
                return (Process: process, Pasid: system.Bind(devices[0], process));
            },
            (made, thread) => thread == 0
                ? system.Core.Unbind(devices[0], made.Pasid)
                : system.Core.Bind(devices[1], made.Process).Outcome,
            (made, results) =>
            {
                Assert.All(results, r => Assert.True(r.IsOk, r.ToString()));
                Assert.Equal(1, domain.Space.LiveCount);
                Assert.Equal(1, system.Core.ProcessCount);
                Assert.Equal(1, unit.Entries);
                system.Processes.Exit(made.Process.Pid);
                Assert.Equal(0, domain.Space.LiveCount);
            });

        Settled(system, unit);
    }

    [Fact]
    public void A_device_removal_that_races_binds_leaves_no_binding_of_it()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, Domain domain, _) = system.AddSimple(1);
        uint requester = 100;

        Race(
            2,
            round => (Device: system.AddDevice(domain, ++requester), Process: system.Start(100 + round)),
            (made, thread) => thread == 0
                ? system.Core.RemoveDevice(made.Device)
                : system.Core.Bind(made.Device, made.Process).Outcome,
            (made, results) =>
            {
                Assert.True(results[0].IsOk);
                Assert.True(results[1].Errno is Errno.None or Errno.ENODEV, results[1].ToString());
                Assert.Equal(0, unit.Entries);
                Assert.Equal(0, domain.Space.LiveCount);
                Assert.Equal(Errno.ENODEV, system.Core.Bind(made.Device, made.Process).Errno);
            });

        Settled(system, unit);
    }

    [Fact]
    public void C7_C8_C9_a_lookup_that_races_unbind_exit_and_reuse_finds_the_owner_or_none()
    {
        using var system = new TestSystem(o => o.Last = 2);
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple();
        bool done = false;
        int wrong = 0;
        var reader = new Thread(() =>
        {
            // Every process that a lookup returns is alive in the core's sense: its driver's record is not freed.
            while (!Volatile.Read(ref done))
            {
                for (uint pasid = 1; pasid <= 2; pasid++)
                {
                    if (domain.Space.Find(new Pasid(pasid)) is { } process)
                    {
                        if (process.State == ProcessState.Gone || process.ReferenceCount < 1)
                        {
                            wrong++;
                        }

                        process.Put();
                    }

                    PageRequest? request = PageRequest.Begin(devices[0], new Pasid(pasid));
                    if (request is not null && request.Process.State == ProcessState.Gone)
                    {
                        wrong++;
                    }

                    request?.Dispose();
                }
            }
        });
        reader.Start();
        int retry = 0;
        for (int round = 0; round < s_rounds; round++)
        {
            IAddressSpace process = system.Start(100 + round);
            OpResult<Pasid> bound = system.Core.Bind(devices[0], process);

            // The reader may hold both PASIDs for a moment; the PASID then stays away, which is the point.
            if (!bound.IsOk)
            {
                Assert.Equal(Errno.ENOSPC, bound.Errno);
                retry++;
            }
            else if ((round & 1) == 0)
            {
                Assert.True(system.Core.Unbind(devices[0], bound.Value).IsOk);
            }

            system.Processes.Exit(process.Pid);
        }

        Volatile.Write(ref done, true);
        reader.Join();
        Assert.Equal(0, wrong);
        Assert.True(retry < s_rounds, "no bind ever succeeded");
        Assert.Equal(0, domain.Space.LiveCount);
        Settled(system, unit);
    }

    [Fact]
    public void C5_C9_a_soup_of_binds_unbinds_and_exits_ends_where_it_began()
    {
        foreach (string lifetime in new[] { PasidOptions.LifetimeLastUnbind, PasidOptions.LifetimeProcessDeath })
        {
            using var system = new TestSystem(o =>
            {
                o.Lifetime = lifetime;
                o.Allocator = "cyclic";
                o.Last = 40;
            });
            RecordingUnit one = system.AddUnit(), two = system.AddUnit();
            Domain shared = system.AddDomain(one, "shared");
            Device[] devices =
            [
                system.AddDevice(shared, 1), system.AddDevice(shared, 2),
                system.AddDevice(system.AddDomain(one, "own"), 3), system.AddDevice(system.AddDomain(two, "other"), 1),
            ];
            const int Threads = 3;
            using var barrier = new Barrier(Threads);
            var failures = new List<string>();
            Thread[] threads = [.. Enumerable.Range(0, Threads).Select(t => new Thread(() =>
            {
                var random = new Random(t);
                barrier.SignalAndWait();
                for (int i = 0; i < 6000; i++)
                {
                    int pid = 1 + random.Next(6);
                    Device device = devices[random.Next(devices.Length)];
                    switch (random.Next(8))
                    {
                        case 0:
                            system.Processes.Exit(pid);
                            break;
                        case 1:
                            system.Processes.Exec(pid, "exec");
                            break;
                        case 2 or 3:
                            system.Core.Unbind(device, new Pasid((uint)random.Next(1, 41)));
                            break;
                        case 4 when random.Next(20) == 0:
                            system.Core.UnbindAll(device);
                            break;
                        default:
                            OpResult<IAddressSpace> process = system.Processes.Open(pid);
                            if (!process.IsOk)
                            {
                                process = system.Processes.Start(pid, "p");
                            }

                            if (process.IsOk && system.Core.Bind(device, process.Value) is { IsOk: false } refused
                                && refused.Errno is not (Errno.EEXIST or Errno.ESRCH or Errno.ENOSPC))
                            {
                                lock (failures)
                                {
                                    failures.Add(refused.ToString());
                                }
                            }

                            break;
                    }
                }
            }))];
            Array.ForEach(threads, t => t.Start());
            Array.ForEach(threads, t => t.Join());

            Assert.Empty(failures);
            for (int pid = 1; pid <= 6; pid++)
            {
                system.Processes.Exit(pid);
            }

            Assert.Equal(0, shared.Space.LiveCount);
            Settled(system, one);
            Settled(system, two);
        }
    }

    private static void Settled(TestSystem system, RecordingUnit unit)
    {
        for (int i = 0; i < 10 && system.Core.PendingReclaims != 0; i++)
        {
            using IommuCore.ReadSection section = system.Core.EnterReadSection();
        }

        Assert.Empty(unit.BrokenPromises);
        Assert.Equal(0, unit.Entries);
        Assert.Equal(unit.AttachSuccesses, unit.Detaches);
        Assert.Equal(unit.ProcessesAllocated, unit.ProcessesFreed);
        Assert.Equal(0, system.Core.ProcessCount);
    }

    // One thread is the test's own; all wait for each other before and after each round.
    private static void Race<TMade, TResult>(
        int threads, Func<int, TMade> make, Func<TMade, int, TResult> act, Action<TMade, TResult[]> judge)
    {
        var results = new TResult[threads];
        TMade made = default!;
        Exception? thrown = null;
        using var start = new Barrier(threads);
        using var end = new Barrier(threads);
        void Loop(int thread)
        {
            for (int round = 0; round < s_rounds; round++)
            {
                if (thread == 0 && thrown is null)
                {
                    made = make(round);
                }

                start.SignalAndWait();
                if (thrown is null)
                {
                    try
                    {
                        results[thread] = act(made, thread);
                    }
                    catch (Exception e)
                    {
                        Interlocked.CompareExchange(ref thrown, e, null);
                    }
                }

                end.SignalAndWait();
                if (thread == 0 && thrown is null)
                {
                    try
                    {
                        judge(made, results);
                    }
                    catch (Exception e)
                    {
                        thrown = e;
                    }
                }
            }
        }

        Thread[] others = [.. Enumerable.Range(1, threads - 1).Select(t => new Thread(() => Loop(t)))];
        Array.ForEach(others, t => t.Start());
        Loop(0);
        Array.ForEach(others, t => t.Join());
        if (thrown is not null)
        {
            throw new InvalidOperationException($"a round failed: {thrown.Message}", thrown);
        }
    }
}
