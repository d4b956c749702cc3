// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Allocation;
using PasidFramework.Identifiers;

namespace PasidFramework.Conformance.Tests.Flaws;

/// <summary>Passes everything on.</summary>
internal abstract class PassingAllocator(IPasidAllocator inner) : IPasidAllocator
{
    protected IPasidAllocator Inner { get; } = inner;
    public string Name => Inner.Name;
    public PasidRange Range => Inner.Range;
    public virtual int LiveCount => Inner.LiveCount;
    public virtual PasidAllocation Allocate(in PasidRequest request) => Inner.Allocate(request);
    public virtual PasidFreeStatus Free(Pasid pasid) => Inner.Free(pasid);
    public virtual bool TryReserve(Pasid pasid) => Inner.TryReserve(pasid);
    public bool IsLive(Pasid pasid) => Inner.IsLive(pasid);
}

internal sealed class IgnoresRequestedRange(IPasidAllocator inner) : PassingAllocator(inner)
{
    public override PasidAllocation Allocate(in PasidRequest request) => Inner.Allocate(new PasidRequest(Range));
}

internal sealed class ReservesNothing(IPasidAllocator inner) : PassingAllocator(inner)
{
    public override bool TryReserve(Pasid pasid) => true;
}

internal sealed class SaysInvalidWhenFull(IPasidAllocator inner) : PassingAllocator(inner)
{
    public override PasidAllocation Allocate(in PasidRequest request)
    {
        PasidAllocation made = Inner.Allocate(request);
        return made.Status == PasidAllocationStatus.NoSpace
            ? PasidAllocation.None(PasidAllocationStatus.InvalidRange)
            : made;
    }
}

internal sealed class FreesAnything(IPasidAllocator inner) : PassingAllocator(inner)
{
    public override PasidFreeStatus Free(Pasid pasid)
    {
        _ = Inner.Free(pasid);
        return PasidFreeStatus.Freed;
    }
}

internal sealed class NeverGivesAgain(IPasidAllocator inner) : PassingAllocator(inner)
{
    private int _lost;
    public override int LiveCount => Inner.LiveCount - _lost;

    public override PasidFreeStatus Free(Pasid pasid)
    {
        if (!Inner.IsLive(pasid))
        {
            return PasidFreeStatus.NotAllocated;
        }

        _lost++;
        return PasidFreeStatus.Freed;
    }
}

internal sealed class ForgetsTheLast(IPasidAllocator inner) : PassingAllocator(inner)
{
    public override PasidAllocation Allocate(in PasidRequest request) => request.Range.Count > 1
        ? Inner.Allocate(request with { Range = request.Range with { Last = request.Range.Last - 1 } })
        : Inner.Allocate(request);
}

/// <summary>Checks and takes in two steps, without anything between threads.</summary>
internal sealed class Unguarded(PasidRange range) : IPasidAllocator
{
    private readonly bool[] _live = new bool[Pasid.MaxValue + 1];
    public string Name => "unguarded";
    public PasidRange Range => range;
    public int LiveCount => _live.Count(l => l);

    public PasidAllocation Allocate(in PasidRequest request)
    {
        PasidRange usable = request.Range.Intersect(range);
        for (uint n = usable.First; n <= usable.Last; n++)
        {
            if (!_live[n])
            {
                Thread.Yield();
                _live[n] = true;
                return PasidAllocation.Of(n);
            }
        }

        return PasidAllocation.None(PasidAllocationStatus.NoSpace);
    }

    public PasidFreeStatus Free(Pasid pasid)
    {
        bool was = _live[pasid.Value];
        _live[pasid.Value] = false;
        return was ? PasidFreeStatus.Freed : PasidFreeStatus.NotAllocated;
    }

    public bool TryReserve(Pasid pasid) => !_live[pasid.Value];
    public bool IsLive(Pasid pasid) => _live[pasid.Value];
}

/// <summary>Each one begins somewhere else.</summary>
internal sealed class DiffersEachTime : PassingAllocator
{
    private static uint s_next;
    private readonly uint _from;

    public DiffersEachTime(IPasidAllocator inner)
        : base(inner) => _from = Interlocked.Increment(ref s_next) % 40;

    public override PasidAllocation Allocate(in PasidRequest request)
    {
        PasidRange range = request.Range;
        PasidAllocation made = range.Count > _from + 1
            ? Inner.Allocate(request with { Range = range with { First = range.First + _from } })
            : Inner.Allocate(request);
        return made.IsAllocated ? made : Inner.Allocate(request);
    }
}
