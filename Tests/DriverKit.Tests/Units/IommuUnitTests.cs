// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Tests.Units;

public sealed class IommuUnitTests : IDisposable
{
    private const ulong Root = 0x7000;
    private static readonly RequesterId s_nic = new(8);
    private static readonly RequesterId s_gpu = new(9);
    private readonly CommandPort _port = new();

    [Fact]
    public void A_detach_after_an_exit_clears_the_entry_and_invalidates_nothing_twice()
    {
        using MinimalUnit unit = Started(out MinimalDomain domain, out UnitDevice nic, out UnitDevice gpu);
        UnitLink? link = Attached(unit, domain, nic, gpu);
        _port.Sent.Clear();

        Assert.True(domain.Exit(link).IsOk);
        Assert.Equal(["entry 5", "translations 1", "tlb 8 5", "tlb 9 5"], _port.Sent);
        _port.Sent.Clear();
        Assert.True(domain.Detach(gpu, last: false, ref link).IsOk);
        Assert.Empty(_port.Sent);
        Assert.True(domain.Detach(nic, last: true, ref link).IsOk);
        Assert.Equal(["entry 5"], _port.Sent);
        Assert.Null(link);
    }

    [Fact]
    public void A_detach_after_an_exit_that_was_not_confirmed_makes_up_for_it_and_the_tag_is_retired()
    {
        using MinimalUnit unit = Started(out MinimalDomain domain, out UnitDevice nic, out UnitDevice gpu);
        UnitLink? link = Attached(unit, domain, nic, gpu, out UnitProcess? process);
        _port.FailAfter = 2;
        Assert.Equal(Errno.ETIMEDOUT, domain.Exit(link).Errno);
        _port.Sent.Clear();

        Assert.True(domain.Detach(gpu, last: false, ref link).IsOk);
        Assert.True(domain.Detach(nic, last: true, ref link).IsOk);
        Assert.Equal(["tlb 9 5", "entry 5", "translations 1", "tlb 8 5", "tlb 9 5"], _port.Sent);
        unit.FreeProcess(process);
        Assert.Equal(1, unit.LiveAsids);
    }

    [Fact]
    public void An_invalidation_that_was_not_confirmed_retires_the_tag_and_a_refusal_does_not()
    {
        var process = new UnitProcess(4);
        process.TaintIfUnconfirmed(OpResult.Refuse(Errno.ENOMEM, "no leaf"));
        Assert.False(process.IsTainted);
        Assert.Equal(Errno.EIO, process.TaintIfUnconfirmed(OpResult.Refuse(Errno.EIO, "error")).Errno);
        Assert.True(process.IsTainted);
    }

    [Theory]
    [InlineData(4096ul, 4096ul, 3), InlineData(0ul, ulong.MaxValue, 3), InlineData(0ul, 4095ul, 3)]
    public void A_range_of_one_byte_is_invalidated_like_any_other(ulong first, ulong last, int commands)
    {
        using MinimalUnit unit = Started(out MinimalDomain domain, out UnitDevice nic, out UnitDevice gpu);
        UnitLink? link = Attached(unit, domain, nic, gpu);
        _port.Sent.Clear();
        Assert.True(domain.Invalidate(link, new IovaRange(first, last)).IsOk);
        Assert.Equal(commands, _port.Sent.Count);
    }

    [Fact]
    public void Every_failure_at_any_place_leaves_no_memory_and_no_tag_behind()
    {
        int failures = 0;
        for (int place = 0; ; place++)
        {
            var port = new CommandPort { FailAfter = place };
            var unit = new MinimalUnit(Setup(port), port);
            int live = 0;
            if (unit.Start().IsOk)
            {
                live = Use(unit);
                unit.Dispose();
            }

            if (!port.HasFailed)
            {
                break;
            }

            failures++;
            Assert.InRange(live, 0, 1);
            bool failedToStop = port.Sent[^1] == "off" && port.Sent.Count == place - 1;
            Assert.True(failedToStop || port.AllocatedBytes == 0,
                $"place {place}: {port.AllocatedBytes} bytes are left");
        }

        Assert.InRange(failures, 15, 40);
    }

    [Fact]
    public void A_table_that_the_hardware_may_walk_is_kept_until_the_unit_is_off()
    {
        MinimalUnit unit = Started(out MinimalDomain domain, out UnitDevice nic, out UnitDevice gpu);
        Assert.True(unit.RemoveDevice(domain, gpu).IsOk);
        _port.FailAfter = 0;
        Assert.False(unit.RemoveDevice(domain, nic).IsOk);
        long before = _port.AllocatedBytes;
        unit.RemoveDomain(domain);
        Assert.Equal((before, 4096L), (_port.AllocatedBytes, unit.Statistics.PasidTableBytes));
        unit.Dispose();
        Assert.Equal(0, _port.AllocatedBytes);
    }

    [Fact]
    public void Nothing_is_freed_where_the_hardware_does_not_stop()
    {
        MinimalUnit unit = Started(out _, out _, out _);
        (_port.FailAfter, _port.Stuck) = (0, true);
        long before = _port.AllocatedBytes;
        unit.Dispose();
        unit.Dispose();
        Assert.Equal(before, _port.AllocatedBytes);
        Assert.Single(_port.Sent, "off");
    }

    [Fact]
    public void A_connection_that_was_not_confirmed_is_rolled_back()
    {
        using MinimalUnit unit = Started(out MinimalDomain domain, out _, out _);
        _port.Sent.Clear();
        _port.FailAfter = 0;
        Assert.Equal(Errno.ETIMEDOUT, unit.AddDevice(domain, new RequesterId(10), DeviceFeatures.Ats).Errno);
        Assert.Equal(["device", "device"], _port.Sent);
        Assert.Equal((2, false), (domain.Devices.Length, domain.MayBeWalked));
        (_port.FailAfter, _port.Stuck) = (0, true);
        Assert.False(unit.AddDevice(domain, new RequesterId(10), DeviceFeatures.Ats).IsOk);
        Assert.Equal((2, true), (domain.Devices.Length, domain.MayBeWalked));
        _port.Stuck = false;
    }

    [Fact]
    public void Widths_tags_and_misuse_are_refused()
    {
        using MinimalUnit unit = Started(out MinimalDomain domain, out UnitDevice nic, out _);
        Assert.Equal(Errno.EINVAL, unit.AddDomain(2, 0).Errno);
        Assert.Equal(Errno.EINVAL, unit.AddDomain(2, 9).Errno);
        Assert.Equal([1u, 2u, 3u], Enumerable.Range(0, 3).Select(_ => unit.AllocateProcess().Value!.Tag));
        Assert.Equal(Errno.ENOSPC, unit.AllocateProcess().Errno);
        unit.FreeProcess(new UnitProcess(2));
        Assert.Throws<ArgumentException>(() => unit.FreeProcess(new UnitProcess(2)));
        Assert.Equal(2u, unit.AllocateProcess().Value!.Tag);
        UnitLink? none = null;
        Assert.Throws<ArgumentException>(() => domain.Exit(none));
        Assert.Throws<ArgumentException>(() => domain.Detach(nic, last: true, ref none));
    }

    [Fact]
    public void Attach_and_detach_allocate_nothing_once_they_have_run()
    {
        var port = new QuietDomain();
        UnitLink? link = null;
        var device = new UnitDevice(s_nic, hasTlb: false);
        long before = 0;
        for (int round = 0; round < 100; round++)
        {
            if (round == 1)
            {
                before = GC.GetAllocatedBytesForCurrentThread();
            }

            port.Attach(new Pasid(5), Root, null, device, first: true, ref link);
            port.Exit(link);
            port.Detach(device, last: true, ref link);
        }

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    public void Dispose() => _port.Dispose();

    private static UnitSetup Setup(CommandPort port) => new() { Name = "unit0", Hardware = port };

    // Goes on after a failure as the core does; says how many tags are left.
    private static int Use(MinimalUnit unit)
    {
        OpResult<MinimalDomain> domain = unit.AddDomain(1, 8);
        if (!domain.IsOk)
        {
            return 0;
        }

        OpResult<UnitDevice> device = unit.AddDevice(domain.Value, s_nic, DeviceFeatures.Ats);
        if (device.IsOk)
        {
            UnitProcess? process = unit.AllocateProcess().Value;
            UnitLink? link = null;
            for (int round = 0; round < 2; round++)
            {
                if (domain.Value.Attach(new Pasid(5), Root, process, device.Value, first: true, ref link).IsOk)
                {
                    domain.Value.Invalidate(link, new IovaRange(0, 4095));
                    _ = round == 0 ? OpResult.Ok : domain.Value.Exit(link);
                    domain.Value.Detach(device.Value, last: true, ref link);
                }
            }

            unit.FreeProcess(process);
            unit.RemoveDevice(domain.Value, device.Value);
        }

        unit.RemoveDomain(domain.Value);
        return unit.LiveAsids;
    }

    private MinimalUnit Started(out MinimalDomain domain, out UnitDevice nic, out UnitDevice gpu)
    {
        var unit = new MinimalUnit(Setup(_port), _port);
        Assert.True(unit.Start().IsOk);
        domain = unit.AddDomain(1, 8).Value!;
        nic = unit.AddDevice(domain, s_nic, DeviceFeatures.Ats).Value!;
        gpu = unit.AddDevice(domain, s_gpu, DeviceFeatures.Ats).Value!;
        return unit;
    }

    private static UnitLink? Attached(MinimalUnit unit, MinimalDomain domain, UnitDevice first, UnitDevice second) =>
        Attached(unit, domain, first, second, out _);

    private static UnitLink? Attached(
        MinimalUnit unit, MinimalDomain domain, UnitDevice first, UnitDevice second, out UnitProcess? process)
    {
        UnitLink? link = null;
        process = unit.AllocateProcess().Value;
        Assert.True(domain.Attach(new Pasid(5), Root, process, first, first: true, ref link).IsOk);
        Assert.True(domain.Attach(new Pasid(5), Root, process, second, first: false, ref link).IsOk);
        return link;
    }

    private sealed class QuietDomain : UnitDomain<UnitDevice>
    {
        protected override OpResult Install(UnitLink link) => OpResult.Ok;
        protected override OpResult Quiet(UnitLink link) => OpResult.Ok;
        protected override OpResult Clear(UnitLink link) => OpResult.Ok;
        protected override OpResult InvalidateRange(UnitLink link, IovaRange range) => OpResult.Ok;
    }
}
