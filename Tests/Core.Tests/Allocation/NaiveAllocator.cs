// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Core.Tests.Allocation;

/// <summary>Says which of the free PASIDs of [first, last] a policy takes; null for none.</summary>
internal abstract class NaivePolicy
{
    public abstract uint? Choose(SortedSet<uint> free, uint first, uint last);
}

internal sealed class NaiveLowest : NaivePolicy
{
    public override uint? Choose(SortedSet<uint> free, uint first, uint last) =>
        free.Cast<uint?>().FirstOrDefault(n => n >= first && n <= last);
}

internal sealed class NaiveTopDown : NaivePolicy
{
    public override uint? Choose(SortedSet<uint> free, uint first, uint last) =>
        free.Reverse().Cast<uint?>().FirstOrDefault(n => n >= first && n <= last);
}

/// <summary>The kernel's two searches, word by word: from max(next, start), then from start.</summary>
internal sealed class NaiveCyclic : NaivePolicy
{
    private uint _next;

    public override uint? Choose(SortedSet<uint> free, uint first, uint last)
    {
        uint from = Math.Max(_next, first);
        uint? found = free.Cast<uint?>().FirstOrDefault(n => n >= from && n <= last)
            ?? free.Cast<uint?>().FirstOrDefault(n => n >= first && n <= last);
        _next = found + 1 ?? _next;
        return found;
    }
}

internal sealed class NaiveRandom(ulong seed) : NaivePolicy
{
    private ulong _draws;

    public override uint? Choose(SortedSet<uint> free, uint first, uint last)
    {
        // SplitMix64 as a function of the number of the draw, instead of a running state.
        ulong z = seed + ((_draws + 1) * 0x9E3779B97F4A7C15UL);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9UL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBUL;
        z ^= z >> 31;
        uint start = first + (uint)(((UInt128)z * (last - first + 1)) >> 64);
        uint? found = free.Cast<uint?>().FirstOrDefault(n => n >= start && n <= last)
            ?? free.Cast<uint?>().FirstOrDefault(n => n >= first && n <= last);
        _draws += found is null ? 0UL : 1;
        return found;
    }
}

/// <summary>A host that gives its smallest PASID, whatever the guest wants.</summary>
internal sealed class NaiveDelegate : NaivePolicy
{
    public override uint? Choose(SortedSet<uint> free, uint first, uint last) =>
        free.Count > 0 && free.Min >= first && free.Min <= last ? free.Min : null;
}

/// <summary>
/// The allocator contract written as plainly as possible, decorators included: what the real ones are compared with.
/// </summary>
internal sealed class NaiveAllocator
{
    private readonly PasidRange _range;
    private readonly NaivePolicy _policy;
    private readonly int _quarantine;
    private readonly int _quota;
    private readonly SortedSet<uint> _free = [];
    private readonly SortedSet<uint> _reserved = [];
    private readonly SortedDictionary<uint, int> _ownerOfLive = [];
    private readonly List<(uint Pasid, int FurtherFrees)> _waiting = [];

    public NaiveAllocator(PasidRange range, NaivePolicy policy, int quarantine = 0, int quota = int.MaxValue)
    {
        _range = range;
        _policy = policy;
        _quarantine = quarantine;
        _quota = quota;
        for (long n = range.First; n <= range.Last; n++)
        {
            _free.Add((uint)n);
        }
    }

    public IReadOnlyCollection<uint> Live => _ownerOfLive.Keys;
    public int WaitingCount => _waiting.Count;

    public PasidAllocation Allocate(PasidRequest request)
    {
        uint first = Math.Max(request.Range.First, _range.First);
        uint last = Math.Min(request.Range.Last, _range.Last);
        if (request.Range.IsEmpty || _range.IsEmpty || first > last)
        {
            return PasidAllocation.None(PasidAllocationStatus.InvalidRange);
        }

        if (request.Owner != 0 && _ownerOfLive.Values.Count(o => o == request.Owner) >= _quota)
        {
            return PasidAllocation.None(PasidAllocationStatus.QuotaExceeded);
        }

        if (_policy.Choose(_free, first, last) is not { } pasid)
        {
            return PasidAllocation.None(PasidAllocationStatus.NoSpace);
        }

        _free.Remove(pasid);
        _ownerOfLive.Add(pasid, request.Owner);
        return PasidAllocation.Of(pasid);
    }

    public PasidFreeStatus Free(uint pasid)
    {
        if (!_ownerOfLive.Remove(pasid))
        {
            return PasidFreeStatus.NotAllocated;
        }

        for (int i = 0; i < _waiting.Count; i++)
        {
            _waiting[i] = (_waiting[i].Pasid, _waiting[i].FurtherFrees + 1);
        }

        _waiting.Add((pasid, 0));
        foreach ((uint due, _) in _waiting.Where(w => w.FurtherFrees >= _quarantine).ToList())
        {
            _waiting.RemoveAll(w => w.Pasid == due);
            _free.Add(due);
        }

        return PasidFreeStatus.Freed;
    }

    public bool TryReserve(uint pasid)
    {
        if (_ownerOfLive.ContainsKey(pasid))
        {
            return false;
        }

        _reserved.Add(pasid);
        _free.Remove(pasid);
        _waiting.RemoveAll(w => w.Pasid == pasid);
        return true;
    }

    public bool IsLive(uint pasid) => _ownerOfLive.ContainsKey(pasid);
}
