// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Core.Tests.Engine;

/// <summary>Bind and unbind on one thread: the invariants C1 to C20 that need no race, and the defects B1, B2, B4, B6,
/// B8.</summary>
public sealed class BindTests
{
    [Fact]
    public void C1_C2_a_process_has_one_PASID_on_every_device_of_a_global_space()
    {
        using var system = new TestSystem();
        RecordingUnit one = system.AddUnit(), two = system.AddUnit();
        Device a = system.AddDevice(system.AddDomain(one, "a"), 1);
        Device b = system.AddDevice(system.AddDomain(one, "b"), 2);
        Device c = system.AddDevice(system.AddDomain(two, "c"), 1);
        IAddressSpace process = system.Start(10), other = system.Start(11);

        Pasid[] pasids = [system.Bind(a, process), system.Bind(b, process), system.Bind(c, process)];

        Assert.Single(pasids.Distinct());
        Assert.NotEqual(pasids[0], system.Bind(a, other));
        Assert.Empty(one.BrokenPromises);
    }

    [Fact]
    public void C2_under_vendor_ownership_device_and_PASID_together_are_unique()
    {
        using var system = new TestSystem(o => o.Ownership = PasidOptions.OwnershipVendor);
        RecordingUnit unit = system.AddUnit();
        Device a = system.AddDevice(system.AddDomain(unit, "a"), 1);
        Device b = system.AddDevice(system.AddDomain(unit, "b"), 2);
        IAddressSpace first = system.Start(10), second = system.Start(11);

        Pasid firstOnA = system.Bind(a, first);
        Pasid secondOnB = system.Bind(b, second);
        Pasid firstOnB = system.Bind(b, first);

        Assert.Equal(firstOnA, secondOnB);
        Assert.NotEqual(secondOnB, firstOnB);
        Assert.Same(first, Found(a, firstOnA));
        Assert.Same(second, Found(b, secondOnB));
        Assert.Same(first, Found(b, firstOnB));
    }

    [Theory]
    [InlineData(PasidScope.System, 1)]
    [InlineData(PasidScope.Unit, 2)]
    [InlineData(PasidScope.Domain, 4)]
    public void Vendor_ownership_follows_the_drivers_scope(PasidScope scope, int spaces)
    {
        using var system = new TestSystem(o => o.Ownership = PasidOptions.OwnershipVendor);
        var all = new HashSet<PasidSpace>();
        for (int i = 0; i < 2; i++)
        {
            RecordingUnit unit = system.AddUnit(new RecordingUnit { Name = $"unit{i}", VendorScope = scope });
            all.Add(system.AddDomain(unit, "a").Space);
            all.Add(system.AddDomain(unit, "b").Space);
        }

        Assert.Equal(spaces, all.Count);
    }

    [Fact]
    public void Vendor_ownership_takes_the_drivers_own_allocator_and_core_ownership_does_not()
    {
        foreach (string ownership in new[] { PasidOptions.OwnershipVendor, PasidOptions.OwnershipCore })
        {
            using var system = new TestSystem(o => o.Ownership = ownership);
            RecordingUnit unit =
                system.AddUnit(new RecordingUnit { Allocators = range => new TopDownPasidAllocator(range) });
            Device device = system.AddDevice(system.AddDomain(unit, bits: 8), 1, bits: 8);

            Pasid pasid = system.Bind(device, system.Start(10));

            Assert.Equal(ownership == PasidOptions.OwnershipVendor ? 255u : 1u, pasid.Value);
        }
    }

    [Fact]
    public void C3_C4_C5_B1_attach_first_once_and_first_detach_last_once_and_last_and_the_PASID_returns()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple(3);
        IAddressSpace process = system.Start(10);

        Pasid pasid = default;
        foreach (Device device in devices)
        {
            pasid = system.Bind(device, process);
        }

        Assert.Equal(1, domain.Space.LiveCount);
        foreach (Device device in devices)
        {
            Assert.True(system.Core.Unbind(device, pasid).IsOk);
        }

        Assert.Equal(
            ["first=True", "first=False", "first=False"], unit.Log.Where(l => l.StartsWith("Attach")).Select(Last));
        Assert.Equal(
            ["last=False", "last=False", "last=True"], unit.Log.Where(l => l.StartsWith("Detach")).Select(Last));
        Assert.Equal(unit.AttachSuccesses, unit.Detaches);
        Assert.Equal(0, domain.Space.LiveCount);
        Assert.Equal(0, system.Core.ProcessCount);
        Assert.Empty(unit.BrokenPromises);
    }

    [Fact]
    public void C6_a_failed_first_attach_leaves_nothing_behind()
    {
        foreach (string lifetime in new[] { PasidOptions.LifetimeLastUnbind, PasidOptions.LifetimeProcessDeath })
        {
            using var system = new TestSystem(o => o.Lifetime = lifetime);
            (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple();
            IAddressSpace process = system.Start(10);
            unit.OnCall = (call, _, _) => call == "AttachFirst" ? OpResult.Refuse(Errno.ENOMEM, "leaf") : OpResult.Ok;

            OpResult<Pasid> bound = system.Core.Bind(devices[0], process);

            Assert.Equal(Errno.ENOMEM, bound.Errno);
            Assert.Equal(0, domain.Space.LiveCount);
            Assert.Equal(0, system.Core.ProcessCount);
            Assert.Null(domain.Space.Find(new Pasid(1)));
            Assert.Equal(unit.ProcessesAllocated, unit.ProcessesFreed);

            unit.OnCall = (_, _, _) => OpResult.Ok;
            Assert.Equal(1u, system.Bind(devices[0], process).Value);
        }
    }

    [Fact]
    public void C6_B2_a_failed_second_attach_leaves_the_link_as_it_was()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple(2);
        IAddressSpace process = system.Start(10);
        Pasid pasid = system.Bind(devices[0], process);
        unit.OnCall = (call, _, _) => call == "Attach" ? OpResult.Refuse(Errno.EINVAL, "no") : OpResult.Ok;

        Assert.Equal(Errno.EINVAL, system.Core.Bind(devices[1], process).Errno);
        Assert.Equal(Errno.ESRCH, system.Core.Unbind(devices[1], pasid).Errno);
        Assert.True(system.Core.Unbind(devices[0], pasid).IsOk);

        Assert.Contains("last=True", unit.Log.Last(l => l.StartsWith("Detach")));
        Assert.Equal(0, domain.Space.LiveCount);
        Assert.Equal(0, unit.Entries);
    }

    [Fact]
    public void C6_a_failure_on_a_second_domain_does_not_touch_the_first()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple();
        RecordingUnit failing = system.AddUnit();
        Device other = system.AddDevice(system.AddDomain(failing), 1);
        failing.OnCall = (call, _, _) => call == "AttachFirst" ? OpResult.Refuse(Errno.ENOMEM, "leaf") : OpResult.Ok;
        IAddressSpace process = system.Start(10);
        Pasid pasid = system.Bind(devices[0], process);

        Assert.Equal(Errno.ENOMEM, system.Core.Bind(other, process).Errno);

        Assert.Same(process, Found(devices[0], pasid));
        Assert.Equal(1, unit.Entries);
        Assert.Equal(1, domain.Space.LiveCount);
    }

    [Theory]
    [InlineData(Errno.None)]
    [InlineData(Errno.EIO)]
    [InlineData(Errno.ETIMEDOUT)]
    public void An_attach_that_throws_or_is_not_confirmed_is_refused_and_its_PASID_never_returns(Errno errno)
    {
        var observer = new Mock<ICoreObserver>();
        using var system = new TestSystem(observer: observer.Object);
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple(2);
        unit.OnCall = (call, _, _) => call != "AttachFirst"
            ? OpResult.Ok
            : errno == Errno.None ? throw new InvalidOperationException("bug") : OpResult.Refuse(errno, "no answer");

        OpResult<Pasid> bound = system.Core.Bind(devices[0], system.Start(10));

        Assert.Equal(errno == Errno.None ? Errno.EIO : errno, bound.Errno);
        Assert.Contains(errno == Errno.None ? "bug" : "no answer", bound.Reason);
        Assert.Equal(errno == Errno.None ? 1 : 0, system.Core.DriverFailures);
        observer.Verify(
            o => o.DriverThrew(It.IsAny<IommuInstance>(), "Attach", It.IsAny<InvalidOperationException>()),
            Times.Exactly(errno == Errno.None ? 1 : 0));
        Assert.Equal(1, domain.Space.RetiredCount);
        Assert.Equal(0, system.Core.ProcessCount);
        unit.OnCall = (call, _, _) => call == "Attach" ? OpResult.Refuse(Errno.EIO, "second") : OpResult.Ok;
        IAddressSpace next = system.Start(11);
        Assert.Equal(2u, system.Bind(devices[0], next).Value);

        // A second device in doubt taints the PASID that the first one goes on using.
        Assert.Equal(Errno.EIO, system.Core.Bind(devices[1], next).Errno);
        system.Processes.Exit(11);
        Assert.Equal(2, domain.Space.RetiredCount);
    }

    [Fact]
    public void C6_C10_a_driver_that_throws_in_AllocateProcess_leaks_nothing()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple();
        IAddressSpace process = system.Start(10);
        unit.OnCall = (call, _, _) => call == "AllocateProcess" ? throw new InvalidOperationException("bug")
            : OpResult.Ok;

        Assert.Equal(Errno.EIO, system.Core.Bind(devices[0], process).Errno);
        Assert.Equal(0, system.Core.ProcessCount);
        Assert.Equal(0, domain.Space.LiveCount);

        unit.OnCall = (_, _, _) => OpResult.Ok;
        Assert.True(system.Core.Unbind(devices[0], system.Bind(devices[0], process)).IsOk);
        Assert.Equal((1, 1), (unit.ProcessesAllocated, unit.ProcessesFreed));
    }

    [Fact]
    public void C10_a_driver_that_throws_in_FreeProcess_keeps_no_other_record_from_being_freed()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, _, Device[] devices) = system.AddSimple();
        RecordingUnit second = system.AddUnit();
        Device other = system.AddDevice(system.AddDomain(second), 1);
        int throws = 0;
        unit.OnCall = (call, _, _) => call == "FreeProcess" && throws++ == 0
            ? throw new InvalidOperationException("bug") : OpResult.Ok;
        IAddressSpace one = system.Start(10), two = system.Start(11);
        system.Bind(devices[0], one);
        system.Bind(other, one);
        system.Bind(devices[0], two);

        using (system.Core.EnterReadSection())
        {
            system.Processes.Exit(10);
            system.Processes.Exit(11);
            Assert.Equal(2, system.Core.PendingReclaims);
        }

        Assert.Equal(0, system.Core.PendingReclaims);
        Assert.Equal((2, 1, 1), (unit.ProcessesFreed + 1, second.ProcessesFreed, system.Core.DriverFailures));
    }

    [Fact]
    public void A_driver_that_throws_in_RemoveDevice_does_not_keep_the_domain_from_going()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple();
        system.Bind(devices[0], system.Start(10));
        unit.OnCall = (call, _, _) => call == "RemoveDevice" ? throw new InvalidOperationException("bug") : OpResult.Ok;

        Assert.Equal(Errno.EIO, system.Core.RemoveDevice(devices[0]).Errno);

        Assert.Equal(0, unit.Entries);
        Assert.True(system.Core.RemoveDomain(domain).IsOk);
    }

    [Fact]
    public void C6_C7_while_the_first_attach_runs_a_lookup_finds_no_process()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple();
        IommuProcess? found = null;
        unit.OnCall = (call, context, _) =>
        {
            found ??= call == "AttachFirst" ? domain.Space.Find(context!.Pasid) : null;
            return OpResult.Ok;
        };

        system.Bind(devices[0], system.Start(10));

        Assert.Null(found);
    }

    [Fact]
    public void B8_processes_of_two_sources_are_told_apart()
    {
        using var system = new TestSystem();
        using var second = new SimulatedProcessSource(system.Memory);
        system.Core.Follow(second);
        (_, _, Device[] devices) = system.AddSimple(2);
        IAddressSpace one = system.Start(10), two = second.Start(10, "p10").Value!;
        Assert.Equal(one.Id, two.Id);

        Pasid first = system.Bind(devices[0], one), other = system.Bind(devices[0], two);

        Assert.NotEqual(first, other);
        Assert.Same(two, Found(devices[0], other));
        second.Exit(10);
        Assert.Same(one, Found(devices[0], first));
    }

    [Fact]
    public void Two_units_of_one_name_have_a_space_each()
    {
        using var system = new TestSystem(o => o.Ownership = PasidOptions.OwnershipVendor);
        var spaces = new HashSet<PasidSpace>();
        foreach (PasidScope scope in new[] { PasidScope.Unit, PasidScope.Unit, PasidScope.System })
        {
            RecordingUnit unit = system.AddUnit(new RecordingUnit { Name = "test", VendorScope = scope });
            spaces.Add(system.AddDomain(unit).Space);
        }

        Assert.Equal(3, spaces.Count);
    }

    [Fact]
    public void C7_C9_a_lookup_takes_a_reference_that_a_put_gives_back()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple();
        IAddressSpace process = system.Start(10);
        Pasid pasid = system.Bind(devices[0], process);

        IommuProcess found = domain.Space.Find(pasid)!;
        int held = found.ReferenceCount;
        found.Put();

        Assert.Equal(held - 1, found.ReferenceCount);
        Assert.Null(domain.Space.Find(new Pasid(pasid.Value + 1)));
        Assert.Null(domain.Space.Find(new Pasid(Pasid.MaxValue)));
        Assert.Empty(unit.BrokenPromises);
    }

    [Fact]
    public void C10_C11_the_last_put_frees_after_a_grace_period_and_once()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple();
        Pasid pasid = system.Bind(devices[0], system.Start(10));
        IommuProcess found = domain.Space.Find(pasid)!;

        Assert.True(system.Core.Unbind(devices[0], pasid).IsOk);
        Assert.Equal(0, domain.Space.LiveCount);
        Assert.Null(domain.Space.Find(pasid));
        Assert.Equal(0, unit.ProcessesFreed);

        using (system.Core.EnterReadSection())
        {
            found.Put();
            Assert.Equal(1, system.Core.PendingReclaims);
            Assert.Equal(0, unit.ProcessesFreed);
            Assert.NotEqual(ProcessState.Gone, found.State);
        }

        Assert.Equal(1, unit.ProcessesFreed);
        Assert.Equal(ProcessState.Gone, found.State);
        Assert.Equal(0, system.Core.PendingReclaims);
        Assert.Throws<InvalidOperationException>(found.Put);
        Assert.Empty(unit.BrokenPromises);
    }

    [Fact]
    public void C8_C12_exit_tears_every_link_down_once_and_lookups_find_no_process()
    {
        using var system = new TestSystem();
        RecordingUnit unit = system.AddUnit();
        Domain[] domains = [system.AddDomain(unit, "a"), system.AddDomain(unit, "b"), system.AddDomain(unit, "c")];
        var devices = new List<Device>();
        uint requester = 0;
        foreach (Domain domain in domains)
        {
            devices.Add(system.AddDevice(domain, ++requester));
            devices.Add(system.AddDevice(domain, ++requester));
        }

        IAddressSpace process = system.Start(10);
        Pasid pasid = default;
        devices.ForEach(d => pasid = system.Bind(d, process));

        Assert.True(system.Processes.Exit(10).IsOk);

        Assert.Equal(3, unit.Exits);
        Assert.Equal(6, unit.Detaches);
        Assert.Equal(0, unit.Entries);
        Assert.Equal(1, unit.ProcessesFreed);
        Assert.Null(domains[0].Space.Find(pasid));
        Assert.Equal(0, domains[0].Space.LiveCount);
        Assert.Equal(Errno.ESRCH, system.Core.Unbind(devices[0], pasid).Errno);
        Assert.Empty(unit.BrokenPromises);

        // Exit comes before the first detach of its domain.
        Assert.True(unit.Log.FindIndex(l => l.StartsWith("Exit")) < unit.Log.FindIndex(l => l.StartsWith("Detach")));
    }

    [Fact]
    public void C15_a_PASID_that_a_narrow_device_cannot_carry_is_a_range_error_and_the_first_binding_stays()
    {
        using var system = new TestSystem(o => o.Allocator = "top-down");
        RecordingUnit unit = system.AddUnit();
        Device wide = system.AddDevice(system.AddDomain(unit, "wide"), 1);
        Device narrow = system.AddDevice(system.AddDomain(unit, "narrow", bits: 8), 2, bits: 8);
        IAddressSpace process = system.Start(10);
        Pasid pasid = system.Bind(wide, process);

        OpResult<Pasid> bound = system.Core.Bind(narrow, process);

        Assert.Equal(Errno.EOVERFLOW, bound.Errno);
        Assert.Contains("[0x0, 0xff]", bound.Reason);
        Assert.Same(process, Found(wide, pasid));
        Assert.Equal(1, unit.Entries);
    }

    [Fact]
    public void C16_the_refusals_carry_the_kernels_error_numbers()
    {
        using var system = new TestSystem(o =>
        {
            o.First = 1;
            o.Last = 2;
        });
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple(2);
        Device nested = system.AddDevice(system.AddDomain(unit, "nested", nesting: true), 20);
        Device plain = system.AddDevice(system.AddDomain(unit, "plain"), 21, bits: 0);
        IAddressSpace process = system.Start(10);
        IAddressSpace thread = system.Processes.StartKernelThread(2, "kworker/0:1").Value!;

        Assert.Equal(Errno.EINVAL, system.Core.Bind(devices[0], process, (BindFlags)1).Errno);
        Assert.Equal(Errno.EINVAL, system.Core.Bind(nested, process).Errno);
        Assert.Equal(Errno.EINVAL, system.Core.Bind(devices[0], thread).Errno);
        Assert.Equal(Errno.EINVAL, system.Processes.Open(2).Errno);
        Assert.Equal(Errno.ESRCH, system.Processes.Open(999).Errno);
        Assert.Equal(Errno.ENODEV, system.Core.Bind(plain, process).Errno);
        Pasid pasid = system.Bind(devices[0], process);
        Assert.Equal(Errno.EEXIST, system.Core.Bind(devices[0], process).Errno);
        Assert.Equal(Errno.ESRCH, system.Core.Unbind(devices[0], new Pasid(99)).Errno);
        system.Bind(devices[0], system.Start(11));
        Assert.Equal(Errno.ENOSPC, system.Core.Bind(devices[0], system.Start(12)).Errno);
        Assert.True(system.Core.Unbind(devices[0], pasid).IsOk);
        Assert.Equal(Errno.ESRCH, system.Core.Unbind(devices[0], pasid).Errno);
        unit.OnCall = (call, _, _) => call == "AllocateProcess" ? OpResult.Refuse(Errno.ENOMEM, "record") : OpResult.Ok;
        Assert.Equal(Errno.ENOMEM, system.Core.Bind(devices[0], system.Start(13)).Errno);
        Assert.Equal(1, domain.Space.LiveCount);
        Assert.True(system.Core.RemoveDevice(devices[1]).IsOk);
        Assert.Equal(Errno.ENODEV, system.Core.Bind(devices[1], process).Errno);
        Assert.Equal(Errno.ENODEV, system.Core.RemoveDevice(devices[1]).Errno);
        Assert.Equal(Errno.EBUSY, system.Core.RemoveDomain(domain).Errno);
    }

    [Fact]
    public void C16_a_quota_is_ENOSPC_for_its_tenant_only()
    {
        using var system = new TestSystem(o => o.QuotaPerTenant = 1);
        (_, _, Device[] devices) = system.AddSimple();

        Pasid pasid = system.Bind(devices[0], system.Start(10, "red"));
        Assert.Equal(Errno.ENOSPC, system.Core.Bind(devices[0], system.Start(11, "red")).Errno);
        system.Bind(devices[0], system.Start(12, "blue"));
        system.Bind(devices[0], system.Start(13));
        system.Bind(devices[0], system.Start(14));

        Assert.True(system.Core.Unbind(devices[0], pasid).IsOk);
        system.Bind(devices[0], system.Start(15, "red"));
    }

    [Fact]
    public void C17_a_fork_has_no_PASID_and_an_exec_drops_it()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple();
        IAddressSpace parent = system.Start(10);
        Pasid pasid = system.Bind(devices[0], parent);

        IAddressSpace child = system.Processes.Fork(10, 11).Value!;
        Assert.Equal(1, domain.Space.LiveCount);
        Assert.NotEqual(pasid, system.Bind(devices[0], child));

        IAddressSpace executed = system.Processes.Exec(10, "other").Value!;
        Assert.Null(domain.Space.Find(pasid));
        Assert.Equal(1, unit.Exits);
        Assert.False(parent.IsAlive);
        Assert.Equal(Errno.ESRCH, system.Core.Bind(devices[0], parent).Errno);
        Assert.True(system.Core.Bind(devices[0], executed).IsOk);
    }

    [Fact]
    public void B8_processes_that_share_memory_share_the_PASID_until_the_last_of_them_ends()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple(2);
        system.Start(10);
        system.Processes.Fork(10, 11, shareMemory: true);

        Pasid pasid = system.Bind(devices[0], system.Processes.Open(10).Value!);
        Assert.Equal(pasid, system.Bind(devices[1], system.Processes.Open(11).Value!));

        system.Processes.Exit(10);
        Assert.NotNull(Found(devices[0], pasid));
        system.Processes.Exit(11);
        Assert.Equal(0, domain.Space.LiveCount);
        Assert.Empty(unit.BrokenPromises);
    }

    [Fact]
    public void B8_a_reused_process_id_is_another_process()
    {
        using var system = new TestSystem();
        (_, Domain domain, Device[] devices) = system.AddSimple();
        IAddressSpace old = system.Start(10);
        system.Bind(devices[0], old);
        system.Processes.Exit(10);

        IAddressSpace reused = system.Start(10);
        Pasid pasid = system.Bind(devices[0], reused);

        Assert.Same(reused, Found(devices[0], pasid));
        Assert.NotEqual(old.Id, reused.Id);
        system.Core.ProcessEnded(old);
        Assert.Equal(1, domain.Space.LiveCount);
    }

    [Theory]
    [InlineData(PasidOptions.LifetimeLastUnbind, 0)]
    [InlineData(PasidOptions.LifetimeProcessDeath, 1)]
    public void C18_when_a_PASID_returns_is_the_configured_rule(string lifetime, int liveAfterUnbind)
    {
        using var system = new TestSystem(o => o.Lifetime = lifetime);
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple();
        IAddressSpace process = system.Start(10);
        Pasid pasid = system.Bind(devices[0], process);

        Assert.True(system.Core.Unbind(devices[0], pasid).IsOk);

        Assert.Equal(liveAfterUnbind, domain.Space.LiveCount);
        Assert.Null(domain.Space.Find(pasid));
        Pasid other = system.Bind(devices[0], system.Start(11));
        Assert.Equal(liveAfterUnbind == 0, other == pasid);
        if (liveAfterUnbind == 1)
        {
            Assert.Equal(pasid, system.Bind(devices[0], process));
        }

        system.Processes.Exit(10);
        Assert.Equal(1, domain.Space.LiveCount);
        system.Processes.Exit(11);
        Assert.Equal(0, domain.Space.LiveCount);
        Assert.Equal(0, system.Core.ProcessCount);
        Assert.Equal(unit.ProcessesAllocated, unit.ProcessesFreed);
        Assert.Empty(unit.BrokenPromises);
    }

    [Theory]
    [InlineData("AttachFirst")]
    [InlineData("Detach")]
    [InlineData("Exit")]
    [InlineData("Invalidate")]
    [InlineData("AddDevice")]
    [InlineData("RemoveDevice")]
    [InlineData("FreeProcess")]
    public void C19_a_callback_that_re_enters_the_core_is_told_so(string callback)
    {
        using var system = new TestSystem();
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple();
        IAddressSpace process = system.Start(10), other = system.Start(11);
        var messages = new List<string>();
        unit.OnCall = (call, _, _) =>
        {
            if (call == callback)
            {
                messages.Add(
                    Assert.Throws<InvalidOperationException>(() => system.Core.Bind(devices[0], other)).Message);
                messages.Add(Assert.Throws<InvalidOperationException>(() =>
                    system.Core.Unbind(devices[0], new Pasid(1))).Message);
                messages.Add(Assert.Throws<InvalidOperationException>(() => system.Core.ProcessEnded(other)).Message);
                messages.Add(
                    Assert.Throws<InvalidOperationException>(() => system.Core.RemoveDevice(devices[0])).Message);

                // Lookups stay possible from everywhere.
                domain.Space.Find(new Pasid(1))?.Put();
            }

            return OpResult.Ok;
        };

        Pasid pasid = system.Bind(devices[0], process);
        Assert.True(system.Core.Invalidate(process, 0, 4096).IsOk);
        if (callback is "AddDevice" or "RemoveDevice")
        {
            Assert.True(system.Core.RemoveDevice(system.AddDevice(domain, 77)).IsOk);
        }
        else if (callback == "Exit")
        {
            system.Processes.Exit(10);
        }
        else
        {
            Assert.True(system.Core.Unbind(devices[0], pasid).IsOk);
        }

        Assert.Equal(4, messages.Count);
        Assert.All(messages, m => Assert.Contains("C19", m));
    }

    [Fact]
    public void C20_a_bind_a_lookup_and_an_unbind_read_no_other_process()
    {
        using var system = new TestSystem();
        (_, Domain domain, Device[] devices) = system.AddSimple();
        CountingAddressSpace[] others = [.. Enumerable.Range(1, 300).Select(i => new CountingAddressSpace((ulong)i))];
        Array.ForEach(others, other => system.Bind(devices[0], other));
        Array.ForEach(others, other => other.Reads = 0);

        // The 2017 code scanned all live PASIDs for a matching pid.
        Pasid pasid = system.Bind(devices[0], new CountingAddressSpace(1000));
        domain.Space.Find(pasid)!.Put();
        Assert.True(system.Core.Unbind(devices[0], pasid).IsOk);

        Assert.Equal(0, others.Sum(other => other.Reads));
        Assert.Equal(Errno.EEXIST, system.Core.Bind(devices[0], others[0]).Errno);
        Assert.NotEqual(0, others.Sum(other => other.Reads));
    }

    [Fact]
    public void B4_a_device_that_never_bound_cannot_unbind_another_devices_link()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, _, Device[] devices) = system.AddSimple(2);
        IAddressSpace process = system.Start(10);
        Pasid pasid = system.Bind(devices[0], process);

        Assert.Equal(Errno.ESRCH, system.Core.Unbind(devices[1], pasid).Errno);
        Assert.True(system.Core.UnbindAll(devices[1]).IsOk);

        Assert.Same(process, Found(devices[0], pasid));
        Assert.Equal(0, unit.Detaches);
    }

    [Fact]
    public void B4_unbind_all_ends_the_bindings_of_one_device_only()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple(2);
        IAddressSpace[] processes = [system.Start(10), system.Start(11), system.Start(12)];
        foreach (IAddressSpace process in processes)
        {
            system.Bind(devices[0], process);
        }

        Pasid shared = system.Bind(devices[1], processes[1]);

        Assert.True(system.Core.UnbindAll(devices[0]).IsOk);

        Assert.Equal(1, domain.Space.LiveCount);
        Assert.Same(processes[1], Found(devices[1], shared));
        Assert.Equal(3, unit.Detaches);
        Assert.Empty(unit.BrokenPromises);
    }

    [Fact]
    public void B6_every_device_has_its_own_exit_handler()
    {
        using var system = new TestSystem();
        (_, _, Device[] devices) = system.AddSimple(3);
        var told = new List<string>();
        devices[0].ProcessExited = (d, p, n) => told.Add("first for " + d.Name);
        devices[1].ProcessExited = (d, p, n) => told.Add("second for " + d.Name);
        devices[2].ProcessExited = (d, p, n) => told.Add("third for " + d.Name);
        IAddressSpace process = system.Start(10);
        system.Bind(devices[0], process);
        system.Bind(devices[1], process);

        system.Processes.Exit(10);

        Assert.Equal(["first for dev1", "second for dev2"], told.Order());
    }

    [Fact]
    public void The_exit_handler_runs_after_translation_stopped_before_the_PASID_is_free_and_may_unbind()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple(2);
        IAddressSpace process = system.Start(10);
        Pasid pasid = system.Bind(devices[0], process);
        system.Bind(devices[1], process);
        int exits = -1, live = -1;
        OpResult unbound = default;
        devices[0].ProcessExited = (d, _, n) =>
        {
            exits = unit.Exits;
            live = domain.Space.LiveCount;
            unbound = system.Core.Unbind(d, n);
        };
        devices[1].ProcessExited = (_, _, _) => throw new InvalidOperationException("device 2 is broken");

        AggregateException thrown = Assert.Throws<AggregateException>(() => system.Processes.Exit(10));

        Assert.Contains("device 2 is broken", thrown.Message);
        Assert.Equal((1, 1, true), (exits, live, unbound.IsOk));
        Assert.Equal(2, unit.Detaches);
        Assert.Equal(0, domain.Space.LiveCount);
        Assert.Empty(unit.BrokenPromises);
        Assert.Equal(pasid, system.Bind(devices[0], system.Start(11)));
    }

    [Fact]
    public void B7_F10_a_PASID_with_a_page_request_in_flight_is_not_allocated_again()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple();
        IAddressSpace process = system.Start(10);
        Pasid pasid = system.Bind(devices[0], process);
        PageRequest request = PageRequest.Begin(devices[0], pasid)!;

        Assert.True(system.Core.Unbind(devices[0], pasid).IsOk);
        Assert.Null(PageRequest.Begin(devices[0], pasid));
        Assert.Equal(1, domain.Space.LiveCount);
        Pasid other = system.Bind(devices[0], system.Start(11));
        Assert.NotEqual(pasid, other);
        Assert.Same(process, request.Process.AddressSpace);
        Assert.Equal(0, unit.ProcessesFreed);

        request.Dispose();
        request.Dispose();

        Assert.Equal(1, domain.Space.LiveCount);
        Assert.Equal(1, unit.ProcessesFreed);
        Assert.Equal(pasid, system.Bind(devices[0], system.Start(12)));
    }

    [Fact]
    public void F4_a_page_request_for_a_PASID_that_the_device_is_not_bound_to_touches_no_process()
    {
        using var system = new TestSystem();
        RecordingUnit unit = system.AddUnit();
        Device a = system.AddDevice(system.AddDomain(unit, "a"), 1);
        Domain second = system.AddDomain(unit, "b");
        Device b = system.AddDevice(second, 2);
        Device c = system.AddDevice(second, 3);
        IAddressSpace process = system.Start(10);
        Pasid pasid = system.Bind(a, process);
        system.Bind(c, process);

        Assert.Null(PageRequest.Begin(b, pasid));
        Assert.Null(PageRequest.Begin(a, new Pasid(77)));
        using PageRequest? own = PageRequest.Begin(a, pasid);
        Assert.NotNull(own);
    }

    [Theory]
    [InlineData("Detach")]
    [InlineData("Exit")]
    public void A_PASID_whose_invalidation_did_not_complete_never_returns(string failing)
    {
        using var system = new TestSystem();
        (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple();
        Pasid pasid = system.Bind(devices[0], system.Start(10));
        unit.OnCall = (call, _, _) => call == failing ? OpResult.Refuse(Errno.ETIMEDOUT, "queue is stuck")
            : OpResult.Ok;

        if (failing == "Detach")
        {
            Assert.Equal(Errno.ETIMEDOUT, system.Core.Unbind(devices[0], pasid).Errno);
        }
        else
        {
            system.Processes.Exit(10);
        }

        unit.OnCall = (_, _, _) => OpResult.Ok;
        Assert.Equal(1, domain.Space.RetiredCount);
        Assert.Equal(0, unit.Entries);
        Assert.Equal(0, system.Core.ProcessCount);
        Assert.NotEqual(pasid, system.Bind(devices[0], system.Start(11)));
    }

    [Fact]
    public void Invalidate_reaches_every_link_of_the_process_and_no_other()
    {
        using var system = new TestSystem();
        (RecordingUnit unit, _, Device[] devices) = system.AddSimple(2);
        RecordingUnit second = system.AddUnit();
        Device third = system.AddDevice(system.AddDomain(second), 1);
        IAddressSpace process = system.Start(10), other = system.Start(11);
        Pasid pasid = system.Bind(devices[0], process);
        system.Bind(devices[1], process);
        system.Bind(third, process);
        system.Bind(devices[0], other);

        Assert.True(system.Core.Invalidate(process, 0x1000, 0x1000).IsOk); // empty: no unit is called
        Assert.True(system.Core.Invalidate(process, 0x1000, 0x3000).IsOk);

        Assert.Equal([$"Invalidate {pasid} [0x1000, 0x2fff]"], unit.Log.Where(l => l.StartsWith("Invalidate")));
        Assert.Single(second.Log, l => l.StartsWith("Invalidate"));
    }

    [Fact]
    public void A3_reserved_PASIDs_of_options_and_drivers_are_never_allocated()
    {
        using var system = new TestSystem(o =>
        {
            o.First = 0;
            o.Last = 7;
            o.Reserved.Add(2);
        });
        RecordingUnit unit = system.AddUnit(new RecordingUnit { ReservedPasids = [new Pasid(0), new Pasid(5)] });
        Device device = system.AddDevice(system.AddDomain(unit), 1);

        uint[] pasids = [.. Enumerable.Range(10, 5).Select(pid => system.Bind(device, system.Start(pid)).Value)];

        Assert.Equal([1u, 3u, 4u, 6u, 7u], pasids);
        Assert.Equal(Errno.ENOSPC, system.Core.Bind(device, system.Start(20)).Errno);
    }

    [Fact]
    public void A3_a_unit_that_reserves_a_live_PASID_is_refused()
    {
        using var system = new TestSystem();
        (_, _, Device[] devices) = system.AddSimple();
        Assert.Equal(1u, system.Bind(devices[0], system.Start(10)).Value);
        RecordingUnit late = system.AddUnit(new RecordingUnit { ReservedPasids = [new Pasid(1)] });

        OpResult<Domain> made = system.Core.CreateDomain(system.Core.Instances[1], "late", 20);

        Assert.Equal(Errno.EBUSY, made.Errno);
        Assert.Empty(late.Log);
    }

    [Fact]
    public void A12_an_allocator_is_replaced_only_while_no_PASID_is_live()
    {
        using var system = new TestSystem();
        RecordingUnit unit = system.AddUnit(new RecordingUnit { ReservedPasids = [new Pasid(0), new Pasid(1)] });
        Domain domain = system.AddDomain(unit);
        Device device = system.AddDevice(domain, 1);
        Pasid pasid = system.Bind(device, system.Start(10));

        OpResult refused = domain.Space.ReplaceAllocator(new TopDownPasidAllocator(new PasidRange(1, 255)));
        Assert.Equal(Errno.EBUSY, refused.Errno);
        Assert.Equal("lowest", domain.Space.AllocatorName);

        Assert.True(system.Core.Unbind(device, pasid).IsOk);
        Assert.True(domain.Space.ReplaceAllocator(new LowestPasidAllocator(new PasidRange(1, 255))).IsOk);

        // The driver's reservation of 1 went along.
        Assert.Equal(2u, system.Bind(device, system.Start(11)).Value);
    }

    [Fact]
    public void A12_a_replaced_allocator_keeps_range_reservations_quarantine_and_quota()
    {
        using var system = new TestSystem(o =>
        {
            o.First = 16;
            o.Last = 255;
            o.Reserved.Add(17);
            o.QuarantineFrees = 1;
            o.QuotaPerTenant = 1;
        });
        (_, Domain domain, Device[] devices) = system.AddSimple();

        Assert.Equal(Errno.EINVAL,
            domain.Space.ReplaceAllocator(new LowestPasidAllocator(new PasidRange(2, 255))).Errno);
        Assert.Equal(Errno.EINVAL,
            domain.Space.ReplaceAllocator(new LowestPasidAllocator(new PasidRange(16, 256))).Errno);
        Assert.Equal(Errno.EINVAL,
            domain.Space.ReplaceAllocator(new LowestPasidAllocator(new PasidRange(16, 17))).Errno);
        Assert.True(domain.Space.ReplaceAllocator(new LowestPasidAllocator(new PasidRange(16, 63))).IsOk);

        Pasid first = system.Bind(devices[0], system.Start(10, "red"));
        Assert.Equal(Errno.ENOSPC, system.Core.Bind(devices[0], system.Start(11, "red")).Errno);
        Assert.Equal(18u, system.Bind(devices[0], system.Start(12)).Value);
        Assert.True(system.Core.Unbind(devices[0], first).IsOk);
        Assert.Equal(19u, system.Bind(devices[0], system.Start(13)).Value);
    }

    [Fact]
    public void Disposing_the_core_ends_bindings_removes_devices_and_domains_and_disposes_units()
    {
        var system = new TestSystem();
        (RecordingUnit unit, _, Device[] devices) = system.AddSimple(2);
        system.Bind(devices[0], system.Start(10));
        system.Bind(devices[1], system.Start(11));

        system.Core.Dispose();

        Assert.Equal(0, unit.Entries);
        Assert.Equal(2, unit.ProcessesFreed);
        Assert.Equal(
            ["RemoveDevice dev1", "RemoveDevice dev2", "RemoveDomain domain", "Dispose"],
            unit.Log.Where(l => l.StartsWith("Remove", StringComparison.Ordinal) || l == "Dispose"));
        Assert.Empty(unit.BrokenPromises);
        system.Dispose();
    }

    [Fact]
    public void C6_every_nth_failure_of_a_bind_leaves_the_system_as_it_was()
    {
        int n = 0;
        bool failed;
        do
        {
            using var system = new TestSystem();
            (RecordingUnit unit, Domain domain, Device[] devices) = system.AddSimple(2);
            RecordingUnit second = system.AddUnit();
            Device third = system.AddDevice(system.AddDomain(second), 1);
            IAddressSpace process = system.Start(10);
            int calls = 0;
            failed = false;
            OpResult Fail(string call, IommuContext? context, Device? device)
            {
                if (calls++ == n && call is not ("Detach" or "Exit"))
                {
                    failed = true;
                    return OpResult.Refuse(Errno.ENOMEM, "n-th failure");
                }

                return OpResult.Ok;
            }

            unit.OnCall = Fail;
            second.OnCall = Fail;
            int bound = 0;
            foreach (Device device in new[] { devices[0], devices[1], third })
            {
                bound += system.Core.Bind(device, process).IsOk ? 1 : 0;
            }

            Assert.Equal(failed ? 2 : 3, bound);
            system.Processes.Exit(10);
            Assert.Equal(0, domain.Space.LiveCount);
            Assert.Equal(0, system.Core.ProcessCount);
            Assert.Equal(0, unit.Entries + second.Entries);
            Assert.Equal(unit.ProcessesAllocated, unit.ProcessesFreed);
            Assert.Equal(second.ProcessesAllocated, second.ProcessesFreed);
            Assert.Equal(unit.AttachSuccesses, unit.Detaches);
            Assert.Empty(unit.BrokenPromises.Concat(second.BrokenPromises));
            n++;
        }
        while (failed);

        // allocate, attach, attach; allocate, attach: five points of failure and one run without.
        Assert.Equal(6, n);
    }

    private sealed class CountingAddressSpace(ulong id) : IAddressSpace
    {
        public int Reads { get; set; }
        public AddressSpaceId Id => Read(new AddressSpaceId(id));
        public int Pid => Read((int)id);
        public string Name => Read("counted");
        public ulong PageTableRoot => Read(0x1000UL);
        public string Tenant => Read(string.Empty);
        public bool IsKernelThread => Read(false);
        public bool IsAlive => Read(true);

        private T Read<T>(T value)
        {
            Reads++;
            return value;
        }
    }

    private static IAddressSpace? Found(Device device, Pasid pasid)
    {
        IommuProcess? process = device.Domain.Space.Find(pasid);
        process?.Put();
        return process?.AddressSpace;
    }

    private static string Last(string line) => line.Split(' ')[^1];
}
