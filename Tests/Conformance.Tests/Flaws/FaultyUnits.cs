// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Allocation;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;

namespace PasidFramework.Conformance.Tests.Flaws;

internal sealed class FaultyAllocatorUnit(IIommuUnit inner, Func<PasidRange, IPasidAllocator, IPasidAllocator> bend)
    : PassingUnit(inner)
{
    public override IPasidAllocator? CreateAllocator(PasidRange range) => bend(range, Inner.CreateAllocator(range)!);
}

internal sealed class RefusesLast(IIommuUnit inner) : PassingUnit(inner)
{
    public override OpResult Attach(IommuContext context, Device device, bool first) =>
        context.Pasid.Value == (1u << context.Domain.PasidBits) - 1
            ? OpResult.Refuse(Errno.EINVAL, "the last PASID is one too many")
            : Inner.Attach(context, device, first);
}

internal sealed class ReservesLate(IIommuUnit inner) : PassingUnit(inner)
{
    private bool _hasDomain;
    public override IReadOnlyList<Pasid> ReservedPasids => _hasDomain ? [new Pasid(5)] : [];

    public override OpResult AddDomain(Domain domain)
    {
        _hasDomain = true;
        return Inner.AddDomain(domain);
    }
}

internal sealed class OneByteIsEmpty(IIommuUnit inner) : PassingUnit(inner)
{
    public override OpResult Invalidate(IommuContext context, IovaRange range) =>
        range.First == range.Last ? OpResult.Ok : Inner.Invalidate(context, range);
}

internal sealed class OneShortInvalidation(IIommuUnit inner) : PassingUnit(inner)
{
    public override OpResult Invalidate(IommuContext context, IovaRange range) => Inner.Invalidate(
        context,
        range.Last - range.First >= 0x1000 && range.Last != ulong.MaxValue
            ? range with { Last = range.Last - 0x1000 }
            : range);
}

internal sealed class FirstIsLast(IIommuUnit inner) : PassingUnit(inner)
{
    public override OpResult Detach(IommuContext context, Device device, bool last)
    {
        if (last && context.DriverState is "gone")
        {
            return OpResult.Ok;
        }

        OpResult result = Inner.Detach(context, device, last: true);
        context.DriverState = last ? null : "gone";
        return result;
    }

    public override OpResult Exit(IommuContext context) =>
        context.DriverState is "gone" ? OpResult.Ok : Inner.Exit(context);
}

internal sealed class NoExit(IIommuUnit inner) : PassingUnit(inner)
{
    public override OpResult Exit(IommuContext context) => OpResult.Ok;
}

internal sealed class LeaksAPage(IIommuUnit inner, IIommuHardware hardware) : PassingUnit(inner)
{
    public override OpResult Attach(IommuContext context, Device device, bool first)
    {
        _ = hardware.Memory.AllocatePages(4096);
        return Inner.Attach(context, device, first);
    }
}

internal sealed class OneDomainAProcess(IIommuUnit inner) : PassingUnit(inner)
{
    private readonly Dictionary<IommuProcess, Domain> _first = [];

    public override OpResult Attach(IommuContext context, Device device, bool first) =>
        !_first.TryAdd(context.Process, context.Domain) && _first[context.Process] != context.Domain
            ? OpResult.Ok
            : Inner.Attach(context, device, first);

    public override OpResult Detach(IommuContext context, Device device, bool last) =>
        _first[context.Process] != context.Domain ? OpResult.Ok : Inner.Detach(context, device, last);

    public override OpResult Exit(IommuContext context) =>
        _first[context.Process] != context.Domain ? OpResult.Ok : Inner.Exit(context);

    public override OpResult Invalidate(IommuContext context, IovaRange range) =>
        _first[context.Process] != context.Domain ? OpResult.Ok : Inner.Invalidate(context, range);
}

internal sealed class KeepsDevices(IIommuUnit inner) : PassingUnit(inner)
{
    private readonly List<Device> _kept = [];
    public override void RemoveDevice(Device device) => _kept.Add(device);

    public override OpResult AddDevice(Device device)
    {
        if (_kept.Find(d => d.Requester == device.Requester) is { } old)
        {
            Inner.RemoveDevice(old);
            _kept.Remove(old);
        }

        return Inner.AddDevice(device);
    }

    public override void RemoveDomain(Domain domain)
    {
        foreach (Device device in _kept.Where(d => d.Domain == domain).ToArray())
        {
            Inner.RemoveDevice(device);
            _kept.Remove(device);
        }

        Inner.RemoveDomain(domain);
    }
}

internal sealed class NeverFreesProcesses(IIommuUnit inner) : PassingUnit(inner)
{
    public override void FreeProcess(IommuProcess process, object? driverProcess)
    {
        // Whatever tags it has stay taken.
    }
}

internal sealed class ForgetsOneInSeven(IIommuUnit inner) : PassingUnit(inner)
{
    private int _count;

    public override OpResult Invalidate(IommuContext context, IovaRange range) =>
        ++_count % 7 == 0 ? OpResult.Ok : Inner.Invalidate(context, range);
}

internal sealed class OneSpaceInDisguise(IIommuUnit inner) : PassingUnit(inner)
{
    private readonly Dictionary<Pasid, IommuContext> _taken = [];

    public override OpResult Attach(IommuContext context, Device device, bool first)
    {
        if (_taken.TryGetValue(context.Pasid, out IommuContext? other) && other.Process != context.Process)
        {
            return OpResult.Refuse(Errno.EEXIST, "another domain has the PASID");
        }

        _taken[context.Pasid] = context;
        return Inner.Attach(context, device, first);
    }
}

internal sealed class AlwaysWide(IIommuUnit inner) : PassingUnit(inner)
{
    public override int PasidBits => Pasid.MaxBits;
}

internal sealed class FaultyFaults(IIommuUnit inner, Func<IommuFault, IommuFault> bend) : PassingUnit(inner)
{
    public override OpResult TakeFaults(ICollection<IommuFault> faults)
    {
        List<IommuFault> found = [];
        OpResult taken = Inner.TakeFaults(found);
        foreach (IommuFault fault in found)
        {
            faults.Add(bend(fault));
        }

        return taken;
    }
}

internal sealed class TakesTwice(IIommuUnit inner) : PassingUnit(inner)
{
    private readonly List<IommuFault> _last = [];

    public override OpResult TakeFaults(ICollection<IommuFault> faults)
    {
        List<IommuFault> found = [];
        OpResult taken = Inner.TakeFaults(found);
        foreach (IommuFault fault in _last.Concat(found).ToArray())
        {
            faults.Add(fault);
        }

        _last.Clear();
        _last.AddRange(found);
        return taken;
    }
}

internal sealed class StopsAfterOverflow(IIommuUnit inner) : PassingUnit(inner)
{
    private bool _stopped;

    public override OpResult TakeFaults(ICollection<IommuFault> faults)
    {
        if (_stopped)
        {
            return OpResult.Ok;
        }

        OpResult taken = Inner.TakeFaults(faults);
        _stopped = taken.Errno == Errno.EOVERFLOW;
        return taken;
    }
}

internal sealed class NamesTheFirstDevice(IIommuUnit inner) : PassingUnit(inner)
{
    private RequesterId? _first;

    public override OpResult AddDevice(Device device)
    {
        _first ??= device.Requester;
        return Inner.AddDevice(device);
    }

    public override OpResult TakeFaults(ICollection<IommuFault> faults)
    {
        List<IommuFault> found = [];
        OpResult taken = Inner.TakeFaults(found);
        foreach (IommuFault fault in found)
        {
            faults.Add(fault with { Requester = _first });
        }

        return taken;
    }
}

internal sealed class DetachIsAlwaysFine(IIommuUnit inner) : PassingUnit(inner)
{
    public override OpResult Detach(IommuContext context, Device device, bool last)
    {
        _ = Inner.Detach(context, device, last);
        return OpResult.Ok;
    }
}

/// <summary>Two callbacks at once, and one of them is forgotten. Each waits a while for the other.</summary>
internal sealed class ForgetsWhenBusy(IIommuUnit inner) : PassingUnit(inner)
{
    private int _inside;

    public override OpResult Attach(IommuContext context, Device device, bool first) =>
        Alone() ? Inner.Attach(context, device, first) : OpResult.Ok;

    private bool Alone()
    {
        bool alone = Interlocked.Increment(ref _inside) == 1;
        for (int i = 0; i < 200 && alone; i++)
        {
            Thread.Yield();
            alone = Volatile.Read(ref _inside) == 1;
        }

        Interlocked.Decrement(ref _inside);
        return alone;
    }
}

internal sealed class NotAfterExit(IIommuUnit inner) : PassingUnit(inner)
{
    private readonly HashSet<IommuContext> _exited = [];

    public override OpResult Exit(IommuContext context)
    {
        lock (_exited)
        {
            _exited.Add(context);
        }

        return Inner.Exit(context);
    }

    public override OpResult Detach(IommuContext context, Device device, bool last)
    {
        lock (_exited)
        {
            return _exited.Contains(context) ? OpResult.Ok : Inner.Detach(context, device, last);
        }
    }
}

/// <summary>Clears without an invalidation, and leaves devices time to probe.</summary>
internal sealed class SlowDetach(IIommuUnit inner) : PassingUnit(inner)
{
    public override OpResult Detach(IommuContext context, Device device, bool last)
    {
        for (int i = 0; i < 50; i++)
        {
            Thread.Yield();
        }

        return Inner.Detach(context, device, last);
    }
}

internal sealed class OtherName(IIommuUnit inner) : PassingUnit(inner)
{
    public override string Name => "unit";
}

#pragma warning disable CA2215 // That is the flaw.
internal sealed class NeverEnds(IIommuUnit inner) : PassingUnit(inner)
{
    public override void Dispose()
    {
        // Memory and tables stay.
    }
}
#pragma warning restore CA2215

internal sealed class OneOfAKind : PassingUnit
{
    private static IIommuUnit? s_latest;
    private readonly IIommuUnit _me;

    public OneOfAKind(IIommuUnit inner)
        : base(inner)
    {
        _me = inner;
        s_latest = inner;
    }

    public override OpResult Detach(IommuContext context, Device device, bool last) => s_latest == _me
        ? Inner.Detach(context, device, last)
        : OpResult.Refuse(Errno.EIO, "the driver works for another unit now");
}

/// <summary>An invalidation of a range clears the entry, and the caches are not invalidated: until they forget, all
/// probes well.</summary>
internal sealed class ClearsQuietly(IIommuUnit inner, FaultyStores stores) : PassingUnit(inner)
{
    public override OpResult Invalidate(IommuContext context, IovaRange range)
    {
        stores.ClearAll();
        return Inner.Invalidate(context, range);
    }
}

internal sealed class Narrow(IIommuUnit inner) : PassingUnit(inner)
{
    public override int PasidBits => Math.Min(7, Inner.PasidBits);
}
