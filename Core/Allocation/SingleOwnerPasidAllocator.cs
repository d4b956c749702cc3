// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;

namespace PasidFramework.Allocation;

/// <summary>
/// <see cref="CyclicPasidAllocator"/> without its gate, for a simulator or any other owner that makes one call at a
/// time: the same calls give the same PASIDs, in a third of the time.
/// </summary>
/// <remarks>
/// <b>Not safe for concurrent use</b>, and for that reason no <see cref="IPasidAllocator"/>: the owner serialises all
/// calls, those that only read included. Nothing is allocated after construction.
/// </remarks>
public sealed class SingleOwnerPasidAllocator : ISelfChecking
{
    private readonly uint _first;
    private readonly uint _last;
    private PasidBitmap _bitmap;
    private CyclicPolicy _policy;

    /// <summary>Makes an allocator with every PASID of a range free.</summary>
    /// <param name="range">The PASIDs it may allocate; may be empty.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range holds PASIDs of more than 20 bits.</exception>
    public SingleOwnerPasidAllocator(PasidRange range)
    {
        _first = range.First;
        _last = range.Last;
        _bitmap = new PasidBitmap(range);
    }

    /// <summary>The PASIDs it may allocate.</summary>
    public PasidRange Range => new(_first, _last);

    /// <summary>How many PASIDs are allocated and not freed.</summary>
    public int LiveCount => _bitmap.LiveCount;

    /// <inheritdoc cref="IPasidAllocator.Allocate"/>
    public PasidAllocation Allocate(in PasidRequest request)
    {
        if (request.Range.First > _first || request.Range.Last < _last)
        {
            return AllocateWithin(in request);
        }

        uint pasid = _policy.TakeAny(ref _bitmap);
        return pasid != PasidBitmap.None ? PasidAllocation.Of(pasid) : NoneOfAll();
    }

    /// <inheritdoc cref="IPasidAllocator.Free"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public PasidFreeStatus Free(Pasid pasid)
    {
        uint index = pasid.Value - _first;
        return index < (uint)_bitmap.Count && _bitmap.TryReleaseIndex(index)
            ? PasidFreeStatus.Freed
            : PasidFreeStatus.NotAllocated;
    }

    /// <inheritdoc cref="IPasidAllocator.TryReserve"/>
    public bool TryReserve(Pasid pasid) => !Range.Contains(pasid.Value) || _bitmap.TryReserve(pasid.Value);

    /// <inheritdoc cref="IPasidAllocator.IsLive"/>
    public bool IsLive(Pasid pasid) => Range.Contains(pasid.Value) && _bitmap.IsLive(pasid.Value);

    void ISelfChecking.AssertInvariants() => _bitmap.AssertInvariants();

    [MethodImpl(MethodImplOptions.NoInlining)]
    private PasidAllocation AllocateWithin(in PasidRequest request)
    {
        uint first = Math.Max(request.Range.First, _first);
        uint last = Math.Min(request.Range.Last, _last);
        if (first > last)
        {
            return PasidAllocation.None(PasidAllocationStatus.InvalidRange);
        }

        uint pasid = _policy.TakeWithin(ref _bitmap, first, last);
        return pasid != PasidBitmap.None
            ? PasidAllocation.Of(pasid)
            : PasidAllocation.None(PasidAllocationStatus.NoSpace);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private PasidAllocation NoneOfAll() => PasidAllocation.None(
        _bitmap.Count == 0 ? PasidAllocationStatus.InvalidRange : PasidAllocationStatus.NoSpace);
}
